"""Dry runs: the order is read, and nothing is changed."""

import pytest

from tests.conftest import CUSTOMER
from tests.support.built_in_orders import SOFTWARE_CUSTOMER, built_in, subscription_of
from tests.support.in_process import App
from tests.support.local_cloud import LocalCloud

pytestmark = pytest.mark.anyio


async def test_a_dry_run_of_an_order_names_the_lines_that_would_be_cancelled(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 1}]})
    cloud.forget()

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})

    assert answer.status == 200
    assert answer.outcome == "dry_run"
    assert answer.body["dryRun"] is True
    assert answer.body["cancelledLineItems"] == [0, 2]
    assert [line["cancelled"] for line in answer.body["lineItems"]] == [False, True, False]
    assert cloud.methods() == ["GET", "GET"]  # the order, and the list of its subscriptions
    assert cloud.order(order_id)["status"] == "completed"


@pytest.mark.parametrize("value", ["true", "false", "0", "", "x"])
@pytest.mark.parametrize("dry_run", [None, False])
async def test_a_header_makes_every_request_a_dry_run(
    app: App, cloud: LocalCloud, order_id: str, value: str, dry_run: bool | None
) -> None:
    """Its sender cannot cancel by a fault in the body; any value counts, so that a wrong one cancels nothing."""
    body = {"customerTenantId": CUSTOMER, "orderId": order_id} | ({} if dry_run is None else {"dryRun": dry_run})

    answer = await app.post(body, x_dry_run=value)

    assert (answer.outcome, answer.body["dryRun"]) == ("dry_run", True)
    assert set(cloud.methods()) == {"GET"}
    assert cloud.order(order_id)["status"] == "completed"


async def test_a_dry_run_of_lines_leaves_out_the_cancelled_ones(app: App, cloud: LocalCloud, order_id: str) -> None:
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": [{"lineItemNumber": 1}]})
    cloud.forget()
    lines = [{"lineItemNumber": 1}, {"lineItemNumber": 2}]

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "lineItems": lines, "dryRun": True})

    assert answer.outcome == "dry_run"
    assert answer.body["cancelledLineItems"] == [2]
    assert cloud.methods() == ["GET", "GET"]  # the order, and the list of its subscriptions
    assert cloud.order(order_id)["status"] == "completed"


async def test_an_account_in_dry_run_mode_makes_every_request_a_dry_run(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "account": "rehearsal"})

    assert answer.outcome == "dry_run"
    assert answer.body["dryRun"] is True
    assert answer.body["account"] == "rehearsal"
    assert cloud.methods() == ["GET", "GET"]  # the order, and the list of its subscriptions


SOFTWARE = {"customerTenantId": SOFTWARE_CUSTOMER, "orderId": built_in("software-subscription"), "dryRun": True}
SUBSCRIPTION = subscription_of(built_in("software-subscription"))


async def test_software_with_more_seats_than_its_order_is_not_promised(app: App, cloud: LocalCloud) -> None:
    """Nobody can tell whether the PATCH of the order takes the added seats along."""
    more = cloud.subscription(SUBSCRIPTION) | {"quantity": 50}
    cloud.fault(method="GET", path=f"/{SUBSCRIPTION}$", status=200, body=more)

    answer = await app.post(SOFTWARE)

    assert answer.outcome == "dry_run"
    [line] = answer.body["lineItems"]
    assert (line["subscriptionStatus"], line["cancellable"], line["code"]) == ("active", None, None)


async def test_software_whose_subscription_is_not_there_may_be_cancelled_as_an_order(
    app: App, cloud: LocalCloud
) -> None:
    cloud.fault(method="GET", path=f"/{SUBSCRIPTION}$", status=404, body={"code": 20003, "description": "not found"})

    answer = await app.post(SOFTWARE)

    assert answer.outcome == "dry_run"
    [line] = answer.body["lineItems"]
    assert (line["subscriptionStatus"], line["cancellable"], line["code"]) == (None, None, None)
