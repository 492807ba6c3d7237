"""The deployed shape: HTTP through Azure's own runtime to the whole local cloud, and back."""

from typing import Any

from tests.conftest import CUSTOMER
from tests.local_cloud import LocalCloud


def request(order_id: str, **more: Any) -> dict[str, Any]:
    return {"customerTenantId": CUSTOMER, "orderId": order_id} | more


def test_a_whole_order_costs_one_request_when_warm(cloud: LocalCloud, order_id: str) -> None:
    cloud.post(request(order_id, dryRun=True))
    cloud.forget()

    response = cloud.post(request(order_id, ticketId="ZD-1", reason="wrong edition"))

    answer = response.json()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert answer["outcome"] == "cancelled"
    assert answer["cancelledLineItems"] == [0, 1, 2]
    assert cloud.order(order_id)["status"] == "cancelled"
    [patch] = cloud.requests()
    assert (patch["service"], patch["method"]) == ("partner_center", "PATCH")
    assert patch["path"] == f"/v1/customers/{CUSTOMER}/orders/{order_id}"
    assert patch["body"] == {"id": order_id, "status": "cancelled"}
    assert patch["headers"]["ms-requestid"] == answer["requestId"]
    assert patch["headers"]["ms-correlationid"] == answer["correlationId"]


def test_lines_cost_two_requests_and_no_other_line(cloud: LocalCloud, order_id: str) -> None:
    cloud.post(request(order_id, dryRun=True))
    cloud.forget()

    answer = cloud.post(request(order_id, lineItems=[{"lineItemNumber": 1}])).json()

    assert (answer["outcome"], answer["cancelledLineItems"]) == ("partially_cancelled", [1])
    assert [line["quantity"] for line in cloud.order(order_id)["lineItems"]] == [1, 0, 1]
    assert [one["method"] for one in cloud.requests()] == ["GET", "PATCH"]
    offer = cloud.order(order_id)["lineItems"][1]["offerId"]
    assert cloud.requests()[1]["body"]["lineItems"] == [{"lineItemNumber": 1, "offerId": offer}]
