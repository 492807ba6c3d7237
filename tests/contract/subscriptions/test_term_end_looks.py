"""The look after the PATCH for the end of a term: scheduled is only what Partner Center then shows.

Sources spell the name of an action's time in two ways, and what Partner Center does with the other one is not known.
"""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.built_in_orders import LICENCE_CUSTOMER, built_in_short, subscription_of
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud

pytestmark = pytest.mark.anyio

LICENCE = subscription_of("licence")
BY_SUBSCRIPTION = {"customerTenantId": LICENCE_CUSTOMER, "subscriptionId": LICENCE, "when": "term_end"}
ACCEPTED = BY_SUBSCRIPTION | {"subscriptionId": subscription_of("licence-202")}
# No other test needs it: once changed, what it does with actions cannot be put back.
PARTICULAR = "licence-without-deadline-20-days-old"
BY_ITS_SUBSCRIPTION = BY_SUBSCRIPTION | {"subscriptionId": subscription_of(PARTICULAR)}
BY_ITS_ORDER = {"customerTenantId": LICENCE_CUSTOMER, "orderId": built_in_short(PARTICULAR), "when": "term_end"}
CANCEL = {"scheduleType": "TermEnd", "actionType": "Cancel"}
IN_A_WEEK = f"{datetime.now(UTC) + timedelta(days=7):%Y-%m-%dT%H:%M:%SZ}"
OTHERS_CANCEL = {"scheduledType": "TermEnd", "actionType": "Cancel"}


@pytest.fixture
def particular(cloud: LocalCloud) -> Iterator[Json]:
    """A licence that renews, with 8 seats, and that a test may teach what it does with actions."""
    path = f"subscriptions/{subscription_of(PARTICULAR)}"
    before = cloud.subscription(subscription_of(PARTICULAR)) | {"autoRenewEnabled": True}
    before.pop("scheduledActions", None)
    whole = before | {"scheduledNextTermInstructions": {"quantity": 8}}
    cloud.put(path, whole)
    yield whole
    cloud.age(path, 1)  # later reads no longer show a state before
    cloud.put(path, before)
    cloud.put(f"{path}/behaviour", {"actions": "scheduleType"})  # other tests use it too


def learn(cloud: LocalCloud, actions: str) -> None:
    cloud.put(f"subscriptions/{subscription_of(PARTICULAR)}/behaviour", {"actions": actions})


def actions_sent(cloud: LocalCloud) -> list[list[Json]]:
    return [patch["body"]["scheduledActions"] for patch in cloud.requests(method="PATCH")]


async def test_an_acceptance_is_looked_at(app: App, cloud: LocalCloud) -> None:
    answer = await app.post(ACCEPTED)

    assert answer.outcome == "scheduled"
    assert cloud.requests(method="PATCH")[0]["status"] == 202
    assert cloud.methods() == ["GET", "PATCH", "GET"]


ECHOES: dict[str, Json] = {
    "echo": {"autoRenewEnabled": False, "scheduledActions": [CANCEL]},
    "deleted": {"status": "deleted"},
    "nothing": {},
}


@pytest.mark.parametrize("name", ECHOES)
@pytest.mark.parametrize("status", [200, 202])
async def test_the_answer_alone_proves_nothing(app: App, cloud: LocalCloud, name: str, status: int) -> None:
    """Nothing was changed."""
    cloud.fault(method="PATCH", status=status, body=cloud.subscription(LICENCE) | ECHOES[name])

    answer = await app.post(BY_SUBSCRIPTION)

    [line] = answer.body["lineItems"]
    assert answer.outcome == "pending"
    assert cloud.methods() == ["GET", "PATCH", "GET"]
    assert (line["autoRenew"], line["endsAtTerm"], line["cancelled"]) == (True, False, False)


async def test_what_shows_late_is_pending_and_a_repeat_finds_it(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="PATCH", behind=1)

    pending, later = await app.post(BY_SUBSCRIPTION), await app.post(BY_SUBSCRIPTION)

    assert (pending.outcome, later.outcome) == ("pending", "already_scheduled")
    assert pending.body["lineItems"][0]["autoRenew"] is True
    assert len(cloud.requests(method="PATCH")) == 1


async def test_a_look_that_fails_leaves_it_pending(app: App, cloud: LocalCloud) -> None:
    cloud.fault(method="GET")  # the reading before the PATCH passes
    cloud.fault(method="GET", status=403)

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "pending"
    assert len(cloud.requests(method="PATCH")) == 1


