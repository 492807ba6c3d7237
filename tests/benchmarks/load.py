"""Many calls in flight: throughput and latency of ours beside bare httpx and aiohttp.

In turns, as in `warm`. The callers begin one after the other, spread over the latency: webhooks know
nothing of each other. Begun together they would stay in step, each waiting for the work of all the
others, and the figures would be those of a herd. The throughput counts cancellations, and the
percentiles are of those alone; a call that failed is counted, and none of ours may.
"""

import asyncio
import gc
import time

from tests.benchmarks.clients import FAILURES, Side, sides
from tests.benchmarks.partner_center import OtherEnd
from tests.benchmarks.results import Comparison, percentile

ROUNDS = 7
SIDES = ("ours", "httpx", "aiohttp")
PERCENTILES = (50, 95, 99)

# Calls in flight and milliseconds at the other end: calls in a block.
BLOCKS = {(1, 0): 100, (16, 0): 192, (64, 0): 384, (1, 80): 6, (16, 80): 192, (64, 80): 768}


async def measure(end: OtherEnd) -> list[Comparison]:
    found = []
    end.answer(0)
    async with sides(end) as every:
        for (in_flight, latency_ms), calls in BLOCKS.items():
            end.answer(latency_ms)
            rounds: dict[str, list[dict[str, float]]] = {name: [] for name in SIDES}
            names = SIDES
            for _ in range(ROUNDS):
                for name in names:
                    gc.collect()
                    await storm(every[name], in_flight, in_flight)  # its connections, opened by as many at once
                    rounds[name].append(await storm(every[name], in_flight, calls, latency_ms / 1000))
                names = names[::-1]
            found += _comparisons(rounds, in_flight, latency_ms)
    return found


async def storm(side: Side, in_flight: int, calls: int, spread_s: float = 0) -> dict[str, float]:
    """Make *calls*, *in_flight* at a time, and return what came of them by the name of the figure.

    The callers begin within *spread_s*.
    """
    left = iter(range(calls))
    took_ms = []

    async def caller(number: int) -> None:
        await asyncio.sleep(spread_s * number / in_flight)
        for _ in left:
            began = time.perf_counter()
            try:
                await side.call()
            except FAILURES:
                continue
            took_ms.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as callers:
        for number in range(in_flight):
            callers.create_task(caller(number))
    per_second = len(took_ms) / (time.perf_counter() - began)
    found = {"throughput": per_second} | {f"p{one}": percentile(took_ms, one) for one in PERCENTILES}
    return found | {"failed": float(calls - len(took_ms))}


def _comparisons(rounds: dict[str, list[dict[str, float]]], in_flight: int, latency_ms: int) -> list[Comparison]:
    key, what = f"load/{in_flight}/{latency_ms}", f"{in_flight} in flight, {latency_ms} ms at the other end"
    failed = [sum(one["failed"] for one in rounds["ours"])]
    return [
        Comparison(
            f"{key}/{figure}/{name}",
            f"{what}: {figure}",
            "/s" if figure == "throughput" else "ms",
            [one[figure] for one in rounds["ours"]],
            name,
            [one[figure] for one in rounds[name]],
        )
        for figure in ("throughput", *(f"p{one}" for one in PERCENTILES))
        for name in SIDES[1:]
    ] + [Comparison(f"{key}/failed", f"{what}: failed", "", failed)]
