"""Refusals by Partner Center: the order is read before a refusal is final."""

import asyncio

import pytest

from tests.conftest import CUSTOMER
from tests.support.built_in_orders import SOFTWARE_CUSTOMER, built_in
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud, order_id_of
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio

FAILING_READS: dict[str, Json] = {
    "500": {"status": 500},
    "401": {"status": 401},
    "junk": {"status": 200, "body": "junk"},
    "hang-up": {"hang_up": "before"},
}


async def test_a_refusal_is_final_if_the_order_is_not_cancelled(app: App, cloud: LocalCloud, order_id: str) -> None:
    """Partner Center's reads may lag behind its writes, so the order is read twice."""
    cloud.fault(method="PATCH", status=400, body={"code": "800061", "description": "no"})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 422
    assert answer.code == "not_cancellable"
    assert answer.body["retryable"] is False
    assert answer.body["partnerCenter"] == {"code": "800061", "description": "no"}
    assert cloud.methods() == ["PATCH", "GET", "GET"]
    assert "Retry-After" not in answer.headers


async def test_a_second_look_ends_before_the_deadline(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=400, body={"code": "800061", "description": "no"})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id}, prefer="wait=1")

    assert answer.code == "not_cancellable"
    assert cloud.methods() == ["PATCH", "GET"]


async def test_a_second_look_finds_a_cancellation_that_shows_late(app: App, cloud: LocalCloud, order_id: str) -> None:
    living = cloud.order(order_id)
    body = {"customerTenantId": CUSTOMER, "orderId": order_id}
    await app.post(body)
    cloud.fault(method="GET", body=living)

    answer = await app.post(body)

    assert answer.outcome == "already_cancelled"
    assert cloud.methods() == ["PATCH", "PATCH", "GET", "GET"]


FIRST_PATCHES: dict[str, Json] = {
    "accepted": {"method": "PATCH", "status": 202, "body": ""},
    "unaccounted": {"method": "PATCH", "status": 503, "times": 4},
}


@pytest.mark.parametrize("name", FIRST_PATCHES)
@pytest.mark.parametrize("code", ["800061", "800040", "2011"])
async def test_a_refusal_is_not_final_while_an_earlier_patch_may_not_show_yet(
    app: App, cloud: LocalCloud, order_id: str, name: str, code: str
) -> None:
    """The second of two deliveries would close the ticket as failed, and then the order is cancelled."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id}
    cloud.fault(**FIRST_PATCHES[name])
    first = await app.post(body)
    cloud.fault(method="PATCH", status=400, body={"code": code})

    second = await app.post(body, prefer="wait=1")

    assert (first.outcome or first.code) in {"pending", "outcome_unknown"}
    assert (second.status, second.code) == (503, "outcome_unknown")
    assert second.body["partnerCenter"]["code"] == code


async def test_a_second_delivery_while_a_cancellation_does_not_show_is_no_refusal(app: App) -> None:
    """The order looks as before for a while, and Partner Center refuses the second PATCH."""
    body = {"customerTenantId": SOFTWARE_CUSTOMER, "orderId": built_in("shows-later")}

    first = await app.post(body)
    second = await app.post(body, prefer="wait=1")
    third = await app.post(body)

    assert first.outcome == "pending"
    assert (second.outcome or second.code) in {"already_cancelled", "outcome_unknown"}
    assert (third.outcome or third.code) in {"already_cancelled", "outcome_unknown"}


async def test_a_refusal_is_not_final_while_another_patch_is_on_its_way(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    """Of two deliveries that overlap, the second must not be refused for what the first one is doing."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id}
    await app.get()  # the token is there, so that the first PATCH leaves at once
    cloud.fault(method="PATCH", delay_s=60)
    first = asyncio.create_task(app.post(body, prefer="wait=20"))
    await wait_for_request(cloud, "partner_center", "PATCH")
    cloud.fault(method="PATCH", status=400, body={"code": "800061"})

    second = await app.post(body, prefer="wait=1")

    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert second.code == "outcome_unknown"


async def test_an_earlier_patch_of_another_order_changes_no_refusal(app: App, cloud: LocalCloud, order_id: str) -> None:
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})
    cloud.fault(method="PATCH", status=400, body={"code": "800061"})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id_of("test-order-0399")}, prefer="wait=1")

    assert answer.code == "not_cancellable"


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
