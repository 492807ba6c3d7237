"""The end of a term while Partner Center fails, is busy or refuses: the truth, and what may be sent again."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.built_in_orders import LICENCE_CUSTOMER, built_in_short, subscription_of
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud
from tests.support.waiting import wait_for_request

pytestmark = pytest.mark.anyio

LICENCE = subscription_of("licence")
NOW = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": LICENCE}
BY_SUBSCRIPTION = NOW | {"when": "term_end"}
BY_ORDER = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short("licence"), "when": "term_end"}
TOO_LATE = {"status": 400, "body": {"code": "900117", "description": "too late"}}
AS_DELETED = {"status": 400, "body": {"code": "2011", "description": "deleted"}}
CANCEL = {"scheduleType": "TermEnd", "actionType": "Cancel"}


# Lost answers


async def test_a_patch_that_did_not_arrive_is_sent_again_after_a_new_reading(app: App, cloud: LocalCloud) -> None:
    """The same bytes keep their MS-RequestId, by which Partner Center recognises a repeat."""
    cloud.fault(method="PATCH", hang_up="before")

    answer = await app.post(BY_SUBSCRIPTION)

    first, second = cloud.requests(method="PATCH")
    assert answer.outcome == "scheduled"
    assert cloud.methods() == ["GET", "PATCH", "GET", "PATCH", "GET"]
    assert first["headers"]["ms-requestid"] == second["headers"]["ms-requestid"] == answer.request_id
    assert first["body"] == second["body"]


@pytest.mark.parametrize("hang_up", ["after", "halfway"])
async def test_a_change_whose_answer_was_lost_is_this_calls_own(app: App, cloud: LocalCloud, hang_up: str) -> None:
    cloud.fault(method="PATCH", hang_up=hang_up)

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "scheduled"
    assert cloud.methods() == ["GET", "PATCH", "GET"]


async def test_a_lost_answer_that_shows_late_is_sent_again(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", hang_up="after", behind=1)

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "scheduled"
    assert cloud.subscription(LICENCE)["scheduledActions"] == [CANCEL]


async def test_failures_that_do_not_end_leave_the_outcome_unknown(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", status=500, times=4)

    answer, later = await app.post(BY_SUBSCRIPTION), await app.post(BY_SUBSCRIPTION)

    assert answer.code == "outcome_unknown"
    assert answer.body["order"] is None, "even the newest reading may be older than the change"
    assert later.outcome == "scheduled"


@pytest.mark.parametrize("body", [BY_SUBSCRIPTION, BY_ORDER], ids=["by-subscription", "by-order"])
@pytest.mark.parametrize(
    "refusal", [TOO_LATE, {"status": 403}, {"status": 429, "headers": {"Retry-After": "57"}}], ids=str
)
async def test_no_refusal_is_final_while_a_patch_is_unaccounted_for(
    app: App, cloud: LocalCloud, body: Json, refusal: Json
) -> None:
    cloud.fault(method="PATCH", hang_up="before")
    cloud.fault(method="PATCH", **refusal)

    answer = await app.post(body)

    assert answer.code == "outcome_unknown"
    assert answer.body["retryable"] is True


async def test_a_patch_that_the_host_cuts_off_is_in_doubt(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", delay_s=60)
    call = asyncio.create_task(app.post(BY_ORDER))
    await wait_for_request(cloud, "partner_center", "PATCH")
    call.cancel()

    answer = await call

    assert answer.code == "outcome_unknown"
    assert answer.body["order"] is None


async def test_with_little_time_left_no_patch_begins(app: App, cloud: LocalCloud) -> None:
    await app.post(BY_SUBSCRIPTION | {"dryRun": True})  # fetches the token
    cloud.forget()

    answer = await app.post(BY_SUBSCRIPTION, prefer="wait=1")

    assert answer.code == "partner_center_unavailable"
    assert cloud.requests(method="PATCH") == []


# Busy


async def test_a_renewal_that_is_being_processed_locks_all_but_cancelling_now(app: App, cloud: LocalCloud) -> None:
    """Its term is over for less than a day; Partner Center says "try again in 2 minutes"."""
    over = datetime.now(UTC) - timedelta(hours=2)
    ended = {"commitmentEndDateTime": f"{over:%Y-%m-%dT%H:%M:%SZ}", "commitmentEndDate": f"{over:%Y-%m-%dT00:00:00Z}"}
    locked = cloud.subscription(LICENCE) | ended
    cloud.put(f"subscriptions/{LICENCE}", locked)

    busy = await app.post(BY_SUBSCRIPTION)
    after_busy = cloud.subscription(LICENCE)
    now = await app.post(NOW)

    assert (busy.status, busy.code, busy.body["retryable"]) == (503, "order_busy", True)
    assert busy.retry_after == "59"
    [line] = busy.body["order"]["lineItems"]
    assert (line["autoRenew"], line["endsAtTerm"], line["code"]) == (True, False, "order_busy")
    assert after_busy == locked
    assert now.outcome == "cancelled"


async def test_a_term_that_is_over_is_no_way_out(app: App, cloud: LocalCloud) -> None:
    """The window has passed, too. The end of its term can no longer be asked for."""
    over = datetime.now(UTC) - timedelta(hours=2)
    passed = {
        "commitmentEndDateTime": f"{over:%Y-%m-%dT%H:%M:%SZ}",
        "cancellationAllowedUntilDate": f"{over - timedelta(days=300):%Y-%m-%dT%H:%M:%SZ}",
    }
    cloud.put(f"subscriptions/{LICENCE}", cloud.subscription(LICENCE) | passed)

    answer = await app.post(NOW)

    assert answer.code == "cancellation_window_passed"
    assert "runs until" not in answer.body["detail"]


# Refused


async def test_a_refusal_changes_nothing_and_says_what_would_be_replaced(app: App, cloud: LocalCloud) -> None:
    before = cloud.subscription(LICENCE)
    cloud.fault(method="PATCH", status=400, body={"code": "800093", "description": "not eligible"})

    answer = await app.post(BY_SUBSCRIPTION)

    [line] = answer.body["order"]["lineItems"]
    assert answer.code == "not_cancellable"
    assert (line["code"], line["cancellable"], line["endsAtTerm"]) == ("not_cancellable", False, False)
    assert line["replaces"] == '{"autoRenewEnabled": true}'
    assert cloud.subscription(LICENCE) == before


async def test_a_refusal_as_if_it_were_deleted_is_looked_at_twice(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", **AS_DELETED)

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.code == "not_cancellable"
    assert cloud.methods() == ["GET", "PATCH", "GET", "GET"]


async def test_a_window_that_has_passed_names_the_end_of_the_term(app: App, cloud: LocalCloud) -> None:
    late = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": subscription_of("licence-20-days-old")}
    ends = cloud.subscription(late["subscriptionId"])["commitmentEndDate"][:10]

    answer = await app.post(late)

    assert answer.code == "cancellation_window_passed"
    assert f"until {ends}" in answer.body["detail"]
    assert "when: term_end" in answer.body["detail"]
