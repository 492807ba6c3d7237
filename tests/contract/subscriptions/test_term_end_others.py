"""The end of a term while somebody else changes the subscription, or another call cancels it now."""

import asyncio
import json
import logging

import pytest

from tests.support.built_in_orders import LICENCE_CUSTOMER, built_in_short, subscription_of
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio

LICENCE = subscription_of("licence")
NOW = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": LICENCE}
NOW_BY_ORDER = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence")}
BY_SUBSCRIPTION = NOW | {"when": "term_end"}
BY_ORDER = NOW_BY_ORDER | {"when": "term_end"}
CANCEL = {"scheduleType": "TermEnd", "actionType": "Cancel"}
SCHEDULED = {"autoRenewEnabled": False, "scheduledActions": [CANCEL]}


def patched_now(cloud: LocalCloud) -> list[bool]:
    """Return for each PATCH whether it cancels now."""
    return [patch["body"]["status"] == "deleted" for patch in cloud.requests(method="PATCH")]


# Somebody else


@pytest.mark.parametrize("fault", [{"status": 412}, {"hang_up": "before"}, {"status": 409}], ids=str)
async def test_a_change_by_somebody_else_is_kept(app: App, cloud: LocalCloud, fault: Json) -> None:
    """A body from an older reading would undo it. The new body has an MS-RequestId of its own."""
    changed = cloud.subscription(LICENCE) | {"friendlyName": "Sales", "quantity": 6}
    cloud.fault(method="PATCH", **fault, put_subscription=changed)

    answer = await app.post(BY_SUBSCRIPTION)

    first, second = cloud.requests(method="PATCH")
    assert answer.outcome == "scheduled"
    assert second["body"] == changed | SCHEDULED
    assert first["headers"]["ms-requestid"] != second["headers"]["ms-requestid"]
    assert cloud.subscription(LICENCE) == changed | SCHEDULED


async def test_instructions_that_somebody_has_set_are_replaced_and_recorded(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    changed = cloud.subscription(LICENCE) | {"scheduledNextTermInstructions": {"quantity": 8}}
    cloud.fault(method="PATCH", status=412, put_subscription=changed)

    answer = await app.post(BY_SUBSCRIPTION)

    records = [json.loads(line.getMessage()) for line in caplog.records if line.name == "cancel_order.audit"]
    first, second = [json.loads(patch["replaced"]) for patch in records[-1]["subscriptions"]]
    assert answer.outcome == "scheduled"
    assert "scheduledNextTermInstructions" not in cloud.subscription(LICENCE)
    assert first == {"autoRenewEnabled": True}
    assert second == {"autoRenewEnabled": True, "scheduledNextTermInstructions": {"quantity": 8}}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param({"method": "GET", "path": "/orders/"}, "more_than_the_order", id="before"),
        pytest.param({"method": "PATCH", "status": 409}, "more_than_the_order", id="after-a-conflict"),
        pytest.param({"method": "PATCH", "hang_up": "before"}, "outcome_unknown", id="after-a-lost-patch"),
    ],
)
async def test_seats_that_somebody_has_added_are_not_ended_by_the_order(
    app: App, cloud: LocalCloud, fault: Json, code: str
) -> None:
    more = cloud.subscription(LICENCE) | {"quantity": 6}
    cloud.fault(**fault, put_subscription=more)

    answer = await app.post(BY_ORDER)

    assert answer.code == code
    assert cloud.subscription(LICENCE) == more


