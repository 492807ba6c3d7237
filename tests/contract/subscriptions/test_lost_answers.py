"""PATCH requests of a subscription without a usable answer: it is read again before anything else is sent."""

import asyncio

import pytest

from tests.support.built_in_orders import (
    LICENCE_CUSTOMER,
    MARKETPLACE_CUSTOMER,
    built_in,
    built_in_short,
    subscription_of,
)
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio

LICENCE = subscription_of("licence")
BY_SUBSCRIPTION = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": LICENCE}
BY_ORDER = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence")}


async def test_a_patch_that_did_not_arrive_is_sent_again_after_a_new_reading(app: App, cloud: LocalCloud) -> None:
    """The same bytes keep their MS-RequestId, by which Partner Center recognises a repeat."""
    cloud.fault(method="PATCH", hang_up="before")

    answer = await app.post(BY_SUBSCRIPTION)

    first, second = cloud.requests(method="PATCH")
    assert answer.outcome == "cancelled"
    assert cloud.methods() == ["GET", "PATCH", "GET", "PATCH"]
    assert first["headers"]["ms-requestid"] == second["headers"]["ms-requestid"] == answer.request_id
    assert first["body"] == second["body"]


async def test_a_cancellation_whose_answer_was_lost_is_found(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", hang_up="after")

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "cancelled"
    assert cloud.methods() == ["GET", "PATCH", "GET"]


async def test_failures_that_do_not_end_leave_the_outcome_unknown(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", status=503, times=4)

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.code == "outcome_unknown"
    assert cloud.methods() == ["GET", "PATCH"] * 4 + ["GET"]
    assert answer.body["order"] is None, "even the newest reading may be older than the change"


FINAL: dict[str, Json] = {
    "too-late": {"method": "PATCH", "status": 400, "body": {"code": "900117", "description": "too late"}},
    "not-found": {"method": "GET", "status": 404, "body": {"code": "20003", "description": "not found"}},
    "forbidden": {"method": "PATCH", "status": 403},
    "rejected": {"method": "PATCH", "status": 401, "times": 2},
    "throttled": {"method": "PATCH", "status": 429, "headers": {"Retry-After": "57"}},
    "junk": {"method": "GET", "status": 200, "body": "junk"},
}


@pytest.mark.parametrize(
    ("name", "body"),
    [*((name, BY_SUBSCRIPTION) for name in FINAL), *((name, BY_ORDER) for name in ("too-late", "not-found"))],
)
async def test_no_refusal_is_final_while_a_patch_is_unaccounted_for(
    app: App, cloud: LocalCloud, name: str, body: Json
) -> None:
    """The first PATCH may still cancel it. The refusal meets the PATCH after it, or the reading before that."""
    path = f"/{LICENCE}$"
    cloud.fault(method="GET", path=path)  # the first reading passes
    cloud.fault(method="PATCH", path=path, hang_up="before")
    cloud.fault(path=path, **FINAL[name])

    answer = await app.post(body)

    assert answer.code == "outcome_unknown"
    assert answer.body["retryable"] is True
    assert cloud.subscription(LICENCE)["status"] == "active"


SAAS = subscription_of(built_in("saas"))
AFTER_LOST_ORDER: dict[str, Json] = {
    "more-seats": {"method": "PATCH", "path": "/orders/", "hang_up": "before", "put": {"quantity": 9}},
    "expired": {"method": "PATCH", "path": "/orders/", "hang_up": "before", "put": {"status": "expired"}},
    "not-found": {"method": "GET", "path": f"/{SAAS}$", "status": 404, "body": {"code": "20003"}},
}


@pytest.mark.parametrize("name", AFTER_LOST_ORDER)
async def test_no_refusal_by_subscription_is_final_after_a_lost_patch_of_the_order(
    app: App, cloud: LocalCloud, name: str
) -> None:
    """The first PATCH of the order may still cancel it, though Partner Center refused the second one (800077)."""
    fault = dict(AFTER_LOST_ORDER[name])
    if change := fault.pop("put", None):
        fault["put_subscription"] = cloud.subscription(SAAS) | change
    else:
        cloud.fault(method="PATCH", path="/orders/", hang_up="before")
    cloud.fault(**fault)

    answer = await app.post({"customerTenantId": MARKETPLACE_CUSTOMER, "orderId": built_in("saas")})

    assert [patch["status"] for patch in cloud.requests(method="PATCH")] == [None, 403]
    assert answer.code == "outcome_unknown"


async def test_a_lost_patch_of_the_order_is_made_good_by_subscription(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", path="/orders/", hang_up="before")

    answer = await app.post({"customerTenantId": MARKETPLACE_CUSTOMER, "orderId": built_in("saas")})

    assert answer.outcome == "cancelled"
    assert cloud.subscription(SAAS)["status"] == "deleted"


async def test_a_patch_that_the_host_cuts_off_is_in_doubt(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", delay_s=60)
    call = asyncio.create_task(app.post(BY_ORDER))
    await wait_for_request(cloud, "partner_center", "PATCH")
    call.cancel()

    answer = await call

    assert answer.code == "outcome_unknown"
    assert answer.body["order"] is None
