"""Calls one after the other, with a cached token and open connections: the function beside other clients.

In each round every client makes a block of calls, in the opposite order of the round before, so that a busy machine
slows all of them. The value of a round is the median call of a client.
"""

import gc
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from tests.benchmarks.clients import Client, Function, answered_in_process, open_clients, timed
from tests.benchmarks.partner_center import PartnerCenter
from tests.benchmarks.results import Comparison

ROUNDS = 4  # in each of three processes
WARM_UP = 2  # calls before each block

# By milliseconds of latency at Partner Center: the number of calls in a block.
BLOCKS = {0: 200, 5: 40, 20: 20, 50: 8}
AGAINST_SDKS_MS = 50


class Round(NamedTuple):
    """The milliseconds of one call of a client: the median time, and the mean processor time."""

    call_ms: float
    cpu_ms: float


async def measure(partner_center: PartnerCenter) -> list[Comparison]:
    comparisons = []
    partner_center.answer_after(0)
    async with open_clients(partner_center) as clients:
        ours, bare = clients["ours"], {name: clients[name] for name in ("ours", "httpx")}
        assert isinstance(ours, Function)
        comparisons += await _count_requests(partner_center, ours)
        for latency_ms, calls in BLOCKS.items():
            partner_center.answer_after(latency_ms)
            sdks = ("get-then-patch", "partnercenterservices") if latency_ms == AGAINST_SDKS_MS else ()
            rounds = await alternate(bare | {name: clients[name] for name in sdks}, calls)
            comparisons += [
                compare(f"warm/{latency_ms}/{name}", f"warm call, {latency_ms} ms at Partner Center", rounds, name)
                for name in ("httpx", *sdks)
            ]
            if latency_ms == 0:
                cpu = {name: [round_.cpu_ms for round_ in rounds[name]] for name in bare}
                comparisons.append(
                    Comparison("warm/cpu", "its processor time", "ms", cpu["ours"], "httpx", cpu["httpx"])
                )
        with answered_in_process(partner_center.cancelled_order):
            rounds = await alternate(bare, BLOCKS[0])
    return [*comparisons, compare("warm/in process", "warm call, answered in process", rounds, "httpx")]


def compare(key: str, title: str, rounds: Mapping[str, list[Round]], against: str) -> Comparison:
    ours, other = ([round_.call_ms for round_ in rounds[name]] for name in ("ours", against))
    return Comparison(key, title, "ms", ours, against, other)


async def _count_requests(partner_center: PartnerCenter, ours: Function) -> list[Comparison]:
    """Count the requests that reach Partner Center for one call with a cached token."""
    await ours.call()
    lines = ours.body.replace(b"{", b'{"lineItems": [{"lineItemNumber": 0}, {"lineItemNumber": 1}], ', 1)
    comparisons = []
    for name, body in ("whole order", ours.body), ("lines", lines):
        partner_center.forget()
        status, answer = await ours.send(body)
        if status != 200:
            raise RuntimeError(f"{status} {answer!r}")
        count = float(len(partner_center.requests()))
        comparisons.append(Comparison(f"requests/{name}", f"requests for {name}, warm", "", [count]))
    return comparisons


async def alternate(clients: Mapping[str, Client], calls: int) -> dict[str, list[Round]]:
    """Return the rounds of each client; in every round each client makes *calls*."""
    rounds: dict[str, list[Round]] = {name: [] for name in clients}
    names: Sequence[str] = list(clients)
    for _ in range(ROUNDS):
        for name in names:
            gc.collect()  # so that no client pays for the garbage of another
            await timed(clients[name], WARM_UP)
            took_ms, cpu_ms = await timed(clients[name], calls)
            rounds[name].append(Round(median(took_ms), cpu_ms))
        names = names[::-1]
    return rounds
