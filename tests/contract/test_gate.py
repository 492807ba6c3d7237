"""The gate that a 429 closes: how long it stays closed, and which request passes first when it opens."""

import asyncio
import math
import time

import pytest

from shared.errors import Throttled
from shared.partner_center.reply import Reply
from shared.partner_center.throttle import CLOSED_AT_MOST_S, Gate

pytestmark = pytest.mark.anyio

LONG_S = 30.0


async def pass_through(gate: Gate, reply: Reply | None = None, remaining_s: float = LONG_S) -> None:
    async with gate.admit(remaining_s) as passage:
        passage.reply = reply or Reply(200, b"")


async def closed_gate(retry_after_s: float | None) -> Gate:
    gate = Gate()
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
    may_end = asyncio.Event()

    async def call(number: int) -> None:
        async with gate.admit(LONG_S) as passage:
            passed.append(number)
            await may_end.wait()
            passage.reply = Reply(200, b"")

    calls = [asyncio.create_task(call(number)) for number in range(20)]
    await asyncio.sleep(0.3)
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
