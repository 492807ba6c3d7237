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

# By name: the order, whether the request names it and not its subscription, and the number of calls in a block.
CASES = {
    "a subscription": (ONE, False, 8),
    "a licence by its order": (ONE, True, 8),
    "an order of ten licences": (TEN, True, 2),
}


@dataclass(frozen=True)
class Cancellation:
    """Calls the function for one order or subscription."""

    function: Function
    body: bytes
    name: str = "ours"

    async def call(self) -> None:
        status, answer = await self.function.send(self.body)
        if status != 200 or b'"outcome": "cancelled"' not in answer:
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


async def measure(partner_center: PartnerCenter) -> list[Comparison]:
    comparisons = []
    partner_center.answer_after(0)
    async with open_clients(partner_center) as clients:
        function, bare = clients["ours"], clients["httpx"]
        assert isinstance(function, Function)
        assert isinstance(bare, BareHttpx)
        await function.call()  # gets the token
        for name, (order, names_order, calls) in CASES.items():
            partner_center.answer_for_licences_after(order, LATENCY_MS)
            ours = Cancellation(function, json.dumps(order.by_order if names_order else order.by_subscription).encode())
            partner_center.forget()
            await ours.call()
            count = float(len(partner_center.requests()))
            comparisons.append(Comparison(f"requests/{name}", f"requests for {name}, warm", "", [count]))
            root = partner_center.description["partnerCenterUrl"]
            others: dict[str, Client] = {"ours": ours, AGAINST: BareCalls(bare, root, order, names_order)}
            rounds = await alternate(others, calls)
            key, title = f"licences/{LATENCY_MS}/{name}", f"{name}, {LATENCY_MS} ms at Partner Center"
            comparisons.append(compare(key, title, rounds, AGAINST))
    return comparisons