async def test_seats_of_another_order_are_more_and_a_renewal_is_not(app: App, cloud: LocalCloud) -> None:
    """At the end of the present term all is over that the order began."""
    added, renewed = [
        await app.post({"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short(name), "when": "term_end"})
        for name in ("licence-seats-added", "licence-renewed")
    ]

    assert (added.code, renewed.outcome) == ("more_than_the_order", "scheduled")
    assert "5 seats" in added.body["detail"]
    assert len(cloud.requests(method="PATCH")) == 1


MIDDLE: dict[str, Json] = {
    "conflict": {"method": "PATCH", "status": 409},
    "stale": {"method": "PATCH", "status": 412},
}


@pytest.mark.parametrize("name", MIDDLE)
@pytest.mark.parametrize(
    ("change", "outcome"), [({"status": "deleted"}, "already_cancelled"), (SCHEDULED, "already_scheduled")]
)
async def test_what_somebody_else_has_done_meanwhile_is_already_done(
    app: App, cloud: LocalCloud, name: str, change: Json, outcome: str
) -> None:
    cloud.fault(**MIDDLE[name], put_subscription=cloud.subscription(LICENCE) | change)

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == outcome
    assert cloud.methods() == ["GET", "PATCH", "GET"]


async def test_what_is_deleted_before_the_patch_is_already_cancelled(app: App, cloud: LocalCloud) -> None:
    """Partner Center refuses the PATCH with 2011, and the look shows why."""
    cloud.fault(method="GET", put_subscription=cloud.subscription(LICENCE) | {"status": "deleted"})

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "already_cancelled"
    assert cloud.requests(method="PATCH")[0]["status"] == 400


async def test_what_is_deleted_after_the_patch_is_already_cancelled(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", put_subscription=cloud.subscription(LICENCE) | {"status": "deleted"})

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "already_cancelled"
    assert answer.body["lineItems"][0]["cancelled"] is True


async def test_auto_renew_that_is_turned_on_again_is_pending(app: App, cloud: LocalCloud) -> None:
    """Nobody can tell it from a look that shows the state before."""
    cloud.fault(method="PATCH", put_subscription=cloud.subscription(LICENCE))

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "pending"
    assert answer.body["lineItems"][0]["endsAtTerm"] is False


# Now and at the end of the term


@pytest.mark.parametrize("now", [NOW, NOW_BY_ORDER], ids=["by-subscription", "by-order"])
async def test_now_cancels_what_is_scheduled(app: App, cloud: LocalCloud, now: Json) -> None:
    scheduled, cancelled = await app.post(BY_SUBSCRIPTION), await app.post(now)

    assert (scheduled.outcome, cancelled.outcome) == ("scheduled", "cancelled")
    assert patched_now(cloud) == [False, True]
    assert cloud.subscription(LICENCE)["status"] == "deleted"


async def test_a_dry_run_of_now_shows_what_is_scheduled(app: App) -> None:
    await app.post(BY_SUBSCRIPTION)

    answer = await app.post(NOW | {"dryRun": True})

    [line] = answer.body["lineItems"]
    assert (line["endsAtTerm"], line["cancellable"], line["replaces"]) == (True, True, None)


@pytest.mark.parametrize("later", [BY_SUBSCRIPTION, BY_ORDER], ids=["by-subscription", "by-order"])
async def test_what_is_cancelled_cannot_end_later(app: App, cloud: LocalCloud, later: Json) -> None:
    await app.post(NOW)

    answer = await app.post(later)

    assert answer.outcome == "already_cancelled"
    assert patched_now(cloud) == [True]


# The request of one call that is held until the other call has ended.
HELD: dict[str, tuple[str, Json, Json]] = {
    "now-at-its-reading": ("GET", NOW, BY_SUBSCRIPTION),
    "now-at-its-patch": ("PATCH", NOW, BY_SUBSCRIPTION),
    "term-end-at-its-reading": ("GET", BY_SUBSCRIPTION, NOW),
    "term-end-at-its-patch": ("PATCH", BY_SUBSCRIPTION, NOW),
    "by-order-now-at-its-patch": ("PATCH", NOW_BY_ORDER, BY_ORDER),
    "by-order-term-end-at-its-patch": ("PATCH", BY_ORDER, NOW_BY_ORDER),
}


@pytest.mark.parametrize("name", HELD)
async def test_two_calls_at_once_end_in_the_stronger_one(app: App, cloud: LocalCloud, name: str) -> None:
    method, held, free = HELD[name]
    await app.post(held | {"dryRun": True})  # fetches the token
    cloud.forget()
    cloud.fault(method=method, path="/subscriptions/", delay_s=60)

    held_call = asyncio.create_task(app.post(held | {"ticketId": "ZD-48151"}, prefer="wait=60"))
    await wait_for_request(cloud, "partner_center", method, "/subscriptions/")
    free_answer = await app.post(free | {"ticketId": "ZD-48151"}, prefer="wait=60")
    await asyncio.to_thread(cloud.clear_faults)
    held_answer = await held_call

    answers = {(held.get("when"), held_answer.result), (free.get("when"), free_answer.result)}
    assert (None, "cancelled") in answers
    assert answers & {("term_end", "scheduled"), ("term_end", "already_cancelled")}
    assert cloud.subscription(LICENCE)["status"] == "deleted"


async def test_two_calls_at_once_whose_look_is_held(app: App, cloud: LocalCloud) -> None:
    """The look of the end of the term comes after the other call has cancelled now."""
    await app.post(NOW | {"dryRun": True})
    cloud.forget()
    cloud.fault(method="GET")
    cloud.fault(method="GET", delay_s=60)

    held_call = asyncio.create_task(app.post(BY_SUBSCRIPTION, prefer="wait=60"))
    await wait_for_request(cloud, "partner_center", "GET", count=2)
    now = await app.post(NOW, prefer="wait=60")
    await asyncio.to_thread(cloud.clear_faults)
    held = await held_call

    assert (now.outcome, held.outcome) == ("cancelled", "already_cancelled")
    assert cloud.subscription(LICENCE)["status"] == "deleted"
