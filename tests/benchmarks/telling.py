"""A call whose ticket is told, beside the same call without `tell`: the queue's part of a call.

Both are the function in this process, one call after the other, with cached tokens and open connections. The callers
differ in `tell` alone. The intent is put beside the PATCH, and the decision before the answer.
"""

import hashlib
import json
import os
from dataclasses import dataclass

from tests.benchmarks.clients import Client, Function, open_clients
from tests.benchmarks.partner_center import CUSTOMER, ORDER, PartnerCenter
from tests.benchmarks.results import Comparison
from tests.benchmarks.warm import alternate, compare

LATENCY_MS = 50
CALLS = 8  # in a block
AGAINST = "without tell"
KEYS = {"told": "t" * 43, "silent": "s" * 43}


@dataclass(frozen=True)
class Caller:
    """Calls the function as one of the callers."""

    function: Function
    caller: str
    name: str

    async def call(self) -> None:
        body = {"customerTenantId": CUSTOMER, "orderId": ORDER, "ticketId": "35436"}
        status, answer = await self.function.send(json.dumps(body).encode(), x_caller_key=KEYS[self.caller])
        if status != 200 or b'"outcome": "cancelled"' not in answer:
            raise RuntimeError(f"{status} {answer!r}")


async def measure(partner_center: PartnerCenter) -> list[Comparison]:
    callers = {name: {"proof": "key", "sha256": hashlib.sha256(key.encode()).hexdigest()} for name, key in KEYS.items()}
    tell = {
        "system": "freshdesk",
        "url": partner_center.description["ticketing"]["freshdesk"],
        "secret": "freshdesk-key",
    }
    os.environ["CALLERS"] = json.dumps(callers | {"told": callers["told"] | {"tell": tell}})
    os.environ["AzureWebJobsStorage__queueServiceUri"] = partner_center.description["queueUrl"]  # noqa: SIM112  (Azure's spelling)
    partner_center.answer_after(LATENCY_MS)
    async with open_clients(partner_center) as clients:
        function = clients["ours"]
        assert isinstance(function, Function)
        others: dict[str, Client] = {
            "ours": Caller(function, "told", "ours"),
            AGAINST: Caller(function, "silent", AGAINST),
        }
        for client in others.values():
            await client.call()  # gets the tokens
        rounds = await alternate(others, CALLS)
    title = f"warm call whose ticket is told, {LATENCY_MS} ms at Partner Center"
    return [compare(f"telling/{LATENCY_MS}", title, rounds, AGAINST)]
