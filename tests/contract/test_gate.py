"""The gate that a 429 closes: how long it stays closed, and which request passes first when it opens."""

import asyncio
import math
import time
from contextlib import AsyncExitStack

import pytest

from shared.errors import Throttled
from shared.partner_center.throttle import CLOSED_AT_MOST_S, PROBE_LIMIT_S, Gate
from shared.replies.reply import Reply

pytestmark = pytest.mark.anyio

LONG_S = 30.0


async def pass_through(gate: Gate, reply: Reply | None = None, remaining_s: float = LONG_S) -> None:
    async with gate.admit(remaining_s) as passage:
        passage.reply = reply or Reply(200, b"")


async def closed_gate(retry_after_s: float | None, probe_limit_s: float = PROBE_LIMIT_S) -> Gate:
    gate = Gate(probe_limit_s)
    await pass_through(gate, Reply(429, b"", retry_after_s))
    return gate


async def test_an_open_gate_lets_every_request_through() -> None:
    gate = Gate()

    async with asyncio.timeout(LONG_S):
        await asyncio.gather(*(pass_through(gate) for _ in range(100)))


@pytest.mark.parametrize(
    ("retry_after_s", "longest_s"),
    [(40.0, 40), (None, 10), (3600.0, 59)],
    ids=["as-given", "not-given", "cut"],
)
async def test_a_call_that_cannot_wait_gets_the_time_left(retry_after_s: float | None, longest_s: int) -> None:
    started = time.monotonic()
    gate = await closed_gate(retry_after_s)

    with pytest.raises(Throttled) as caught:
        await pass_through(gate, remaining_s=5)

    passed_s = math.ceil(time.monotonic() - started)
    assert caught.value.retry_after_s is not None
    assert longest_s - passed_s <= caught.value.retry_after_s <= longest_s


async def test_the_gate_is_closed_for_two_minutes_at_most() -> None:
    """Even after a longer Retry-After: a request must find out whether the limit still holds."""
    before = time.monotonic()
    gate = await closed_gate(86_400)
    after = time.monotonic()

    assert CLOSED_AT_MOST_S == 120
    assert before <= gate.__dict__["_opens_at"] - CLOSED_AT_MOST_S <= after


async def test_a_late_answer_does_not_shorten_the_time() -> None:
    gate = await closed_gate(40)
    late = Reply(429, b"", 0)
    gate.__dict__["_is_closed"] = False  # lets a request through that was sent before the gate closed
    await pass_through(gate, late)

    with pytest.raises(Throttled) as caught:
        await pass_through(gate, remaining_s=5)

    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s > 30


async def test_one_request_goes_ahead_and_the_others_follow() -> None:
    gate = await closed_gate(0.05)
    passed: list[int] = []
    first, may_end = asyncio.Event(), asyncio.Event()

    async def call(number: int) -> None:
        async with gate.admit(LONG_S) as passage:
            passed.append(number)
            first.set()
            await may_end.wait()
            passage.reply = Reply(200, b"")

    calls = [asyncio.create_task(call(number)) for number in range(20)]
    async with asyncio.timeout(LONG_S):
        await first.wait()
    await asyncio.sleep(0.1)  # time for the others to pass too
    probes = list(passed)
    may_end.set()
    async with asyncio.timeout(LONG_S):
        await asyncio.gather(*calls)

    assert len(probes) == 1
    assert len(passed) == 20


async def test_a_probe_without_an_answer_lets_another_go_ahead() -> None:
    """Otherwise a broken connection of the probe would leave the gate closed for ever."""
    gate = await closed_gate(0.01)
    with pytest.raises(ConnectionError):
        async with gate.admit(LONG_S):
            raise ConnectionError

    async with asyncio.timeout(LONG_S):
        await pass_through(gate)
        await asyncio.gather(*(pass_through(gate) for _ in range(5)))


async def test_a_probe_without_an_answer_does_not_open_the_gate() -> None:
    gate = await closed_gate(0)

    async with asyncio.timeout(LONG_S), gate.admit(LONG_S):
        pass

    assert gate.__dict__["_is_closed"]


async def test_a_probe_that_gets_a_429_closes_the_gate_again() -> None:
    gate = await closed_gate(0.01)
    await pass_through(gate, Reply(429, b"", 40))

    with pytest.raises(Throttled):
        await pass_through(gate, remaining_s=1)


