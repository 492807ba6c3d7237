"""Many calls in flight: throughput and latency of the function beside bare httpx and aiohttp.

The clients alternate, as in `warm`. The callers start one after the other, spread over the latency, because webhooks
are independent of each other. If they started together they would stay in step, and each would wait for the work of all
others. Throughput and percentiles are of cancellations only. Failed calls are counted separately, and the function may
have none.
"""

import asyncio
import gc
import time

from tests.benchmarks.clients import FAILURES, Client, open_clients
from tests.benchmarks.partner_center import PartnerCenter
from tests.benchmarks.results import Comparison, percentile

ROUNDS = 7
CLIENTS = ("ours", "httpx", "aiohttp")
PERCENTILES = (50, 95, 99)

# By calls in flight and milliseconds of latency at Partner Center: the number of calls in a block.
BLOCKS = {(1, 0): 100, (16, 0): 192, (64, 0): 384, (1, 80): 6, (16, 80): 192, (64, 80): 768}


async def measure(partner_center: PartnerCenter) -> list[Comparison]:
    comparisons = []
    partner_center.answer_after(0)
    async with open_clients(partner_center) as clients:
        for (in_flight, latency_ms), calls in BLOCKS.items():
            partner_center.answer_after(latency_ms)
            rounds: dict[str, list[dict[str, float]]] = {name: [] for name in CLIENTS}
            names = CLIENTS
            for _ in range(ROUNDS):
                for name in names:
                    gc.collect()
                    await storm(clients[name], in_flight, in_flight)  # opens the connections
                    rounds[name].append(await storm(clients[name], in_flight, calls, latency_ms / 1000))
                names = names[::-1]
            comparisons += _compare(rounds, in_flight, latency_ms)
    return comparisons


async def storm(client: Client, in_flight: int, calls: int, spread_s: float = 0) -> dict[str, float]:
    """Make *calls*, *in_flight* at a time; return throughput, percentiles and failures by name.

    The callers start within *spread_s* seconds.
    """
    left = iter(range(calls))
    took_ms = []

    async def caller(number: int) -> None:
        await asyncio.sleep(spread_s * number / in_flight)
        for _ in left:
            began = time.perf_counter()
            try:
                await client.call()
            except FAILURES:
                continue
            took_ms.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as callers:
        for number in range(in_flight):
            callers.create_task(caller(number))
    per_second = len(took_ms) / (time.perf_counter() - began)
    percentiles = {f"p{percent}": percentile(took_ms, percent) for percent in PERCENTILES}
    return {"throughput": per_second, **percentiles, "failed": float(calls - len(took_ms))}


def _compare(rounds: dict[str, list[dict[str, float]]], in_flight: int, latency_ms: int) -> list[Comparison]:
    key, title = f"load/{in_flight}/{latency_ms}", f"{in_flight} in flight, {latency_ms} ms at Partner Center"
    failed = sum(round_["failed"] for round_ in rounds["ours"])
    return [
        Comparison(
            f"{key}/{figure}/{name}",
            f"{title}: {figure}",
            "/s" if figure == "throughput" else "ms",
            [round_[figure] for round_ in rounds["ours"]],
            name,
            [round_[figure] for round_ in rounds[name]],
        )
        for figure in ("throughput", *(f"p{percent}" for percent in PERCENTILES))
        for name in CLIENTS[1:]
    ] + [Comparison(f"{key}/failed", f"{title}: failed", "", [failed])]
