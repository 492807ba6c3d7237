"""Repeats by a caller and by the function, and the ids that go with them."""

import pytest

from tests.conftest import CUSTOMER
from tests.support.in_process import App
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio


async def test_a_second_cancellation_is_a_success(app: App, order_id: str) -> None:
    """Webhooks are delivered twice; Partner Center refuses the second PATCH."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id}
    await app.post(body)

    answer = await app.post(body)

    assert answer.status == 200
    assert answer.outcome == "already_cancelled"
    assert answer.body["cancelledLineItems"] == [0, 1, 2]


async def test_a_short_failure_is_repeated_until_it_is_over(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=502, body="<html>", times=2)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.status == 200
    assert answer.outcome == "cancelled"


async def test_a_repeat_keeps_its_request_id_and_a_read_has_its_own(app: App, cloud: LocalCloud, order_id: str) -> None:
    """Partner Center tells a repeat from a second cancellation by MS-RequestId alone."""
    cloud.fault(method="PATCH", hang_up="before")
    cloud.fault(method="PATCH", status=503)
    cloud.fault(method="PATCH", status=401)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 0}]})

    assert answer.status == 200
    get, *patches = cloud.requests("partner_center")
    assert len(patches) == 4
    assert {patch["headers"]["ms-requestid"] for patch in patches} == {answer.body["requestId"]}
    assert get["headers"]["ms-requestid"] != answer.body["requestId"]
    correlation_ids = {request["headers"]["ms-correlationid"] for request in (get, *patches)}
    assert correlation_ids == {answer.body["correlationId"]}


@pytest.mark.parametrize("method", ["PATCH", "GET"])
async def test_a_repeat_with_a_new_token_has_a_new_request_id(
    app: App, cloud: LocalCloud, order_id: str, method: str
) -> None:
    """Partner Center may replay the 401 to the id that it has seen, and the new token would be of no use."""
    cloud.fault(method=method, status=401)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": method == "GET"})

    assert answer.status == 200
    refused, repeated, *_ = cloud.requests("partner_center", method)
    assert refused["headers"]["ms-requestid"] == answer.body["requestId"]
    assert repeated["headers"]["ms-requestid"] != answer.body["requestId"]
    assert repeated["headers"]["ms-correlationid"] == answer.body["correlationId"]


async def test_a_look_after_a_patch_has_a_request_id_of_its_own(app: App, cloud: LocalCloud, order_id: str) -> None:
    """Partner Center may replay the PATCH's answer to its id; here it does, and that answer is of no use."""
    cloud.fault(method="PATCH", body="unreadable")

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.outcome == "cancelled"
    patch, look = cloud.requests("partner_center")
    assert (patch["method"], look["method"]) == ("PATCH", "GET")
    assert look["headers"]["ms-requestid"] != patch["headers"]["ms-requestid"]


async def test_each_call_has_a_request_id_of_its_own(app: App, order_id: str) -> None:
    """If Partner Center replays answers by this id, an old refusal must not come back for ever."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id}

    first, second = [await app.post(body) for _ in range(2)]

    assert first.body["requestId"] != second.body["requestId"]


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_AS_GUID = "0af76519-16cd-43dd-8448-eb211c80319c"


@pytest.mark.parametrize(
    ("context", "header", "correlation_id"),
    [
        pytest.param(TRACE, "", TRACE_AS_GUID, id="from-the-host"),
        pytest.param("", TRACE, TRACE_AS_GUID, id="from-the-header"),
        pytest.param("00-00000000000000000000000000000000-b7ad6b7169203331-01", "", None, id="all-zero"),
        pytest.param("junk", "junk", None, id="junk"),
    ],
)
async def test_the_correlation_id_is_the_trace_id(
    app: App, order_id: str, context: str, header: str, correlation_id: str | None
) -> None:
    """One id leads from the ticket through Application Insights to Partner Center's support."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True}

    answer = await app.post(body, trace_parent=context, traceparent=header)

    assert len(answer.body["correlationId"]) == 36
    assert correlation_id in {None, answer.body["correlationId"]}
