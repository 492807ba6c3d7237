"""Orders of several licences: all guards first, then at most four PATCH requests at a time, a code for each line."""

import asyncio

import pytest

from tests.support.built_in_orders import LICENCE_CUSTOMER, built_in_short, subscription_of
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio

FIVE = [subscription_of("licences-five", line) for line in range(5)]
BODY: Json = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licences-five")}
MIXED: Json = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("software-and-licence")}
TOO_LATE: Json = {"status": 400, "body": {"code": "900117", "description": "too late"}}


def statuses(cloud: LocalCloud) -> list[str]:
    return [cloud.subscription(subscription_id)["status"] for subscription_id in FIVE]


def codes(order: Json) -> list[str | None]:
    return [line["code"] for line in order["lineItems"]]


async def test_the_named_lines_are_cancelled_and_no_others(app: App, cloud: LocalCloud) -> None:
    answer = await app.post(BODY | {"lineItems": [{"lineItemNumber": 3}, {"lineItemNumber": 1}]})

    assert answer.outcome == "partially_cancelled"
    assert answer.body["cancelledLineItems"] == [1, 3]
    assert statuses(cloud) == ["active", "deleted", "active", "deleted", "active"]
    assert [line["subscriptionStatus"] for line in answer.body["lineItems"]] == statuses(cloud)


async def test_a_named_line_does_not_wait_for_the_others(app: App, cloud: LocalCloud) -> None:
    """They are read afterwards, only to tell whether any of them lives."""
    named, other = (subscription_of("licences-two-windows", line) for line in range(2))
    cloud.fault(method="GET", path=f"/{other}$", delay_s=60)
    body = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licences-two-windows")}

    answer = await app.post(body | {"lineItems": [{"lineItemNumber": 0}]})

    assert answer.outcome == "partially_cancelled"
    assert [line["subscriptionStatus"] for line in answer.body["lineItems"]] == ["deleted", None]
    assert cloud.subscription(named)["status"] == "deleted"


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_at_most_four_at_a_time(app: App, cloud: LocalCloud, method: str) -> None:
    await app.post(BODY | {"dryRun": True})
    cloud.forget()
    cloud.fault(method=method, path="/subscriptions/", delay_s=60, times=5)

    call = asyncio.create_task(app.post(BODY, prefer="wait=60"))
    await wait_for_request(cloud, "partner_center", method, "/subscriptions/", count=4)
    await asyncio.sleep(0.2)  # time for a fifth one
    at_once = len(await asyncio.to_thread(cloud.requests, method=method, path="/subscriptions/"))
    await asyncio.to_thread(cloud.clear_faults)
    answer = await call

    assert at_once == 4
    assert answer.outcome == "cancelled"


@pytest.mark.parametrize("change", [{"quantity": 9}, {"status": "expired"}, {"isTrial": True}], ids=str)
async def test_one_line_that_must_not_be_sent_stops_all(app: App, cloud: LocalCloud, change: Json) -> None:
    cloud.put(f"subscriptions/{FIVE[3]}", cloud.subscription(FIVE[3]) | change)

    answer = await app.post(BODY)

    assert answer.code in {"more_than_the_order", "not_cancellable"}
    assert cloud.requests(method="PATCH") == []
    assert codes(answer.body["order"]) == [answer.code] * 5


async def test_one_line_that_cannot_be_read_stops_all(app: App, cloud: LocalCloud) -> None:
    cloud.fault(path=f"/{FIVE[3]}$", status=404, body={"code": "20003", "description": "not found"})

    answer = await app.post(BODY)

    assert answer.code == "subscription_not_found"
    assert cloud.requests(method="PATCH") == []


async def test_a_line_that_is_refused_is_told(app: App, cloud: LocalCloud) -> None:
    """A repeat says the same: it is told by the state, whoever cancelled the others and whenever."""
    cloud.fault(method="PATCH", path=f"/{FIVE[1]}$", **TOO_LATE, times=2)

    answers = [await app.post(BODY) for _ in range(2)]

    for answer in answers:
        assert (answer.status, answer.code) == (422, "some_lines_refused")
        assert codes(answer.body["order"]) == [None, "cancellation_window_passed", None, None, None]
        assert answer.body["order"]["cancelledLineItems"] == [0, 2, 3, 4]
        assert answer.body["partnerCenter"]["code"] == "900117"


