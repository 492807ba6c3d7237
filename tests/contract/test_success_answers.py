"""Partner Center answers 2xx: some answers show the cancellation, after the others the order is read."""

import json

import pytest

from tests.conftest import CUSTOMER
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud

pytestmark = pytest.mark.anyio

SHOWING: dict[str, Json] = {
    "pascal-no-lines": {"Status": "Cancelled"},
    "quantity-0": {"status": "completed", "lineItems": [{"lineItemNumber": 0, "quantity": 0}]},
    "status": {"status": "cancelled", "lineItems": [{"lineItemNumber": 0, "quantity": 5}]},
    "odd-members": {"status": "cancelled", "friendlyName": "\ud83d", "currencyCode": 5, "creationDate": "never"},
}
NOT_SHOWING: dict[str, object] = {
    "empty": "",
    "null": "null",
    "html": "<html>",
    "bom": "\ufeff",
    "code-0": {"code": 0},
    "another-order": {"id": "another-order", "status": "cancelled"},
    "pending": {"status": "pending"},
}


@pytest.mark.parametrize("name", SHOWING)
async def test_a_cancellation_shows_in_many_forms(app: App, cloud: LocalCloud, order_id: str, name: str) -> None:
    cloud.fault(method="PATCH", body=json.dumps({"Id": order_id, **SHOWING[name]}))

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.outcome == "cancelled"
    assert cloud.methods() == ["PATCH"]


@pytest.mark.parametrize("name", NOT_SHOWING)
async def test_after_a_success_that_does_not_show_the_order_is_read(
    app: App, cloud: LocalCloud, order_id: str, name: str
) -> None:
    """The order was changed; only the answer is of no use."""
    cloud.fault(method="PATCH", body=NOT_SHOWING[name])

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.outcome == "cancelled"
    assert cloud.methods() == ["PATCH", "GET"]


async def test_a_success_that_the_order_does_not_show_is_pending(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=202, body="")

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 200
    assert answer.outcome == "pending"
    assert answer.body["orderId"] == order_id
    assert answer.body["status"] == "completed"
    assert [line["cancelled"] for line in answer.body["lineItems"]] == [False] * 3


async def test_a_success_is_pending_if_the_order_cannot_be_read(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=202, body="")
    cloud.fault(method="GET", status=500, times=4)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 200
    assert answer.outcome == "pending"
    assert answer.body["orderId"] == order_id
    assert answer.body["status"] is None
    assert answer.body["lineItems"] == []


async def test_pending_lines_keep_the_order_that_was_read_before(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=202, body="")
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    cloud.fault(method="GET", delay_s=0)  # the read before the PATCH succeeds
    cloud.fault(method="GET", status=500, times=4)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 0}]})

    assert answer.outcome == "pending"
    assert answer.body["status"] == "completed"
    assert len(answer.body["lineItems"]) == 3
