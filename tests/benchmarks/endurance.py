"""50,000 calls of one process: how much its memory grows, and whether calls become slower.

The speed of the machine changes in the minute between the first and the last thousand calls. So both are measured as
multiples of the bare request, which alternates with the function.
"""

import asyncio
import gc
import re
from pathlib import Path
from statistics import median

from tests.benchmarks.clients import Client, open_clients, timed
from tests.benchmarks.partner_center import PartnerCenter
from tests.benchmarks.results import Comparison

CALLS = 50_000
COMPARED = 1_000  # calls at the start and at the end
BLOCK = 100  # calls in each value
WARM_UP = 200  # of the compared calls; they open connections and fill caches
IN_FLIGHT = 4  # for the calls between, which are not compared, so that they take less time


async def measure(partner_center: PartnerCenter) -> list[Comparison]:
    partner_center.answer_after(0)
    async with open_clients(partner_center) as clients:
        ours, bare = clients["ours"], clients["httpx"]
        await _call_many(ours, WARM_UP)
        await timed(bare, BLOCK)
        blocks = (COMPARED - WARM_UP) // BLOCK
        first = await _multiples(ours, bare, blocks)
        memory_mib = _memory_mib()

        await _call_many(ours, CALLS - 2 * COMPARED)
        partner_center.forget()  # the stand-in becomes slower with the requests that it remembers
        await timed(ours, WARM_UP)
        last = await _multiples(ours, bare, blocks)
        grown_mib = _memory_mib() - memory_mib

    return [
        Comparison("endurance/memory", f"memory grown over {CALLS:,} calls", "MiB", [grown_mib]),
        Comparison("endurance/latency", f"the last of {CALLS:,} calls", "× httpx", last, "the first", first),
    ]


async def _call_many(ours: Client, calls: int) -> None:
    left = iter(range(calls))

    async def caller() -> None:
        for _ in left:
            await ours.call()

    async with asyncio.TaskGroup() as callers:
        for _ in range(IN_FLIGHT):
            callers.create_task(caller())


async def _multiples(ours: Client, bare: Client, blocks: int) -> list[float]:
    """Return, for each of *blocks*, the median time of *ours* divided by that of *bare*."""
    multiples = []
    for _ in range(blocks):
        ours_ms, _ours_cpu = await timed(ours, BLOCK)
        bare_ms, _bare_cpu = await timed(bare, BLOCK)
        multiples.append(median(ours_ms) / median(bare_ms))
    return multiples


def _memory_mib() -> float:
    """Return the resident memory of this process, as Linux counts it."""
    gc.collect()
    resident = re.search(r"^VmRSS:\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    if not resident:
        raise RuntimeError("/proc/self/status has no VmRSS")
    return int(resident[1]) / 1024