async def test_a_call_that_waits_for_a_slow_probe_ends_by_its_deadline() -> None:
    gate = await closed_gate(0.01)
    async with gate.admit(LONG_S) as passage:
        with pytest.raises(Throttled) as caught:
            await pass_through(gate, remaining_s=0.05)
        passage.reply = Reply(200, b"")

    assert caught.value.retry_after_s == 1


# A probe that hangs


async def test_a_probe_that_hangs_stops_nobody_else() -> None:
    gate = await closed_gate(0, probe_limit_s=0.05)

    async with asyncio.timeout(LONG_S), gate.admit(LONG_S):
        await pass_through(gate)
        await asyncio.gather(*(pass_through(gate) for _ in range(5)))


async def test_while_all_probes_hang_one_more_goes_at_a_time() -> None:
    gate = await closed_gate(0, probe_limit_s=0.05)
    passed = asyncio.Queue[int]()

    async def hang(number: int) -> None:
        async with gate.admit(LONG_S):
            passed.put_nowait(number)
            await asyncio.sleep(LONG_S)

    calls = [asyncio.create_task(hang(number)) for number in range(50)]
    async with asyncio.timeout(LONG_S):
        for _ in range(3):
            await passed.get()
    for call in calls:
        call.cancel()

    assert passed.qsize() < len(calls) - 3


@pytest.mark.parametrize("newer_has_ended", [True, False])
async def test_a_late_answer_to_an_older_probe_does_not_open_the_gate(newer_has_ended: bool) -> None:
    """It may say how things were before the limit was reached again."""
    gate = await closed_gate(0, probe_limit_s=0.05)
    async with AsyncExitStack() as newer:
        async with asyncio.timeout(LONG_S), gate.admit(LONG_S) as older_probe:
            newer_probe = await newer.enter_async_context(gate.admit(LONG_S))
            if newer_has_ended:
                newer_probe.reply = Reply(429, b"", 40)
                await newer.aclose()
            older_probe.reply = Reply(200, b"")

        assert gate.__dict__["_is_closed"]


async def test_a_late_429_closes_the_gate() -> None:
    gate = await closed_gate(0)
    async with asyncio.timeout(LONG_S), gate.admit(LONG_S) as older_probe:
        await pass_through(gate)
        older_probe.reply = Reply(429, b"", 40)

    with pytest.raises(Throttled):
        await pass_through(gate, remaining_s=1)


async def test_an_answer_to_a_request_from_before_does_not_open_the_gate() -> None:
    gate = Gate()
    async with gate.admit(LONG_S) as before:
        await pass_through(gate, Reply(429, b"", 40))
        before.reply = Reply(200, b"")

    with pytest.raises(Throttled):
        await pass_through(gate, remaining_s=1)


# A 429 that names no time to wait


def closed_for_s(gate: Gate, since: float) -> float:
    opens_at: float = gate.__dict__["_opens_at"]
    return opens_at - since


async def test_a_429_without_a_time_to_wait_closes_for_longer_each_time() -> None:
    """Retry-After 0, a date in the past, or a clock that is ahead: at least 0.25 s, with jitter, growing."""
    gate = Gate()
    for number, shortest_s in enumerate((0.25, 0.5, 1, 2, 4, 8, 8)):
        gate.__dict__["_opens_at"] = 0.0  # in place of a wait; the next request is the probe
        before = time.monotonic()
        await pass_through(gate, Reply(429, b"", 0 if number % 2 else 0.1))
        after = time.monotonic()

        assert closed_for_s(gate, since=before) >= shortest_s
        assert closed_for_s(gate, since=after) <= 2 * shortest_s


async def test_the_pauses_do_not_all_end_together() -> None:
    """Several workers that were throttled at the same moment must not come back at the same moment."""
    gates = [await closed_gate(0) for _ in range(20)]

    assert len({round(gate.__dict__["_opens_at"], 2) for gate in gates}) > 1


async def test_a_success_of_the_probe_makes_the_pauses_short_again() -> None:
    gate = await closed_gate(0)
    for reply in (Reply(429, b"", 0), Reply(429, b"", 0), Reply(200, b"")):
        gate.__dict__["_opens_at"] = 0.0
        await pass_through(gate, reply)

    await pass_through(gate, Reply(429, b"", 0))

    assert closed_for_s(gate, since=time.monotonic()) <= 0.5


async def test_many_429_at_once_are_one_closing() -> None:
    gate = Gate()
    async with AsyncExitStack() as requests:
        for _ in range(16):
            (await requests.enter_async_context(gate.admit(LONG_S))).reply = Reply(429, b"", 0)

    assert closed_for_s(gate, since=time.monotonic()) <= 0.5