async def test_a_line_that_failed_is_done_by_the_same_request(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", path=f"/{FIVE[1]}$", hang_up="before")
    cloud.fault(method="PATCH", path=f"/{FIVE[1]}$", **TOO_LATE)

    unfinished, rest = await app.post(BODY), await app.post(BODY)

    assert (unfinished.status, unfinished.code) == (503, "some_lines_unfinished")
    assert codes(unfinished.body["order"]) == [None, "outcome_unknown", None, None, None]
    assert rest.outcome == "cancelled"
    assert statuses(cloud) == ["deleted"] * 5


async def test_a_line_that_is_refused_and_one_that_failed_are_unfinished(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", path=f"/{FIVE[1]}$", **TOO_LATE)
    cloud.fault(method="PATCH", path=f"/{FIVE[4]}$", hang_up="before")
    cloud.fault(method="PATCH", path=f"/{FIVE[4]}$", **TOO_LATE)

    answer = await app.post(BODY)

    assert answer.code == "some_lines_unfinished"
    assert codes(answer.body["order"]) == [None, "cancellation_window_passed", None, None, "outcome_unknown"]
    assert [line["cancellable"] for line in answer.body["order"]["lineItems"]][1::3] == [False, None]


async def test_lines_that_are_all_refused_have_the_code_of_the_first(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", path="/subscriptions/", **TOO_LATE, times=5)

    answer = await app.post(BODY)

    assert (answer.status, answer.code) == (422, "cancellation_window_passed")
    assert codes(answer.body["order"]) == ["cancellation_window_passed"] * 5


async def test_an_accepted_line_that_does_not_show_makes_all_pending(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", path=f"/{FIVE[2]}$", behind=1, body="")

    answer = await app.post(BODY)

    assert answer.outcome == "pending"
    assert answer.body["cancelledLineItems"] == [0, 1, 3, 4]


async def test_a_line_that_is_deleted_already_needs_no_patch(app: App, cloud: LocalCloud) -> None:
    """It passes before the guards, so that a repeat passes though seats were added to it."""
    cloud.put(f"subscriptions/{FIVE[0]}", cloud.subscription(FIVE[0]) | {"status": "deleted", "quantity": 9})

    answer = await app.post(BODY)

    assert answer.outcome == "cancelled"
    assert len(cloud.requests(method="PATCH")) == 4


# Software and a licence in one order


async def test_a_refusal_of_the_order_touches_no_subscription(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", path="/orders/", **TOO_LATE)

    answer = await app.post(MIXED)

    assert answer.code == "cancellation_window_passed"
    assert [patch["path"].split("/")[-2] for patch in cloud.requests(method="PATCH")] == ["orders"]
    assert codes(answer.body["order"]) == ["cancellation_window_passed"] * 2


async def test_the_order_is_asked_for_its_own_lines_first(app: App, cloud: LocalCloud) -> None:
    order = cloud.order(MIXED["orderId"])
    software, licence = order["lineItems"]
    cloud.fault(method="PATCH", status=200, body=order | {"lineItems": [software | {"quantity": 0}, licence]})

    answer = await app.post(MIXED)

    of_order, of_subscription = cloud.requests(method="PATCH")
    assert of_order["body"]["lineItems"] == [{"lineItemNumber": 0, "offerId": software["offerId"]}]
    assert of_subscription["body"]["status"] == "deleted"
    assert answer.outcome == "cancelled"
    assert answer.body["cancelledLineItems"] == [0, 1]


async def test_an_unaccounted_patch_of_the_order_touches_no_subscription(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", path="/orders/", hang_up="before")
    cloud.fault(method="PATCH", path="/orders/", **TOO_LATE)

    answer = await app.post(MIXED)

    assert answer.code == "outcome_unknown"
    assert len(cloud.requests(method="PATCH", path="/subscriptions/")) == 0


async def test_an_answer_of_the_order_may_leave_subscriptions_out(app: App, cloud: LocalCloud) -> None:
    lines = [{"lineItemNumber": 0, "quantity": 0}, {"lineItemNumber": 1, "quantity": 5}]
    cloud.fault(method="PATCH", path="/orders/", status=200, body={"id": MIXED["orderId"], "lineItems": lines})

    answer = await app.post(MIXED)

    assert answer.outcome == "cancelled"
    licence = subscription_of("software-and-licence", 1)
    assert [line["subscriptionId"] for line in answer.body["lineItems"]] == [None, licence]
    assert cloud.subscription(licence)["status"] == "deleted"


async def test_a_line_that_shows_later_was_not_asked_for(app: App, cloud: LocalCloud) -> None:
    """It shows when the order is looked at, after a PATCH that was only accepted."""
    order = cloud.order(MIXED["orderId"])
    software, licence = order["lineItems"]
    later = licence | {"lineItemNumber": 2, "subscriptionId": FIVE[0]}
    cloud.fault(method="PATCH", path="/orders/", status=202)
    cloud.fault(method="GET", path="/orders/")  # the first reading
    cloud.fault(
        method="GET",
        path="/orders/",
        status=200,
        body=order | {"lineItems": [software | {"quantity": 0}, licence, later]},
    )

    answer = await app.post(MIXED)

    assert answer.outcome == "partially_cancelled"
    assert answer.body["cancelledLineItems"] == [0, 1]
    assert cloud.subscription(licence["subscriptionId"])["status"] == "deleted"
    assert cloud.subscription(FIVE[0])["status"] == "active"


@pytest.mark.parametrize("dry_run", [False, True], ids=["real", "dry-run"])
async def test_a_line_without_a_number_stops_an_order_with_subscriptions(
    app: App, cloud: LocalCloud, dry_run: bool
) -> None:
    """It could be cancelled with the whole order only, the licence included."""
    order = cloud.order(MIXED["orderId"])
    del order["lineItems"][0]["lineItemNumber"]
    cloud.fault(method="GET", path="/orders/", status=200, body=order)

    answer = await app.post(MIXED | {"dryRun": dry_run})

    assert (answer.outcome if dry_run else answer.code) == ("dry_run" if dry_run else "use_subscription_cancel")
    lines = answer.body["lineItems"] if dry_run else answer.body["order"]["lineItems"]
    assert [(line["code"], line["cancellable"]) for line in lines] == [("use_subscription_cancel", False)] * 2
    assert cloud.requests(method="PATCH") == []


async def test_the_detail_for_a_line_without_a_number_names_no_number(app: App, cloud: LocalCloud) -> None:
    order = cloud.order(MIXED["orderId"])
    del order["lineItems"][0]["lineItemNumber"]
    cloud.fault(method="GET", path="/orders/", status=200, body=order)

    answer = await app.post(MIXED)

    assert answer.code == "use_subscription_cancel"
    assert "None" not in answer.body["detail"]
