"""The requests of a cancellation by subscription: their number, and the whole resource in the PATCH."""

import pytest

from tests.conftest import CUSTOMER
from tests.support.built_in_orders import LICENCE_CUSTOMER, built_in_short, subscription_of
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud

pytestmark = pytest.mark.anyio


async def test_a_subscription_costs_two_requests(app: App, cloud: LocalCloud) -> None:
    licence = subscription_of("licence")

    answer = await app.post({"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": licence})

    assert answer.outcome == "cancelled"
    assert cloud.methods() == ["GET", "PATCH"]
    assert cloud.subscription(licence)["status"] == "deleted"


async def test_a_licence_by_its_order_costs_three_requests(app: App, cloud: LocalCloud) -> None:
    answer = await app.post({"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence")})

    assert answer.outcome == "cancelled"
    assert cloud.methods() == ["GET", "GET", "PATCH"]
    assert answer.body["cancelledLineItems"] == [0]
    assert cloud.subscription(subscription_of("licence"))["status"] == "deleted"


async def test_five_licences_cost_eleven_requests(app: App, cloud: LocalCloud) -> None:
    """One for the order, two for each line."""
    answer = await app.post({"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licences-five")})

    assert answer.outcome == "cancelled"
    assert sorted(cloud.methods()) == ["GET"] * 6 + ["PATCH"] * 5


async def test_a_licence_that_its_line_does_not_name_costs_a_list(app: App, cloud: LocalCloud) -> None:
    order_id = built_in_short("licence-unnamed")

    answer = await app.post({"customerTenantId": LICENCE_CUSTOMER, "orderId": order_id})

    assert answer.outcome == "cancelled"
    assert answer.body["lineItems"][0]["subscriptionId"] == subscription_of("licence-unnamed")
    assert cloud.methods() == ["GET", "GET", "GET", "PATCH"]
    assert cloud.requests("partner_center")[1]["path"].endswith(f"/subscriptions?order_id={order_id}")


async def test_a_deleted_subscription_costs_one_request(app: App, cloud: LocalCloud) -> None:
    answer = await app.post(
        {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": subscription_of("licence-deleted")}
    )

    assert answer.outcome == "already_cancelled"
    assert cloud.methods() == ["GET"]


async def test_the_whole_subscription_is_sent_back(app: App, cloud: LocalCloud) -> None:
    """Partner Center resets what a body leaves out: auto-renew would be off, and the next term's seats forgotten."""
    licence = subscription_of("licence")
    more = {"scheduledNextTermInstructions": {"quantity": 8}, "aMemberOfTomorrow": [None, {"x": 1.5}]}
    whole = cloud.subscription(licence) | more
    cloud.put(f"subscriptions/{licence}", whole)

    await app.post({"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": licence})

    [patch] = cloud.requests(method="PATCH")
    assert patch["body"] == whole | {"status": "deleted"}
    assert list(patch["body"]) == list(whole)
    assert "if-match" not in patch["headers"]


async def test_a_subscription_in_pascal_case_is_sent_back_so(app: App, cloud: LocalCloud) -> None:
    licence = subscription_of("licence-pascal-case")
    whole = cloud.subscription(licence)

    answer = await app.post({"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": licence.upper()})

    [patch] = cloud.requests(method="PATCH")
    assert answer.outcome == "cancelled"
    assert patch["body"] == whole | {"Status": "deleted"}


async def test_requests_of_one_call_share_a_correlation_id(app: App, cloud: LocalCloud) -> None:
    """The first PATCH has the request id of the answer; each further request has one of its own."""
    answer = await app.post({"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licences-five")})

    requests = cloud.requests("partner_center")
    request_ids = [request["headers"]["ms-requestid"] for request in requests]
    assert {request["headers"]["ms-correlationid"] for request in requests} == {answer.body["correlationId"]}
    assert len(set(request_ids)) == len(request_ids)
    assert answer.request_id in {patch["headers"]["ms-requestid"] for patch in cloud.requests(method="PATCH")}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("licence-trial", "not_cancellable"),
        ("licence-pending", "order_busy"),
        ("licence-expired", "not_cancellable"),
        ("unknown-product-type", "not_cancellable"),
    ],
)
async def test_nothing_is_sent_that_must_not_be(app: App, cloud: LocalCloud, name: str, code: str) -> None:
    answer = await app.post({"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": subscription_of(name)})

    assert answer.code == code
    assert cloud.methods() == ["GET"]
    [line] = answer.body["order"]["lineItems"]
    assert (line["code"], line["cancelled"]) == (code, False)


LIST = f"/customers/{LICENCE_CUSTOMER}/subscriptions"
UNSENDABLE: dict[str, Json] = {
    "token": {"uri": LIST, "headers": [{"key": "MS-ContinuationToken", "value": "t\u00f6k"}]},
    "token-in-two-lines": {"uri": LIST, "headers": [{"key": "MS-ContinuationToken", "value": "a\r\nb: c"}]},
    "uri": {"uri": f"{LIST}?order_id=\u00fc"},
    "uri-with-a-blank": {"uri": f"{LIST}?order_id=a b"},
}


@pytest.mark.parametrize("name", UNSENDABLE)
async def test_a_next_page_that_cannot_be_asked_for_is_not_guessed(app: App, cloud: LocalCloud, name: str) -> None:
    page = {"totalCount": 1, "items": [], "links": {"next": UNSENDABLE[name]}}
    cloud.fault(method="GET", path="order_id=", status=200, body=page, times=2)
    body = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence-unnamed")}

    real, dry = await app.post(body), await app.post(body | {"dryRun": True})

    assert real.code == "unexpected_answer"
    assert (dry.outcome, dry.body["lineItems"][0]["cancellable"]) == ("dry_run", None)
    assert set(cloud.methods()) == {"GET"}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param({"status": 200, "body": "junk"}, "unexpected_answer", id="junk"),
        pytest.param({"status": 401, "times": 2}, "credentials_rejected", id="rejected"),
    ],
)
async def test_what_nobody_could_read_is_not_called_uncancellable(
    app: App, cloud: LocalCloud, fault: Json, code: str
) -> None:
    cloud.fault(method="GET", path=f"/{subscription_of('licence')}$", **fault)

    answer = await app.post({"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence")})

    assert answer.code == code
    [line] = answer.body["order"]["lineItems"]
    assert (line["code"], line["cancellable"]) == (code, None)


async def test_an_order_of_software_that_shows_no_subscription_names_a_way_out(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    """Partner Center asks for subscriptions (800063); the account may cancel them, but none shows yet."""
    cloud.fault(method="PATCH", status=400, body={"code": "800063", "description": "no"})

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.code == "use_subscription_cancel"
    assert "Send its subscriptionId" in answer.body["detail"]


async def test_a_licence_that_shows_no_subscription_names_a_way_out(app: App, cloud: LocalCloud) -> None:
    """A new subscription takes minutes to appear. The operator has nothing to allow."""
    cloud.fault(method="GET", path="order_id=", status=200, body={"totalCount": 0, "items": []})

    answer = await app.post({"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence-unnamed")})

    assert answer.code == "use_subscription_cancel"
    assert "Send its subscriptionId" in answer.body["detail"]
