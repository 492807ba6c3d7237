"""Cancelling single lines: the order is read first, so that no other line is touched."""

import pytest

from tests.conftest import CUSTOMER
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud

pytestmark = pytest.mark.anyio


async def test_lines_cost_two_requests(app: App, cloud: LocalCloud, order_id: str) -> None:
    lines = [{"lineItemNumber": 0}, {"lineItemNumber": 2}]

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": lines})

    assert answer.outcome == "partially_cancelled"
    assert cloud.methods() == ["GET", "PATCH"]


async def test_only_lines_that_are_not_cancelled_yet_are_sent(app: App, cloud: LocalCloud, order_id: str) -> None:
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 0}]})
    cloud.forget()
    lines = [{"lineItemNumber": 0}, {"lineItemNumber": 1}]

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": lines})

    assert answer.outcome == "partially_cancelled"
    assert answer.body["cancelledLineItems"] == [0, 1]
    [_, patch] = cloud.requests("partner_center")
    assert [line["lineItemNumber"] for line in patch["body"]["lineItems"]] == [1]


async def test_the_last_lines_cancel_the_order(app: App, cloud: LocalCloud, order_id: str) -> None:
    lines = [{"lineItemNumber": 2}, {"lineItemNumber": 0}, {"lineItemNumber": 1}]

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": lines})

    assert answer.outcome == "cancelled"
    assert answer.body["status"] == "cancelled"
    assert cloud.methods() == ["GET", "PATCH"]


async def test_lines_that_are_cancelled_already_need_no_patch(app: App, cloud: LocalCloud, order_id: str) -> None:
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 0}]}
    await app.post(body)
    cloud.forget()

    answer = await app.post(body)

    assert answer.outcome == "already_cancelled"
    assert cloud.methods() == ["GET"]


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"lineItemNumber": 3}, id="no-such-line"),
        pytest.param({"lineItemNumber": 0, "offerId": "DG7GMGF0FKZV:0003:DG7GMGF0DW01"}, id="offer-of-another-line"),
    ],
)
async def test_a_wrong_line_is_refused_before_anything_changes(
    app: App, cloud: LocalCloud, order_id: str, wrong: Json
) -> None:
    lines = [{"lineItemNumber": 1}, wrong]

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": lines})

    assert answer.status == 422
    assert answer.code == "line_item_mismatch"
    assert cloud.methods() == ["GET"]
    assert cloud.order(order_id)["lineItems"][1]["quantity"] == 1
