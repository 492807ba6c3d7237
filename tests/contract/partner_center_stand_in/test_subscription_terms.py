"""What time does to a subscription: renewals, extended terms, ends."""

from datetime import UTC, datetime, timedelta

import pytest

from infra.local.partner_center.subscription_terms import add_term, age_dates, let_time_pass, term_members
from tests.support.local_cloud import Json
from tests.support.partner_center import sample

STARTED = datetime(2025, 11, 1, 10, tzinfo=UTC)
ENDED = datetime(2026, 11, 1, tzinfo=UTC)  # of a year that started then
LICENCE = sample("subscriptions/nce-seat-active-refundable") | {
    "creationDate": "2025-11-01T10:00:00.0966728Z",
    "effectiveStartDate": "2025-11-01T10:00:00.4982520Z",
    **term_members(STARTED, "P1Y", 1),
}
OFF = {"autoRenewEnabled": False}
CANCEL = {"scheduledActions": [{"scheduleType": "TermEnd", "actionType": "Cancel"}]}
RENEW = {"scheduledActions": [{"scheduleType": "TermEnd", "actionType": "RenewToExtendedServiceTerm"}]}
NEXT_PRODUCT = {"productId": "CFQ7TTC0LDPB", "skuId": "0001", "availabilityId": "CFQ7TTC0K18M"}
NEXT_TERM = {"product": NEXT_PRODUCT | {"termDuration": "P3Y", "billingCycle": "Annual"}, "quantity": 8}
[SOFTWARE] = sample("subscriptions/list-software-subscription")["items"]
SOFTWARE |= {"effectiveStartDate": "2025-11-01T10:00:00Z", "commitmentEndDate": "2026-10-31T00:00:00Z"} | OFF
SOFTWARE |= {"termDuration": "P1Y"}


def after(subscription: Json, days: float) -> Json:
    """Return *subscription* so many days after the end of its year."""
    changed: Json = dict(subscription)
    let_time_pass(changed, ENDED + timedelta(days=days))
    return changed


def test_nothing_happens_before_the_end_of_the_term() -> None:
    """The day of commitmentEndDate belongs to the term."""
    for members in ({}, OFF, OFF | CANCEL, OFF | {"status": "suspended"}):
        assert after(LICENCE | members, days=-1 / 86400) == LICENCE | members


def test_a_renewal_opens_the_window_again_and_keeps_the_ids() -> None:
    renewed = after(LICENCE, days=3)

    assert renewed == LICENCE | {
        "effectiveStartDate": "2026-11-01T00:00:00Z",
        "commitmentEndDate": "2027-10-31T00:00:00Z",
        "commitmentEndDateTime": "2027-10-31T23:59:59Z",
        "cancellationAllowedUntilDate": "2026-11-08T00:00:00Z",
        "refundOptions": [{"type": "Full", "expiresAt": "2026-11-02T00:00:00Z"}],
        "refundableQuantity": {
            "totalQuantity": 1,
            "details": [{"quantity": 1, "allowedUntilDateTime": "2026-11-08T00:00:00Z"}],
        },
    }


def test_a_renewal_follows_the_instructions_for_the_next_term() -> None:
    renewed = after(LICENCE | {"scheduledNextTermInstructions": NEXT_TERM}, days=0)

    assert (renewed["offerId"], renewed["quantity"]) == ("CFQ7TTC0LDPB:0001:CFQ7TTC0K18M", 8)
    assert (renewed["termDuration"], renewed["billingCycle"]) == ("P3Y", "annual")
    assert renewed["commitmentEndDateTime"] == "2029-10-31T23:59:59Z"
    assert "scheduledNextTermInstructions" not in renewed


def test_a_trial_becomes_a_paid_year() -> None:
    trial = LICENCE | {"isTrial": True, "termDuration": "P1M"} | term_members(ENDED - timedelta(days=31), "P1M", 25)

    paid = after(trial, days=1)

    assert (paid["isTrial"], paid["status"], paid["termDuration"]) == (False, "active", "P1Y")
    assert paid["commitmentEndDate"] == "2027-10-31T00:00:00Z"


@pytest.mark.parametrize("actions", [{}, RENEW, {"scheduledActions": []}, {"scheduledActions": None}])
def test_auto_renew_off_alone_ends_in_a_paid_extended_term(actions: Json) -> None:
    """That is the trap of 2026."""
    extended = after(LICENCE | OFF | actions, days=40)

    assert (extended["status"], extended["autoRenewEnabled"]) == ("active", True)
    assert (extended["termDuration"], extended["billingCycle"]) == ("P1M", "monthly")
    assert extended["offerName"] == "Microsoft 365 Business Basic (Extended Service Term)"
    assert extended["id"] == LICENCE["id"]
    assert extended["offerId"] != LICENCE["offerId"]
    assert extended["commitmentEndDate"] == "2026-12-31T00:00:00Z"  # renewed once, after its first month
    assert "scheduledActions" not in extended


@pytest.mark.parametrize("spelling", ["scheduleType", "scheduledType"])
def test_a_scheduled_cancel_ends_the_subscription(spelling: str) -> None:
    actions = {"scheduledActions": [{spelling: "TermEnd", "actionType": "Cancel"}]}

    assert after(LICENCE | OFF | actions, days=0)["status"] == "deleted"


def test_a_scheduled_cancel_without_auto_renew_off_has_no_effect() -> None:
    assert after(LICENCE | CANCEL, days=0)["commitmentEndDate"] == "2027-10-31T00:00:00Z"


