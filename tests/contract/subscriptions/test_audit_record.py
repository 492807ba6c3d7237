"""The audit record of a cancellation by subscription: the route, and each PATCH by its subscription."""

import json
import logging

import pytest

from tests.support.built_in_orders import LICENCE_CUSTOMER, built_in_short, subscription_of
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud, order_id_of

pytestmark = pytest.mark.anyio

LICENCE = subscription_of("licence")
BY_SUBSCRIPTION = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": LICENCE}
BY_ORDER = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence")}
FIVE = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licences-five")}
MIXED = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("software-and-licence")}


def records(caplog: pytest.LogCaptureFixture) -> list[Json]:
    return [json.loads(line.getMessage()) for line in caplog.records if line.name == "cancel_order.audit"]


async def test_a_cancellation_by_subscription(app: App, caplog: pytest.LogCaptureFixture) -> None:
    answer = await app.post(BY_SUBSCRIPTION)

    sending, decided = records(caplog)
    same = {
        "customerTenantId": LICENCE_CUSTOMER,
        "orderId": None,
        "subscriptionId": LICENCE,
        "route": "subscription",
        "subscriptions": [{"id": LICENCE, "requestId": answer.request_id, "code": None, "replaced": None}],
        "lineItems": None,
    }
    assert sending.items() >= (same | {"event": "sending"}).items()
    assert decided.items() >= (same | {"event": "decided", "outcome": "cancelled"}).items()


async def test_a_licence_by_its_order(app: App, caplog: pytest.LogCaptureFixture) -> None:
    await app.post(BY_ORDER)

    decided = records(caplog)[-1]
    assert (decided["orderId"], decided["subscriptionId"]) == (BY_ORDER["orderId"], None)
    assert decided["route"] == "subscription"
    assert [patch["id"] for patch in decided["subscriptions"]] == [LICENCE]


async def test_a_body_from_a_new_reading_is_one_more(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """By its request id Partner Center's support finds each of them."""
    changed = cloud.subscription(LICENCE) | {"friendlyName": "Sales"}
    cloud.fault(method="PATCH", status=412, put_subscription=changed)

    await app.post(BY_SUBSCRIPTION)

    decided = records(caplog)[-1]
    sent = [patch["headers"]["ms-requestid"] for patch in cloud.requests(method="PATCH")]
    assert [patch["requestId"] for patch in decided["subscriptions"]] == sent
    assert [patch["code"] for patch in decided["subscriptions"]] == ["order_busy", None]


@pytest.mark.parametrize(
    "fault", [pytest.param({"status": 503}, id="repeated"), pytest.param({"hang_up": "after"}, id="found-done")]
)
async def test_a_patch_that_was_accepted_in_the_end_has_no_code(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, fault: Json
) -> None:
    cloud.fault(method="PATCH", **fault)

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "cancelled"
    [patch] = records(caplog)[-1]["subscriptions"]
    assert patch["code"] is None


async def test_a_patch_without_a_new_token_has_its_code(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture
) -> None:
    await app.post(BY_SUBSCRIPTION | {"dryRun": True})  # fetches the token
    cloud.fault(method="PATCH", status=401)
    refusal = {"error": "invalid_client", "error_description": "AADSTS7000215: no"}
    cloud.fault(service="entra", method="POST", status=401, body=refusal, times=9)

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.code == "credentials_rejected"
    [patch] = records(caplog)[-1]["subscriptions"]
    assert patch["code"] == "credentials_rejected"


async def test_each_patch_of_the_order_has_its_code(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """An order whose id looks like one of software: refused as a whole, then its software by itself."""
    order_id, licence = order_id_of("software-and-licence"), subscription_of("software-and-licence", 1)
    order = cloud.order(MIXED["orderId"]) | {"id": order_id}
    cloud.put(f"subscriptions/{licence}", cloud.subscription(licence) | {"orderId": order_id})
    done = order | {"lineItems": [order["lineItems"][0] | {"quantity": 0}, order["lineItems"][1]]}
    cloud.fault(method="GET", path="/orders/", status=200, body=order)
    cloud.fault(method="PATCH", path="/orders/", status=400, body={"code": "800063", "description": "no"})
    cloud.fault(method="PATCH", path="/orders/", status=200, body=done)

    answer = await app.post(MIXED | {"orderId": order_id})

    assert answer.outcome == "cancelled"
    decided = records(caplog)[-1]
    sent = [patch["headers"]["ms-requestid"] for patch in cloud.requests(method="PATCH", path="/orders/")]
    assert [patch["requestId"] for patch in decided["orderPatches"]] == sent
    assert [patch["code"] for patch in decided["orderPatches"]] == ["use_subscription_cancel", None]
    assert (decided["route"], [patch["code"] for patch in decided["subscriptions"]]) == ("both", [None])


async def test_several_lines_are_one_sending(app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture) -> None:
    late = subscription_of("licences-five", 2)
    cloud.fault(method="PATCH", path=f"/{late}$", status=400, body={"code": "900117", "description": "too late"})

    await app.post(FIVE)

    sending, decided = records(caplog)
    assert (sending["event"], decided["code"]) == ("sending", "some_lines_refused")
    assert {patch["id"]: patch["code"] for patch in decided["subscriptions"]} == {
        subscription_of("licences-five", line): "cancellation_window_passed" if line == 2 else None for line in range(5)
    }


@pytest.mark.parametrize(
    ("body", "fault", "route"),
    [
        pytest.param(BY_ORDER | {"dryRun": True}, {"method": "DELETE"}, None, id="nothing-was-sent"),
        pytest.param(MIXED, {"method": "PATCH", "status": 403}, "order", id="the-order-was-refused"),
        pytest.param(MIXED, {"method": "PATCH", "path": "/orders/", "status": 200, "body": "done"}, "both", id="both"),
    ],
)
async def test_the_route_is_that_of_the_patches(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, body: Json, fault: Json, route: str | None
) -> None:
    cloud.fault(**fault)

    await app.post(body)

    decided = records(caplog)[-1]
    assert decided["route"] == route
    assert len(decided["subscriptions"]) == (route == "both")


FAULTS: dict[str, Json] = {
    "none": {"method": "DELETE"},
    "lost": {"method": "PATCH", "hang_up": "after"},
    "broken-off": {"method": "PATCH", "hang_up": "halfway"},
    "rejected": {"method": "PATCH", "status": 401, "times": 2},
    "junk": {"method": "GET", "body": "junk"},
}


@pytest.mark.parametrize("name", FAULTS)
async def test_no_log_shows_a_token_or_what_a_subscription_holds(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.DEBUG)
    planted = cloud.subscription(LICENCE) | {"partnerId": "PLANTED-1", "friendlyName": "PLANTED-2"}
    cloud.put(f"subscriptions/{LICENCE}", planted)
    cloud.fault(**FAULTS[name])

    await app.post(BY_SUBSCRIPTION, x_functions_key="PLANTED-3")

    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "cancel_order.audit" in logged
    assert "PLANTED" not in logged
    assert "eyJ" not in logged, "a token begins so"
