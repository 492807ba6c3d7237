"""Somebody else adds seats: by its order a subscription that holds more than that is never cancelled."""

import pytest

from tests.support.built_in_orders import LICENCE_CUSTOMER, built_in_short, subscription_of
from tests.support.in_process import App
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio

LICENCE = subscription_of("licence")
BY_SUBSCRIPTION = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": LICENCE}
BY_ORDER = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence")}


async def test_the_refusal_says_how_many_seats_and_what_to_do(app: App, cloud: LocalCloud) -> None:
    body = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence-seats-added")}

    answer = await app.post(body)

    assert (answer.status, answer.code) == (422, "more_than_the_order")
    assert "bought 5 seats, and its subscription has 7 seats by now" in answer.body["detail"]
    assert "removable: 5 seats until" in answer.body["detail"]
    assert "Send its subscriptionId" in answer.body["detail"]
    assert cloud.methods() == ["GET", "GET"]
    [line] = answer.body["order"]["lineItems"]
    assert (line["code"], line["cancellable"], line["cancelled"]) == ("more_than_the_order", False, False)


async def test_by_its_id_all_seats_are_what_was_asked_for(app: App) -> None:
    body = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": subscription_of("licence-seats-added")}

    assert (await app.post(body)).outcome == "cancelled"


async def test_seats_added_after_the_order_was_read_are_seen(app: App, cloud: LocalCloud) -> None:
    more = cloud.subscription(LICENCE) | {"quantity": 6}
    cloud.fault(method="GET", path=f"/orders/{BY_ORDER['orderId']}$", put_subscription=more)

    answer = await app.post(BY_ORDER)

    assert answer.code == "more_than_the_order"
    assert cloud.methods() == ["GET", "GET"]


async def test_seats_added_before_a_second_patch_are_seen(app: App, cloud: LocalCloud) -> None:
    """The first PATCH was refused, so that nothing is in doubt."""
    more = cloud.subscription(LICENCE) | {"quantity": 6}
    cloud.fault(method="PATCH", status=409, put_subscription=more)

    answer = await app.post(BY_ORDER)

    assert answer.code == "more_than_the_order"
    assert cloud.methods() == ["GET", "GET", "PATCH", "GET"]
    assert cloud.subscription(LICENCE) == more


async def test_seats_added_while_a_patch_is_unaccounted_for_leave_it_in_doubt(app: App, cloud: LocalCloud) -> None:
    """`more_than_the_order` would say that nothing was changed, and the first PATCH may still cancel it."""
    more = cloud.subscription(LICENCE) | {"quantity": 6}
    cloud.fault(method="PATCH", hang_up="before", put_subscription=more)

    answer = await app.post(BY_ORDER)

    assert answer.code == "outcome_unknown"
    assert len(cloud.requests(method="PATCH")) == 1
    assert cloud.subscription(LICENCE) == more


async def test_by_its_id_the_second_patch_has_the_seats_that_were_added(app: App, cloud: LocalCloud) -> None:
    more = cloud.subscription(LICENCE) | {"quantity": 6}
    cloud.fault(method="PATCH", hang_up="before", put_subscription=more)

    answer = await app.post(BY_SUBSCRIPTION)

    first, second = cloud.requests(method="PATCH")
    assert answer.outcome == "cancelled"
    assert second["body"] == more | {"status": "deleted"}
    assert first["headers"]["ms-requestid"] != second["headers"]["ms-requestid"]


async def test_a_renewed_subscription_is_more_than_its_order(app: App, cloud: LocalCloud) -> None:
    body = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence-renewed")}

    answer = await app.post(body)

    assert answer.code == "more_than_the_order"
    assert "renewed" in answer.body["detail"]
    assert cloud.methods() == ["GET", "GET"]
