"""Partner Center refuses the PATCH of a subscription because something else changes it: it is read and sent again."""

import pytest

from tests.support.built_in_orders import LICENCE_CUSTOMER, built_in_short, subscription_of
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud

pytestmark = pytest.mark.anyio

LICENCE = subscription_of("licence")
BY_SUBSCRIPTION = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": LICENCE}
BY_ORDER = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence")}
CONFLICTS: dict[str, Json] = {
    "409": {"status": 409},
    "not-ready": {"status": 409, "body": {"code": "800082", "description": "not ready"}},
    "not-allowed-now": {"status": 400, "body": {"code": "900280", "description": "not now"}},
    "412": {"status": 412},
    "stale-etag": {"status": 400, "body": {"code": "2055", "description": "The ETag is stale."}},
}


@pytest.mark.parametrize("name", CONFLICTS)
async def test_a_conflict_that_passes_costs_a_reading(app: App, cloud: LocalCloud, name: str) -> None:
    cloud.fault(method="PATCH", **CONFLICTS[name])

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "cancelled"
    assert cloud.methods() == ["GET", "PATCH", "GET", "PATCH"]


@pytest.mark.parametrize("name", CONFLICTS)
async def test_a_conflict_that_passes_costs_the_end_of_a_term_a_reading(app: App, cloud: LocalCloud, name: str) -> None:
    cloud.fault(method="PATCH", **CONFLICTS[name])

    answer = await app.post(BY_SUBSCRIPTION | {"when": "term_end"})

    assert answer.outcome == "scheduled"
    assert cloud.methods() == ["GET", "PATCH", "GET", "PATCH", "GET"]


async def test_a_conflict_that_stays_is_order_busy(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", **CONFLICTS["stale-etag"], times=4)

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.code == "order_busy"
    assert answer.retry_after == "59"
    assert cloud.methods() == ["GET", "PATCH"] * 4
    [line] = answer.body["order"]["lineItems"]
    assert (line["code"], line["cancelled"], line["cancellable"]) == ("order_busy", False, False)


async def test_a_pending_operation_is_not_waited_for(app: App, cloud: LocalCloud) -> None:
    """It clears after a day."""
    cloud.fault(method="PATCH", status=409, body={"code": "900278", "description": "pending"})

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.code == "not_cancellable"
    assert cloud.methods() == ["GET", "PATCH", "GET"]


async def test_a_change_by_somebody_else_is_kept(app: App, cloud: LocalCloud) -> None:
    """A body from an older reading would undo it. The new body has an MS-RequestId of its own."""
    changed = cloud.subscription(LICENCE) | {"friendlyName": "Sales", "autoRenewEnabled": False}
    cloud.fault(method="PATCH", status=412, put_subscription=changed)

    answer = await app.post(BY_ORDER)

    first, second = cloud.requests(method="PATCH")
    assert answer.outcome == "cancelled"
    assert second["body"] == changed | {"status": "deleted"}
    assert first["headers"]["ms-requestid"] != second["headers"]["ms-requestid"]
    assert cloud.subscription(LICENCE) == changed | {"status": "deleted"}


async def test_an_answered_conflict_is_not_replayed_to_the_next_patch(app: App, cloud: LocalCloud) -> None:
    """Partner Center may give its old answer to an MS-RequestId that it knows, though it is ready by now.

    It is pending for the first PATCH only, which it answers itself, so that it remembers the answer.
    """
    active = cloud.subscription(LICENCE)
    cloud.fault(method="GET", put_subscription=active | {"status": "pending"})
    cloud.fault(method="PATCH", put_subscription=active)

    answer = await app.post(BY_SUBSCRIPTION)

    assert [request["status"] for request in cloud.requests(method="PATCH")] == [409, 200]
    assert answer.outcome == "cancelled"
