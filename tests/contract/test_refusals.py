"""Refusals by Partner Center: the order is read before a refusal is final."""

import pytest

from tests.conftest import CUSTOMER
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud

pytestmark = pytest.mark.anyio

FAILING_READS: dict[str, Json] = {
    "500": {"status": 500},
    "401": {"status": 401},
    "junk": {"status": 200, "body": "junk"},
    "hang-up": {"hang_up": "before"},
}


async def test_a_refusal_is_final_if_the_order_is_not_cancelled(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=400, body={"code": "800061", "description": "no"})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 422
    assert answer.code == "not_cancellable"
    assert answer.body["retryable"] is False
    assert answer.body["partnerCenter"] == {"code": "800061", "description": "no"}
    assert cloud.methods() == ["PATCH", "GET"]
    assert "Retry-After" not in answer.headers


@pytest.mark.parametrize("name", FAILING_READS)
async def test_a_failing_read_does_not_change_a_clear_refusal(
    app: App, cloud: LocalCloud, order_id: str, name: str
) -> None:
    cloud.fault(method="PATCH", status=400, body={"code": "800063"})
    cloud.fault(method="GET", times=4, **FAILING_READS[name])

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.code == "use_subscription_cancel"


@pytest.mark.parametrize("name", FAILING_READS)
async def test_a_refusal_that_may_mean_cancelled_is_not_final_until_the_order_is_read(
    app: App, cloud: LocalCloud, order_id: str, name: str
) -> None:
    """The order is cancelled; a final refusal would close the ticket as failed."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id}
    await app.post(body)
    cloud.fault(method="GET", times=4, **FAILING_READS[name])

    answer = await app.post(body)

    assert answer.status == 503
    assert answer.code == "outcome_unknown"
    assert answer.body["retryable"] is True
