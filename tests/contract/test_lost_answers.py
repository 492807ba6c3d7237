"""Attempts without a usable answer: nobody knows whether the order was changed, and the answer says so."""

import asyncio

import pytest

from shared.runtime import Runtime
from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud
from tests.support.relay import relay_to

pytestmark = pytest.mark.anyio

# Nobody could confirm how Partner Center answers a repeated MS-RequestId: with its first answer again (no fault),
# or with a refusal, because the order is cancelled.
SECOND_ANSWERS: dict[str, Json | None] = {
    "answer-replayed": None,
    "refused-as-done": {"method": "PATCH", "status": 400, "body": {"code": "800061", "description": "no"}},
}


@pytest.mark.parametrize("second", SECOND_ANSWERS)
async def test_a_cancellation_whose_answer_was_lost_is_found(
    app: App, cloud: LocalCloud, order_id: str, second: str
) -> None:
    cloud.fault(method="PATCH", hang_up="after")
    if fault := SECOND_ANSWERS[second]:
        cloud.fault(**fault)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 200
    assert answer.outcome == "cancelled"
    assert cloud.order(order_id)["status"] == "cancelled"


async def test_no_refusal_is_final_while_an_attempt_is_unaccounted_for(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    """The first attempt may still change the order."""
    cloud.fault(method="PATCH", hang_up="before")
    cloud.fault(method="PATCH", status=400, body={"code": "900117", "description": "too late"})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 503
    assert answer.code == "outcome_unknown"
    assert answer.body["retryable"] is True
    assert answer.body["partnerCenter"]["code"] == "900117"
    assert 1 <= int(answer.headers["Retry-After"]) <= 59
    assert cloud.methods() == ["PATCH", "PATCH", "GET"]


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_failures_that_do_not_end_leave_the_outcome_unknown(
    app: App, cloud: LocalCloud, order_id: str, status: int
) -> None:
    cloud.fault(method="PATCH", status=status, times=4)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 503
    assert answer.code == "outcome_unknown"
    assert cloud.methods() == ["PATCH"] * 4 + ["GET"]


@pytest.mark.parametrize("code", ["800019", "20000", "2032", "800060"])
async def test_after_a_500_the_outcome_is_unknown_with_any_code(
    app: App, cloud: LocalCloud, order_id: str, code: str
) -> None:
    cloud.fault(method="PATCH", status=500, body={"code": code})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.code == "outcome_unknown"


async def test_connections_that_died_together_cost_one_attempt(
    settings: Settings, cloud: LocalCloud, order_id: str
) -> None:
    """A call that tried them all would end without an answer, though no PATCH had arrived."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id}
    async with relay_to(cloud.description["partnerCenterUrl"]) as relay:
        account = settings.accounts["default"].model_copy(update={"api_root": relay.url})
        async with Runtime(settings.model_copy(update={"accounts": {"default": account}})) as runtime:
            app = App(runtime)
            await app.post(body | {"dryRun": True})
            cloud.fault(method="GET", delay_s=0.3, times=4)
            await asyncio.gather(*(app.post(body | {"dryRun": True}) for _ in range(4)))
            before = relay.opened
            relay.reset_on_next_byte()

            answer = await app.post(body)

    assert before > 1
    assert answer.outcome == "cancelled"
    assert cloud.methods()[-1] == "PATCH"
    assert relay.opened == before + 1
