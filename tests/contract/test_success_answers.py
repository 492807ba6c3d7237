"""Partner Center answers 2xx: some answers show the cancellation, after the others the order is read."""

import json

import pytest

from tests.conftest import CUSTOMER
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud

pytestmark = pytest.mark.anyio

LIVING_LINES = [{"lineItemNumber": number, "quantity": 1} for number in range(3)]
SHOWING: dict[str, Json] = {
    "status": {"status": "cancelled", "lineItems": LIVING_LINES},
    "pascal": {"Status": "Cancelled", "LineItems": [{"LineItemNumber": 0, "Quantity": 5}]},
    "one-l": {"status": " canceled ", "lineItems": LIVING_LINES},
    "odd-members": {"status": "cancelled", "lineItems": LIVING_LINES, "currencyCode": 5, "creationDate": "never"},
}
# What comes back if our own request is echoed, with or without what a serializer adds.
ECHOES: dict[str, Json] = {
    "as-sent": {"status": "cancelled"},
    "pascal": {"Status": "Cancelled"},
    "with-nulls": {"status": "cancelled", "lineItems": None, "alternateId": None, "currencyCode": None},
    "without-lines": {"status": "cancelled", "lineItems": []},
}
ECHOES_OF_LINES: dict[str, Json] = {
    "as-sent": {"status": "cancelled", "lineItems": [{"lineItemNumber": 0}]},
    "pascal": {"Status": "Cancelled", "LineItems": [{"LineItemNumber": 0}]},
    "with-nulls": {"status": "cancelled", "lineItems": [{"lineItemNumber": 0, "offerId": None, "quantity": None}]},
    "with-0": {"status": "cancelled", "lineItems": [{"lineItemNumber": 0, "quantity": 0}]},
}
NOT_SHOWING: dict[str, object] = {
    "one-line-of-three": {"status": "completed", "lineItems": [{"lineItemNumber": 0, "quantity": 0}]},
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


async def test_a_line_that_the_answer_leaves_out_lives_on(app: App, cloud: LocalCloud, order_id: str) -> None:
    """The answer has one of three lines, and no other request is needed to know the others."""
    body = {"id": order_id, "status": "completed", "lineItems": [{"lineItemNumber": 0, "quantity": 0}]}
    cloud.fault(method="PATCH", body=body)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 0}]})

    assert answer.outcome == "partially_cancelled"
    assert answer.body["cancelledLineItems"] == [0]
    assert [line["cancelled"] for line in answer.body["lineItems"]] == [True, False, False]
    assert cloud.methods() == ["GET", "PATCH"]


@pytest.mark.parametrize("can_look", [True, False], ids=["looked", "look-failed"])
@pytest.mark.parametrize("name", ECHOES)
async def test_an_echo_of_the_request_is_no_cancellation(
    app: App, cloud: LocalCloud, order_id: str, name: str, can_look: bool
) -> None:
    cloud.fault(method="PATCH", status=200, body={"id": order_id, **ECHOES[name]})
    if not can_look:
        cloud.fault(method="GET", status=403)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.outcome == "pending"
    assert answer.body["status"] == ("completed" if can_look else None)
    assert answer.body["cancelledLineItems"] == []
    assert cloud.methods() == ["PATCH", "GET"]


@pytest.mark.parametrize("can_look", [True, False], ids=["looked", "look-failed"])
@pytest.mark.parametrize("name", ECHOES_OF_LINES)
async def test_an_echo_of_a_request_for_lines_is_no_cancellation(
    app: App, cloud: LocalCloud, order_id: str, name: str, can_look: bool
) -> None:
    cloud.fault(method="PATCH", status=200, body={"id": order_id, **ECHOES_OF_LINES[name]})
    if not can_look:
        cloud.fault(method="GET", delay_s=0)  # the read before the PATCH succeeds
        cloud.fault(method="GET", status=403)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 0}]})

    assert answer.outcome == "pending"
    assert answer.body["status"] == "completed"
    assert [line["cancelled"] for line in answer.body["lineItems"]] == [False] * 3
    assert cloud.methods() == ["GET", "PATCH", "GET"]


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


async def test_a_failed_look_keeps_the_answer_to_the_patch(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", body={"id": order_id, "status": "pending", "lineItems": LIVING_LINES})
    cloud.fault(method="GET", status=403)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.outcome == "pending"
    assert answer.body["status"] == "pending"
    assert [line["cancelled"] for line in answer.body["lineItems"]] == [False] * 3


async def test_pending_lines_keep_the_order_that_was_read_before(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=202, body="")
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    cloud.fault(method="GET", delay_s=0)  # the read before the PATCH succeeds
    cloud.fault(method="GET", status=500, times=4)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 0}]})

    assert answer.outcome == "pending"
    assert answer.body["status"] == "completed"
    assert len(answer.body["lineItems"]) == 3
