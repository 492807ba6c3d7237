"""Looks at a subscription after its PATCH: after an answer that proves nothing, and after a refusal as if it were done.

Partner Center's reads may lag behind its writes (`behind`).
"""

import pytest

from tests.conftest import CUSTOMER
from tests.support.built_in_orders import LICENCE_CUSTOMER, built_in_short, subscription_of
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud

pytestmark = pytest.mark.anyio

LICENCE = subscription_of("licence")
BY_SUBSCRIPTION = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": LICENCE}
ACCEPTED = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": subscription_of("licence-202")}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(ACCEPTED, id="by-subscription"),
        pytest.param({"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence-202")}, id="by-order"),
    ],
)
async def test_an_acceptance_is_looked_at(app: App, cloud: LocalCloud, body: Json) -> None:
    """A 202 with a Location comes before the change."""
    answer = await app.post(body)

    assert answer.outcome == "cancelled"
    assert cloud.methods()[-3:] == ["GET", "PATCH", "GET"]
    assert cloud.requests(method="PATCH")[0]["status"] == 202


async def test_an_acceptance_that_does_not_show_yet_is_pending(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", behind=1)

    pending, later = await app.post(ACCEPTED), await app.post(ACCEPTED)

    assert (pending.outcome, later.outcome) == ("pending", "already_cancelled")
    assert pending.body["lineItems"][0]["cancelled"] is False
    assert pending.body["lineItems"][0]["subscriptionStatus"] == "active"


UNPROVEN: dict[str, Json] = {
    "still-active": {"status": 200, "body": {"id": LICENCE, "status": "active"}},
    "accepted-with-body": {"status": 202, "body": {"id": LICENCE, "status": "deleted"}},
    "without-an-id": {"status": 200, "body": {"status": "deleted"}},
    "a-list": {"status": 200, "body": [{"id": LICENCE, "status": "deleted"}]},
}


@pytest.mark.parametrize("name", UNPROVEN)
async def test_an_answer_proves_only_what_it_shows(app: App, cloud: LocalCloud, name: str) -> None:
    """Nothing was changed."""
    cloud.fault(method="PATCH", **UNPROVEN[name])

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "pending"
    assert cloud.methods() == ["GET", "PATCH", "GET"]
    assert answer.body["lineItems"][0]["cancelled"] is False


async def test_a_deletion_by_somebody_else_is_found_after_the_refusal(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="GET", put_subscription=cloud.subscription(LICENCE) | {"status": "deleted"})

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "already_cancelled"
    assert cloud.requests(method="PATCH")[0]["status"] == 400
    assert cloud.methods() == ["GET", "PATCH", "GET"]


async def test_a_refusal_soon_after_an_accepted_patch_is_in_doubt(app: App, cloud: LocalCloud) -> None:
    """Reads still show it as active, so the refusal may be due to that PATCH."""
    accepted = await app.post(ACCEPTED)
    cloud.forget()
    cloud.fault(method="GET", times=3, body=cloud.subscription(ACCEPTED["subscriptionId"]) | {"status": "active"})

    answer = await app.post(ACCEPTED)

    assert accepted.outcome == "cancelled"
    assert answer.code == "outcome_unknown"
    assert answer.body["partnerCenter"]["code"] == "2011"
    assert cloud.methods() == ["GET", "PATCH", "GET", "GET"]


async def test_a_second_look_finds_a_deletion_that_shows_late(app: App, cloud: LocalCloud) -> None:
    active = cloud.subscription(LICENCE)
    cloud.put(f"subscriptions/{LICENCE}", active | {"status": "deleted"})
    cloud.fault(method="GET", times=2, body=active)

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "already_cancelled"
    assert cloud.methods() == ["GET", "PATCH", "GET", "GET"]


async def test_a_minimal_answer_leaves_the_rest_as_it_was_read(app: App, cloud: LocalCloud) -> None:
    before = cloud.subscription(LICENCE)
    cloud.fault(method="PATCH", body={"id": LICENCE, "status": "deleted"})

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "cancelled"
    assert answer.body["orderId"] == before["orderId"]
    [line] = answer.body["lineItems"]
    assert (line["cancelled"], line["subscriptionStatus"]) == (True, "deleted")
    shown = (line["offerId"], line["quantity"], line["friendlyName"])
    assert shown == (before["offerId"], before["quantity"], before["offerName"])


async def test_an_order_whose_refusal_could_not_be_looked_into_is_read_again(
    app: App, cloud: LocalCloud, order_id: str
) -> None:
    """Partner Center asks for its subscriptions (800063), and it turns out to be cancelled already."""
    cancelled = cloud.order(order_id) | {"status": "cancelled"}
    cloud.fault(method="PATCH", path="/orders/", status=400, body={"code": "800063", "description": "no"})
    cloud.fault(method="GET", path="/orders/", status=503, times=4)
    cloud.fault(method="GET", path="/orders/", status=200, body=cancelled)

    answer = await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    assert answer.outcome == "already_cancelled"
    assert cloud.methods() == ["PATCH"] + ["GET"] * 5
