"""The gate that a 429 closes, on the clock and on the wire."""

import asyncio
from typing import Any

import pytest

from shared.errors import Throttled
from shared.partner_center.reply import Reply
from shared.partner_center.throttle import Gate
from tests.conftest import CUSTOMER
from tests.contract.conftest import App
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio

LONG_S = 30.0


async def through(gate: Gate, reply: Reply | None = None, remaining_s: float = LONG_S) -> None:
    async with gate.admit(remaining_s) as passage:
        passage.reply = reply or Reply(200, b"")


async def closed(retry_after_s: float | None) -> Gate:
    gate = Gate()
    await through(gate, Reply(429, b"", retry_after_s))
    return gate


async def test_an_open_gate_lets_everyone_through() -> None:
    gate = Gate()

    await asyncio.wait_for(asyncio.gather(*(through(gate) for _ in range(100))), LONG_S)


@pytest.mark.parametrize(
    ("retry_after_s", "told"),
    [(40.0, range(38, 41)), (None, range(8, 11)), (3600.0, range(59, 60))],
    ids=["as-said", "unsaid", "cut"],
)
async def test_whoever_cannot_wait_is_told_the_time_left(retry_after_s: float | None, told: range) -> None:
    gate = await closed(retry_after_s)

    with pytest.raises(Throttled) as caught:
        await through(gate, remaining_s=5)

    assert caught.value.retry_after_s in told


async def test_two_minutes_are_the_longest_that_it_stays_closed() -> None:
    """However long Partner Center says: somebody must find out whether it still holds."""
    gate = await closed(86_400)

    assert 119 < gate.__dict__["_opens_at"] - asyncio.get_running_loop().time() < 121


async def test_a_longer_time_is_not_shortened_by_a_late_answer() -> None:
    gate = await closed(40)
    late = Reply(429, b"", 0)
    gate.__dict__["_is_shut"] = False  # a request that had left before the gate closed
    await through(gate, late)

    with pytest.raises(Throttled) as caught:
        await through(gate, remaining_s=5)

    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s > 30


async def test_one_goes_ahead_and_the_others_follow() -> None:
    gate = await closed(0.05)
    inside, seen = 0, []
    let_go = asyncio.Event()

    async def call(number: int) -> None:
        nonlocal inside
        async with gate.admit(LONG_S) as passage:
            inside += 1
            seen.append((number, inside))
            await let_go.wait()
            passage.reply = Reply(200, b"")

    calls = [asyncio.create_task(call(number)) for number in range(20)]
    await asyncio.sleep(0.3)
    probes = list(seen)
    let_go.set()
    await asyncio.wait_for(asyncio.gather(*calls), LONG_S)

    assert [position for _, position in probes] == [1]
    assert len(seen) == 20


async def test_a_probe_without_an_answer_hands_over() -> None:
    """Else a probe whose connection broke would leave the gate shut for ever."""
    gate = await closed(0.01)
    with pytest.raises(ConnectionError):
        async with gate.admit(LONG_S):
            raise ConnectionError

    await asyncio.wait_for(through(gate), LONG_S)
    await asyncio.wait_for(asyncio.gather(*(through(gate) for _ in range(5))), LONG_S)


async def test_a_probe_that_is_refused_closes_it_again() -> None:
    gate = await closed(0.01)
    await through(gate, Reply(429, b"", 40))

    with pytest.raises(Throttled):
        await through(gate, remaining_s=1)


async def test_whoever_waits_for_a_slow_probe_gives_up_in_time() -> None:
    gate = await closed(0.01)
    async with gate.admit(LONG_S) as passage:
        with pytest.raises(Throttled) as caught:
            await through(gate, remaining_s=0.05)
        passage.reply = Reply(200, b"")

    assert caught.value.retry_after_s == 1


def whole(order_id: str, **more: Any) -> dict[str, Any]:
    return {"customerTenantId": CUSTOMER, "orderId": order_id} | more


async def test_calls_do_not_stampede_when_the_gate_opens(app: App, cloud: LocalCloud, order_id: str) -> None:
    await app.post(whole(order_id, dryRun=True))
    cloud.forget()
    cloud.fault(status=429, headers={"Retry-After": "1"})
    probe_s = 0.5
    cloud.fault(delay_s=probe_s)  # the probe, whoever it is
    closed, _, _ = await app.post(whole(order_id, dryRun=True), prefer="wait=1")

    answers = await asyncio.gather(*(app.post(whole(order_id, dryRun=True), prefer="wait=30") for _ in range(11)))

    assert closed == 429
    assert {status for status, _, _ in answers} == {200}
    refused, probe, *rest = cloud.requests("partner_center")
    assert (refused["status"], probe["status"], len(rest)) == (429, 200, 10)
    assert all(one["time"] >= probe["time"] + probe_s for one in rest)


async def test_a_closed_gate_is_no_request_and_for_one_partner_only(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(status=429, headers={"Retry-After": "57"})
    codes = [(await app.post(whole(order_id, dryRun=True)))[1].get("code") for _ in range(3)]
    other = await app.post(whole(order_id, dryRun=True, account="rehearsal"))

    assert codes == ["throttled"] * 3
    assert other[0] == 200
    assert [one["status"] for one in cloud.requests("partner_center")] == [429, 200]


async def test_a_lost_answer_outweighs_a_closed_gate(app: App, cloud: LocalCloud, order_id: str) -> None:
    """Told "throttled, nothing was changed", a caller would believe it."""
    cloud.fault(method="PATCH", hang_up="after")
    cloud.fault(method="PATCH", status=429, headers={"Retry-After": "57"})

    status, problem, headers = await app.post(whole(order_id))

    assert (status, problem["code"], headers["Retry-After"]) == (503, "outcome_unknown", "57")
    assert cloud.order(order_id)["status"] == "cancelled"


async def test_a_429_whose_body_broke_off_closes_the_gate_all_the_same(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    cloud.fault(status=429, headers={"Retry-After": "57"}, body="x" * 100, hang_up="halfway")

    codes = [(await app.post(whole(order_id, dryRun=True)))[1].get("code") for _ in range(2)]

    assert codes == ["throttled"] * 2
    assert len(cloud.requests("partner_center")) == 1
