"""Orders of several lines that are to end with their terms: all guards first, a code for each line."""

import pytest

from tests.support.built_in_orders import LICENCE_CUSTOMER, built_in_short, subscription_of
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud

pytestmark = pytest.mark.anyio

FIVE = [subscription_of("licences-five", line) for line in range(5)]
BODY: Json = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licences-five"), "when": "term_end"}
MIXED = BODY | {"orderId": built_in_short("software-and-licence")}
OF_MIXED = subscription_of("software-and-licence", 1)
SCHEDULED = {"autoRenewEnabled": False, "scheduledActions": [{"scheduleType": "TermEnd", "actionType": "Cancel"}]}
REFUSED: Json = {"status": 400, "body": {"code": "800093", "description": "not eligible"}}


def put(cloud: LocalCloud, line: int, members: Json) -> None:
    cloud.put(f"subscriptions/{FIVE[line]}", cloud.subscription(FIVE[line]) | members)


def ends(order: Json) -> list[bool | None]:
    return [line["endsAtTerm"] for line in order["lineItems"]]


def codes(order: Json) -> list[str | None]:
    return [line["code"] for line in order["lineItems"]]


async def test_each_line_costs_three_requests(app: App, cloud: LocalCloud) -> None:
    answer = await app.post(BODY)

    assert answer.outcome == "scheduled"
    assert sorted(cloud.methods()) == ["GET"] * 11 + ["PATCH"] * 5
    assert ends(answer.body) == [True] * 5
    assert answer.body["cancelledLineItems"] == []
    assert [cloud.subscription(one)["status"] for one in FIVE] == ["active"] * 5


async def test_the_named_lines_end_and_no_others(app: App, cloud: LocalCloud) -> None:
    answer = await app.post(BODY | {"lineItems": [{"lineItemNumber": 3}, {"lineItemNumber": 1}]})

    assert answer.outcome == "scheduled"
    assert ends(answer.body) == [False, True, False, True, False]
    assert [cloud.subscription(one)["autoRenewEnabled"] for one in FIVE] == [True, False, True, False, True]


async def test_lines_that_are_done_already_need_no_patch(app: App, cloud: LocalCloud) -> None:
    """They pass before the guards, so that a repeat passes though seats were added."""
    put(cloud, 0, SCHEDULED | {"quantity": 9})
    put(cloud, 1, {"status": "deleted"})

    answer, again = await app.post(BODY), await app.post(BODY)

    assert (answer.outcome, again.outcome) == ("scheduled", "already_scheduled")
    assert len(cloud.requests(method="PATCH")) == 3
    assert answer.body["cancelledLineItems"] == [1]
    assert ends(answer.body) == [True, None, True, True, True]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantity": 9}, "more_than_the_order"),
        ({"status": "expired"}, "not_cancellable"),
        ({"status": "pending"}, "order_busy"),
        ({"productType": {"id": "QuantumServices"}}, "nothing_to_schedule"),
        ({"offerName": "Visio Plan 2 (Extended Service Term)"}, "nothing_to_schedule"),
    ],
    ids=["more-seats", "expired", "pending", "unknown-kind", "extended"],
)
async def test_one_line_that_must_not_be_sent_stops_all(app: App, cloud: LocalCloud, change: Json, code: str) -> None:
    put(cloud, 2, change)

    dry, answer = await app.post(BODY | {"dryRun": True}), await app.post(BODY)

    assert answer.code == code
    assert cloud.requests(method="PATCH") == []
    assert codes(answer.body["order"]) == codes(dry.body) == [code] * 5
    assert dry.body["cancelledLineItems"] == []


async def test_a_line_without_a_subscription_stops_all(app: App, cloud: LocalCloud) -> None:
    before = cloud.subscription(OF_MIXED)

    answer = await app.post(MIXED)

    assert (answer.status, answer.code) == (422, "nothing_to_schedule")
    assert "Line 0" in answer.body["detail"]
    assert "no subscription" in answer.body["detail"]
    assert codes(answer.body["order"]) == ["nothing_to_schedule"] * 2
    assert cloud.requests(method="PATCH") == []
    assert cloud.subscription(OF_MIXED) == before


async def test_the_line_with_a_subscription_can_be_named_alone(app: App, cloud: LocalCloud) -> None:
    answer = await app.post(MIXED | {"lineItems": [{"lineItemNumber": 1}]})

    assert answer.outcome == "scheduled"
    assert [patch["path"].split("/")[-1] for patch in cloud.requests(method="PATCH")] == [OF_MIXED]


async def test_a_line_that_is_refused_is_told_and_the_others_end(app: App, cloud: LocalCloud) -> None:
    """A repeat says the same."""
    cloud.fault(method="PATCH", path=f"/{FIVE[2]}$", **REFUSED, times=2)

    answers = [await app.post(BODY) for _ in range(2)]

    for answer in answers:
        assert (answer.status, answer.code) == (422, "some_lines_refused")
        assert codes(answer.body["order"]) == [None, None, "not_cancellable", None, None]
        assert ends(answer.body["order"]) == [True, True, False, True, True]
        assert answer.body["order"]["cancelledLineItems"] == []


async def test_a_line_that_failed_is_done_by_the_same_request(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", path=f"/{FIVE[1]}$", hang_up="before")
    cloud.fault(method="PATCH", path=f"/{FIVE[1]}$", **REFUSED)

    unfinished, rest = await app.post(BODY), await app.post(BODY)

    assert (unfinished.status, unfinished.code) == (503, "some_lines_unfinished")
    assert codes(unfinished.body["order"]) == [None, "outcome_unknown", None, None, None]
    assert (rest.outcome, ends(rest.body)) == ("scheduled", [True] * 5)


@pytest.mark.parametrize("fault", [REFUSED, {"status": 503, "times": 4, "headers": {"Retry-After": "59"}}], ids=str)
async def test_no_line_that_ends_later_is_called_cancelled(app: App, cloud: LocalCloud, fault: Json) -> None:
    """The person at the ticket reads the detail, and the customer goes on paying until the end of the term."""
    cloud.fault(method="PATCH", path=f"/{FIVE[2]}$", **fault)

    answer = await app.post(BODY)

    assert answer.code in {"some_lines_refused", "some_lines_unfinished"}
    assert "are cancelled" not in answer.body["detail"]


async def test_a_line_that_shows_late_makes_all_pending(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", path=f"/{FIVE[2]}$", behind=1)

    pending, later = await app.post(BODY), await app.post(BODY)

    assert (pending.outcome, later.outcome) == ("pending", "already_scheduled")
    assert ends(pending.body) == [True, True, False, True, True]


async def test_two_lines_with_one_subscription_are_one_patch(app: App, cloud: LocalCloud) -> None:
    order = cloud.order(built_in_short("licences-two-windows"))
    order["lineItems"][1] |= {"subscriptionId": order["lineItems"][0]["subscriptionId"]}
    order["lineItems"][1]["quantity"] = order["lineItems"][0]["quantity"]
    cloud.fault(method="GET", path="/orders/", body=order)

    answer = await app.post(BODY | {"orderId": order["id"]})

    assert answer.outcome == "scheduled"
    assert ends(answer.body) == [True, True]
    assert len(cloud.requests(method="PATCH")) == 1
