"""Calls one after the other, a token held and connections open: ours beside the bare request and the SDKs' way.

In turns, a block of each side a round, the order turned about each round, so that what the machine
does meanwhile meets all of them. A round's value is a side's median call.
"""

import gc
from collections.abc import Mapping, Sequence
from statistics import median

from tests.benchmarks.clients import Ours, Side, answered_in_process, sides, timed
from tests.benchmarks.partner_center import OtherEnd
from tests.benchmarks.results import Comparison

ROUNDS = 4  # in each of three processes
WARM_UP = 2  # calls before each block
ALONE_KEY = "warm/in process"

# Milliseconds at the other end: calls in a block.
BLOCKS = {0: 200, 5: 40, 20: 20, 50: 8}
AGAINST_SDKS_MS = 50


async def measure(end: OtherEnd) -> list[Comparison]:
    found = []
    end.answer(0)
    async with sides(end) as every:
        ours = every["ours"]
        assert isinstance(ours, Ours)
        found += await _requests(end, ours)
        for latency_ms, calls in BLOCKS.items():
            end.answer(latency_ms)
            names = ["ours", "httpx"]
            if latency_ms == AGAINST_SDKS_MS:
                names += ["get-then-patch", "partnercenterservices"]
            rounds = await _in_turns({name: every[name] for name in names}, calls)
            found += [
                Comparison(
                    f"warm/{latency_ms}/{name}",
                    f"warm call, {latency_ms} ms at the other end",
                    "ms",
                    [one for one, _ in rounds["ours"]],
                    name,
                    [one for one, _ in rounds[name]],
                )
                for name in names[1:]
            ]
            if latency_ms == 0:
                cpu = {name: [one for _, one in rounds[name]] for name in names}
                found.append(Comparison("warm/cpu", "its processor time", "ms", cpu["ours"], "httpx", cpu["httpx"]))
        with answered_in_process(end.cancelled):
            alone = await _in_turns({name: every[name] for name in ("ours", "httpx")}, BLOCKS[0])
    mine, bare = ([one for one, _ in alone[name]] for name in ("ours", "httpx"))
    found.append(Comparison(ALONE_KEY, "warm call, answered in process", "ms", mine, "httpx", bare))
    return found


async def _requests(end: OtherEnd, ours: Ours) -> list[Comparison]:
    """Count what one call causes at the other end, the token being held."""
    await ours.call()
    lines = ours.body.replace(b"{", b'{"lineItems": [{"lineItemNumber": 0}, {"lineItemNumber": 1}], ', 1)
    found = []
    for name, body in ("whole order", ours.body), ("lines", lines):
        end.forget()
        status, answer = await ours.send(body)
        if status != 200:
            raise RuntimeError(f"{status} {answer!r}")
        count = float(len(end.requests()))
        found.append(Comparison(f"requests/{name}", f"requests for {name}, warm", "", [count]))
    return found


async def _in_turns(
    several: Mapping[str, Side], calls: int, rounds: int = ROUNDS
) -> dict[str, list[tuple[float, float]]]:
    """Return the median milliseconds of a call, and the processor's, for each side and round."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in several}
    names: Sequence[str] = list(several)
    for _ in range(rounds):
        for name in names:
            gc.collect()  # so that nobody clears away after another
            await timed(several[name], WARM_UP)
            took_ms, cpu_ms = await timed(several[name], calls)
            found[name].append((median(took_ms), cpu_ms))
        names = names[::-1]
    return found
