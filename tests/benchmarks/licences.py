"""Licences, one call after the other, with a cached token and open connections: the function beside bare requests.

The other client makes the same requests as the function, one after the other, and makes no checks. The clients
alternate, as in `warm`.
"""

import json
from dataclasses import dataclass

from tests.benchmarks.clients import BareHttpx, Client, Function, open_clients
from tests.benchmarks.partner_center import PartnerCenter
from tests.benchmarks.results import Comparison
from tests.benchmarks.warm import alternate, compare
from tests.support.licences import CUSTOMER, LicenceOrder
from tests.support.local_cloud import Json

LATENCY_MS = 50
ONE, TEN = LicenceOrder("benchmark-one"), LicenceOrder("benchmark-ten", lines=10)
AGAINST = "bare calls"

TERM_END = "the end of a term by its order"

# By name: the order, whether the request names it and not its subscription, and the number of calls in a block.
CASES = {
    "a subscription": (ONE, False, 8),
    "a licence by its order": (ONE, True, 8),
    TERM_END: (ONE, True, 8),
    "an order of ten licences": (TEN, True, 2),
}


@dataclass(frozen=True)
class Cancellation:
    """Calls the function for one order or subscription."""

    function: Function
    body: bytes
    outcome: bytes = b"cancelled"
    name: str = "ours"

    async def call(self) -> None:
        status, answer = await self.function.send(self.body)
        if status != 200 or b'"outcome": "%s"' % self.outcome not in answer:
            raise RuntimeError(f"{status} {answer!r}")


@dataclass(frozen=True)
class BareCalls:
    """Sends the requests of the function with bare httpx, one after the other."""

    bare: BareHttpx
    root: str
    order: LicenceOrder
    names_order: bool
    name: str = AGAINST

    async def call(self) -> None:
        if self.names_order:
            await self._send("GET", f"orders/{self.order.order_id}")
        for subscription_id in self.order.subscription_ids:
            path = f"subscriptions/{subscription_id}"
            subscription = await self._send("GET", path)
            answer = await self._send("PATCH", path, subscription | {"status": "deleted"})
            if answer["status"] != "deleted":
                raise RuntimeError(str(answer))

    async def _send(self, method: str, path: str, body: Json | None = None) -> Json:
        url = f"{self.root}/v1/customers/{CUSTOMER}/{path}"
        response = await self.bare.http.request(method, url, json=body, headers=self.bare.headers())
        content: Json = response.raise_for_status().json()
        return content


@dataclass(frozen=True)
class BareTermEnd(BareCalls):
    """Sends the requests that let a licence end with its term, and looks whether it will."""

    async def call(self) -> None:
        await self._send("GET", f"orders/{self.order.order_id}")
        path = f"subscriptions/{self.order.subscription_id}"
        subscription = await self._send("GET", path)
        await self._send("PATCH", path, subscription | {"autoRenewEnabled": False})
        answer = await self._send("GET", path)
        if answer["autoRenewEnabled"]:
            raise RuntimeError(str(answer))


async def measure(partner_center: PartnerCenter) -> list[Comparison]:
    comparisons = []
    partner_center.answer_after(0)
    async with open_clients(partner_center) as clients:
        function, bare = clients["ours"], clients["httpx"]
        assert isinstance(function, Function)
        assert isinstance(bare, BareHttpx)
        await function.call()  # gets the token
        for name, (order, names_order, calls) in CASES.items():
            request = order.by_order if names_order else order.by_subscription
            root = partner_center.description["partnerCenterUrl"]
            bare_calls = BareCalls(bare, root, order, names_order)
            if name == TERM_END:
                partner_center.answer_for_term_end_after(order, LATENCY_MS)
                ours = Cancellation(function, json.dumps(request | {"when": "term_end"}).encode(), b"scheduled")
                bare_calls = BareTermEnd(bare, root, order, names_order)
            else:
                partner_center.answer_for_licences_after(order, LATENCY_MS)
                ours = Cancellation(function, json.dumps(request).encode())
            partner_center.forget()
            await ours.call()
            count = float(len(partner_center.requests()))
            comparisons.append(Comparison(f"requests/{name}", f"requests for {name}, warm", "", [count]))
            others: dict[str, Client] = {"ours": ours, AGAINST: bare_calls}
            rounds = await alternate(others, calls)
            key, title = f"licences/{LATENCY_MS}/{name}", f"{name}, {LATENCY_MS} ms at Partner Center"
            comparisons.append(compare(key, title, rounds, AGAINST))
    return comparisons