@pytest.mark.parametrize(
    "subscription",
    [
        pytest.param(SOFTWARE, id="software"),
        pytest.param(LICENCE | OFF | {"isTrial": True}, id="trial"),
        pytest.param(LICENCE | OFF | {"effectiveStartDate": "2025-03-31T23:00:00Z"}, id="bought before 2025-04-01"),
    ],
)
def test_without_extended_terms_a_subscription_expires_and_is_deleted_in_the_end(subscription: Json) -> None:
    statuses = [after(subscription, days)["status"] for days in (0, 30, 31, 120, 121)]

    assert statuses == ["expired", "expired", "disabled", "disabled", "deleted"]


def test_a_term_that_ended_before_extended_terms_began_expires() -> None:
    """They began on 2026-05-04."""
    begun = datetime(2025, 5, 4, tzinfo=UTC)
    statuses = []
    for started in (begun - timedelta(days=1), begun):
        licence = LICENCE | OFF | {"effectiveStartDate": f"{started:%Y-%m-%dT%H:%M:%SZ}"}
        licence |= term_members(started, "P1Y", 1)
        let_time_pass(licence, datetime(2026, 5, 5, tzinfo=UTC))
        statuses.append(licence["status"])

    assert statuses == ["expired", "active"]


def test_a_suspended_subscription_is_disabled_at_the_end_of_its_term() -> None:
    suspended = LICENCE | OFF | {"status": "suspended"}

    assert [after(suspended, days)["status"] for days in (0, 121)] == ["disabled", "deleted"]


def test_a_suspended_legacy_licence_is_deleted_at_the_end_of_its_term() -> None:
    legacy = sample("subscriptions/legacy-addon-with-parent") | {"status": "suspended"}
    statuses = []
    for ends_at in ("2018-02-09T23:59:59", "2018-02-10T00:00:01"):
        changed = dict(legacy)
        let_time_pass(changed, datetime.fromisoformat(ends_at).replace(tzinfo=UTC))
        statuses.append(changed["status"])

    assert statuses == ["suspended", "deleted"]


def test_the_window_of_saas_does_not_open_again() -> None:
    saas = sample("subscriptions/saas-active-autorenew-off-response") | {"autoRenewEnabled": True}
    renewed = dict(saas)

    let_time_pass(renewed, datetime(2019, 2, 20, tzinfo=UTC))

    assert renewed == saas | {"commitmentEndDate": "2019-03-08T00:21:45Z"}


def test_a_trial_of_saas_becomes_paid_for_the_same_term() -> None:
    trial = sample("subscriptions/saas-active-autorenew-off-response") | {"autoRenewEnabled": True, "isTrial": True}
    trial |= {"commitmentEndDateTime": trial["commitmentEndDate"]}

    let_time_pass(trial, datetime(2019, 2, 20, tzinfo=UTC))

    assert (trial["isTrial"], trial["termDuration"]) == (False, "P1M")
    assert trial["commitmentEndDateTime"] == trial["commitmentEndDate"] == "2019-03-08T00:21:46Z"


@pytest.mark.parametrize("term", ["P0M", "", None, "P99Y", "one year", 5])
def test_a_term_that_cannot_be_read_does_not_stop_the_time(term: object) -> None:
    renewed = LICENCE | {"termDuration": term}

    let_time_pass(renewed, ENDED + timedelta(days=800))

    assert renewed["commitmentEndDateTime"] >= "2028"


@pytest.mark.parametrize("actions", [{"a": 1}, [1, None], [{"actionType": "Cancel"}], "Cancel"])
def test_actions_that_cannot_be_read_have_no_effect(actions: object) -> None:
    assert after(LICENCE | OFF | {"scheduledActions": actions}, days=1)["termDuration"] == "P1M"


def test_a_subscription_without_an_end_stays_as_it_is() -> None:
    legacy = sample("subscriptions/legacy-azure-with-etag")
    changed = dict(legacy)

    let_time_pass(changed, datetime(2100, 1, 1, tzinfo=UTC))

    assert changed == legacy


def test_ageing_changes_every_date_and_nothing_else() -> None:
    legacy = sample("subscriptions/legacy-azure-with-etag")
    licence: Json = sample("subscriptions/nce-seat-active-refundable")

    assert age_dates(legacy, 10) == legacy | {
        "creationDate": "2016-04-30T07:30:05.427Z",
        "effectiveStartDate": "2016-04-30T00:00:00Z",
    }
    aged = age_dates(licence, 1)
    assert aged["creationDate"] == "2021-01-13T16:57:15.0966728Z"  # all seven digits
    assert aged["refundOptions"] == [{"type": "Full", "expiresAt": "2021-01-14T00:00:00Z"}]
    assert aged["refundableQuantity"]["details"][0]["allowedUntilDateTime"] == "2021-01-23T20:39:17.182697Z"
    assert age_dates("2015-11-25T06: 41: 12Z", 25) == "2015-10-31T06: 41: 12Z"
    assert age_dates("2015-11-25", 25) == "2015-11-25"  # no date of Partner Center's is without a time


@pytest.mark.parametrize("date", ["2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_a_date_that_cannot_be_made_older_stays_as_it_is(date: str) -> None:
    assert age_dates({"commitmentEndDate": date}, 10) == {"commitmentEndDate": date}


@pytest.mark.parametrize(
    ("date", "term", "expected"),
    [
        ("2026-01-31", "P1M", "2026-02-28"),
        ("2026-12-15", "P1M", "2027-01-15"),
        ("2024-02-29", "P1Y", "2025-02-28"),
        ("2026-11-01", "P3Y", "2029-11-01"),
        ("2026-11-01", "", "2027-11-01"),
    ],
)
def test_a_term_is_added_by_the_calendar(date: str, term: str, expected: str) -> None:
    assert add_term(datetime.fromisoformat(date), term) == datetime.fromisoformat(expected)