@pytest.mark.parametrize("body", [BY_ITS_SUBSCRIPTION, BY_ITS_ORDER], ids=["by-subscription", "by-order"])
async def test_an_action_that_is_ignored_is_an_unexpected_answer(
    app: App, cloud: LocalCloud, particular: Json, body: Json
) -> None:
    """Both spellings are tried. Auto-renew stays off: nothing is put back, and the answer shows both members."""
    learn(cloud, "ignore")

    answer = await app.post(body)

    assert (answer.status, answer.code) == (502, "unexpected_answer")
    assert "Auto-renew is off now" in answer.body["detail"]
    assert actions_sent(cloud) == [[CANCEL], [OTHERS_CANCEL]]
    [line] = answer.body["order"]["lineItems"]
    assert (line["autoRenew"], line["endsAtTerm"], line["cancelled"]) == (False, False, False)
    assert line["code"] == "unexpected_answer"
    del particular["scheduledNextTermInstructions"]
    assert cloud.subscription(particular["id"]) == particular | {"autoRenewEnabled": False}


@pytest.mark.usefixtures("particular")
async def test_what_an_ignored_action_replaced_is_in_the_audit_record(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator can put it back."""
    caplog.set_level(logging.INFO)
    learn(cloud, "ignore")

    await app.post(BY_ITS_SUBSCRIPTION)

    records = [json.loads(line.getMessage()) for line in caplog.records if line.name == "cancel_order.audit"]
    decided = records[-1]
    assert (decided["when"], decided["code"]) == ("term_end", "unexpected_answer")
    first, second = [patch["replaced"] for patch in decided["subscriptions"]]
    assert json.loads(first) == {"autoRenewEnabled": True, "scheduledNextTermInstructions": {"quantity": 8}}
    assert second is None


@pytest.mark.usefixtures("particular")
@pytest.mark.parametrize(
    ("spelling", "sent"),
    [
        pytest.param("scheduleType", [[CANCEL]], id="the-likelier-one"),
        pytest.param("scheduledType", [[CANCEL], [OTHERS_CANCEL]], id="the-other-one"),
    ],
)
async def test_a_spelling_that_is_not_known_costs_a_second_patch(
    app: App, cloud: LocalCloud, spelling: str, sent: list[list[Json]]
) -> None:
    learn(cloud, spelling)

    scheduled, again = await app.post(BY_ITS_SUBSCRIPTION), await app.post(BY_ITS_SUBSCRIPTION)

    assert (scheduled.outcome, again.outcome) == ("scheduled", "already_scheduled")
    assert actions_sent(cloud) == sent
    assert cloud.methods() == ["GET", *["PATCH", "GET"] * len(sent), "GET"]
    request_ids = [patch["headers"]["ms-requestid"] for patch in cloud.requests(method="PATCH")]
    assert len(set(request_ids)) == len(sent)


async def test_the_spelling_that_was_read_is_the_first_to_be_sent(
    app: App, cloud: LocalCloud, particular: Json
) -> None:
    others = {"scheduledType": "TermEnd", "actionType": "RenewToNewTerm"}
    learn(cloud, "scheduledType")
    cloud.put(f"subscriptions/{particular['id']}", particular | {"scheduledActions": [others]})

    answer = await app.post(BY_ITS_SUBSCRIPTION)

    assert answer.outcome == "scheduled"
    assert actions_sent(cloud) == [[OTHERS_CANCEL]]


async def test_actions_for_a_date_stay(app: App, cloud: LocalCloud) -> None:
    on_a_date = {"scheduleType": "CustomDate", "actionType": "Transition", "effectiveDate": "2030-01-01T00:00:00Z"}
    renew = {"scheduleType": "TermEnd", "actionType": "RenewToNewTerm"}
    cloud.put(f"subscriptions/{LICENCE}", cloud.subscription(LICENCE) | {"scheduledActions": [renew, on_a_date]})

    answer = await app.post(BY_SUBSCRIPTION)

    assert answer.outcome == "scheduled"
    assert cloud.subscription(LICENCE)["scheduledActions"] == [on_a_date, CANCEL]


async def test_auto_renew_that_was_off_already_gets_its_action(app: App, cloud: LocalCloud) -> None:
    """The trap that somebody has set: without the action it would become a paid extended term."""
    trapped = BY_SUBSCRIPTION | {"subscriptionId": subscription_of("licence-auto-renew-off")}

    dry, answer = await app.post(trapped | {"dryRun": True}), await app.post(trapped)

    assert dry.body["lineItems"][0]["endsAtTerm"] is False
    assert answer.outcome == "scheduled"
    assert actions_sent(cloud) == [[CANCEL]]


@pytest.mark.usefixtures("particular")
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 400, "body": {"code": "3000", "description": "invalid"}}, id="refused"),
        pytest.param({"status": 429, "headers": {"Retry-After": "57"}}, id="throttled"),
    ],
)
async def test_a_second_spelling_that_is_refused_tells_what_the_first_patch_did(
    app: App, cloud: LocalCloud, fault: Json
) -> None:
    """A refusal would say that nothing was changed, and auto-renew is off."""
    learn(cloud, "ignore")
    cloud.fault(method="PATCH")
    cloud.fault(method="PATCH", **fault)

    answer = await app.post(BY_ITS_SUBSCRIPTION)

    assert answer.code == "unexpected_answer"
    assert "Auto-renew is off now" in answer.body["detail"]
    [line] = answer.body["order"]["lineItems"]
    assert (line["autoRenew"], line["endsAtTerm"]) == (False, False)


async def test_seats_that_were_added_after_an_ignored_action_hide_nothing(
    app: App, cloud: LocalCloud, particular: Json
) -> None:
    """The second spelling must not be sent then. Auto-renew is off all the same, and no repeat gets further."""
    learn(cloud, "ignore")
    more = particular | {"autoRenewEnabled": False, "quantity": particular["quantity"] + 1}
    cloud.fault(method="PATCH", put_subscription=more)

    answer = await app.post(BY_ITS_ORDER)

    assert len(cloud.requests(method="PATCH")) == 1
    assert answer.code == "unexpected_answer"
    assert "Auto-renew is off now" in answer.body["detail"]


async def test_an_action_that_shows_late_beside_auto_renew_that_was_off_is_no_fault(
    app: App, cloud: LocalCloud
) -> None:
    """Auto-renew was off before, so the first look cannot tell an ignored action from one that shows late."""
    trapped = BY_SUBSCRIPTION | {"subscriptionId": subscription_of("licence-auto-renew-off")}
    cloud.fault(method="PATCH", behind=1)

    answer = await app.post(trapped)

    assert answer.outcome == "scheduled"
    assert actions_sent(cloud) == [[CANCEL]]


async def test_a_reading_from_before_the_last_patch_proves_nothing(
    app: App, cloud: LocalCloud, particular: Json
) -> None:
    """Both looks are late. The second spelling, which is not known here, has taken out what the first one put in."""
    cloud.put(f"subscriptions/{subscription_of(PARTICULAR)}", particular | {"autoRenewEnabled": False})
    learn(cloud, "scheduleType")
    cloud.fault(method="PATCH", behind=2, times=1)
    cloud.fault(method="PATCH", behind=1, times=1)

    answer = await app.post(BY_SUBSCRIPTION | {"subscriptionId": subscription_of(PARTICULAR)})
    own = cloud.subscription(subscription_of(PARTICULAR))

    assert actions_sent(cloud) == [[CANCEL], [OTHERS_CANCEL]]
    assert "scheduledActions" not in own
    assert answer.outcome != "scheduled"


async def test_a_look_that_is_late_after_the_second_spelling_is_repeated(
    app: App, cloud: LocalCloud, particular: Json
) -> None:
    learn(cloud, "scheduledType")
    cloud.fault(method="PATCH", times=1)
    cloud.fault(method="PATCH", behind=1)

    answer = await app.post(BY_SUBSCRIPTION | {"subscriptionId": particular["id"]})

    assert answer.outcome == "scheduled"
    assert actions_sent(cloud) == [[CANCEL], [OTHERS_CANCEL]]


async def test_an_ignored_action_stays_in_doubt_if_nobody_can_look_again(
    app: App, cloud: LocalCloud, particular: Json
) -> None:
    learn(cloud, "ignore")
    cloud.fault(method="GET", path="/subscriptions/", times=2)  # the reading and the first look
    cloud.fault(method="GET", path="/subscriptions/", status=503, times=20)

    answer = await app.post(BY_SUBSCRIPTION | {"subscriptionId": particular["id"]}, prefer="wait=6")

    assert answer.code == "outcome_unknown"


async def test_an_end_that_was_asked_for_after_a_cancellation_that_does_not_show_is_not_refused(
    app: App, cloud: LocalCloud, particular: Json
) -> None:
    request = BY_SUBSCRIPTION | {"subscriptionId": particular["id"]}
    cloud.put(f"subscriptions/{particular['id']}", particular | {"cancellationAllowedUntilDate": IN_A_WEEK})
    cloud.fault(method="PATCH", behind=12)
    assert (await app.post(request | {"when": "now"})).outcome == "cancelled"

    answer = await app.post(request)

    assert answer.outcome == "already_cancelled" or answer.body["retryable"]
