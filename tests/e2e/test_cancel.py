"""A cancellation as it is deployed: over HTTP, through Azure's own runtime, to the whole local cloud and back."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import CUSTOMER
from tests.support.built_in_orders import SOFTWARE_CUSTOMER, built_in
from tests.support.functions_host import logged_errors
from tests.support.local_cloud import LocalCloud, software_order


@pytest.fixture(scope="module", autouse=True)
def log_start(whole_cloud: LocalCloud) -> int:
    """The size of the function's log before the tests of this file."""
    return whole_cloud.log.stat().st_size


def test_a_whole_order_costs_one_request_when_warm(cloud: LocalCloud, order_id: str) -> None:
    cloud.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    cloud.forget()
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "ticketId": "ZD-1", "reason": "wrong edition"}

    response = cloud.post(body)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-content-type-options"] == "nosniff"
    answer = response.json()
    assert answer["outcome"] == "cancelled"
    assert answer["cancelledLineItems"] == [0, 1, 2]
    assert cloud.order(order_id)["status"] == "cancelled"
    [patch] = cloud.requests()
    assert (patch["service"], patch["method"]) == ("partner_center", "PATCH")
    assert patch["path"] == f"/v1/customers/{CUSTOMER}/orders/{order_id}"
    assert patch["body"] == {"id": order_id, "status": "cancelled"}
    assert patch["headers"]["ms-requestid"] == answer["requestId"]
    assert patch["headers"]["ms-correlationid"] == answer["correlationId"]


def test_lines_cost_two_requests_and_leave_the_other_lines(cloud: LocalCloud, order_id: str) -> None:
    cloud.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    cloud.forget()
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 1}]}

    answer = cloud.post(body).json()

    assert answer["outcome"] == "partially_cancelled"
    assert answer["cancelledLineItems"] == [1]
    lines = cloud.order(order_id)["lineItems"]
    assert [line["quantity"] for line in lines] == [1, 0, 1]
    get, patch = cloud.requests()
    assert (get["method"], patch["method"]) == ("GET", "PATCH")
    assert patch["body"]["lineItems"] == [{"lineItemNumber": 1, "offerId": lines[1]["offerId"]}]


def test_an_order_that_many_callers_cancel_at_once_is_cancelled_once(cloud: LocalCloud, order_id: str) -> None:
    """A webhook may be delivered again before the first delivery was answered."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id}

    with ThreadPoolExecutor(16) as callers:
        outcomes = set(callers.map(lambda _: cloud.post(body).json()["outcome"], range(16)))

    assert outcomes <= {"cancelled", "already_cancelled"}
    assert cloud.order(order_id)["status"] == "cancelled"


def test_orders_of_every_form_are_answered_in_one_form(cloud: LocalCloud, order_id: str) -> None:
    """A flow needs one schema for every product and every generation of orders."""
    from_file = cloud.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True}).json()
    pascal_case, bare = (
        cloud.post({"customerTenantId": SOFTWARE_CUSTOMER, "orderId": built_in(name), "dryRun": True}).json()
        for name in ("pascal-case", "no-status-no-lines")
    )

    assert from_file.keys() == pascal_case.keys() == bare.keys()
    assert from_file["lineItems"][0].keys() == pascal_case["lineItems"][0].keys()
    expected = software_order(order_id, CUSTOMER, lines=3)["lineItems"][2]
    assert from_file["lineItems"][2]["offerId"] == expected["offerId"]


def test_nothing_went_wrong_in_the_log(cloud: LocalCloud, log_start: int) -> None:
    assert logged_errors(cloud.log.read_bytes()[log_start:].decode()) == []
