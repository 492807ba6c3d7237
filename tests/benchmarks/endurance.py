"""50,000 calls of one process: does memory grow, do calls slow down?

The first and the last thousand are a minute apart, in which the machine changes its pace: so each is
told in units of the bare request, made in turns with ours.
"""

import asyncio
import gc
import re
from pathlib import Path
from statistics import median

from tests.benchmarks.clients import Side, sides, timed
from tests.benchmarks.partner_center import OtherEnd
from tests.benchmarks.results import Comparison

CALLS = 50_000
STRETCH, PIECE = 1_000, 100  # calls at the start and the end that are compared, and in each value
IN_FLIGHT = 4  # between them, to be done sooner
WARM_UP = 200  # of the first thousand: connections and caches


async def measure(end: OtherEnd) -> list[Comparison]:
    end.answer(0)
    async with sides(end) as every:
        ours, bare = every["ours"], every["httpx"]
        await _several(ours, WARM_UP)
        await timed(bare, PIECE)
        pieces = (STRETCH - WARM_UP) // PIECE
        first = await _in_units_of(bare, ours, pieces)
        memory_mib = _memory_mib()

        await _several(ours, CALLS - 2 * STRETCH)
        end.forget()  # else the stand-in is the slower for its memories
        await timed(ours, WARM_UP)
        last = await _in_units_of(bare, ours, pieces)
        grown_mib = _memory_mib() - memory_mib

    return [
        Comparison("endurance/memory", f"memory grown over {CALLS:,} calls", "MiB", [grown_mib]),
        Comparison("endurance/latency", f"the last of {CALLS:,} calls", "× httpx", last, "the first", first),
    ]


async def _several(ours: Side, calls: int) -> None:
    left = iter(range(calls))

    async def caller() -> None:
        for _ in left:
            await ours.call()

    async with asyncio.TaskGroup() as callers:
        for _ in range(IN_FLIGHT):
            callers.create_task(caller())


async def _in_units_of(bare: Side, ours: Side, pieces: int) -> list[float]:
    """Return the median of ours, in medians of the bare request's, for each of *pieces*."""
    found = []
    for _ in range(pieces):
        mine, others = (await timed(ours, PIECE))[0], (await timed(bare, PIECE))[0]
        found.append(median(mine) / median(others))
    return found


def _memory_mib() -> float:
    """Return what this process holds, as Linux counts it."""
    gc.collect()
    found = re.search(r"^VmRSS:\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    if not found:
        raise RuntimeError("/proc/self/status has no VmRSS")
    return int(found[1]) / 1024
