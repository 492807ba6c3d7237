"""The effect of a PATCH on a subscription: what it changes, what it resets, what is refused."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.local.partner_center.entries import kind_of
from infra.local.partner_center.refusals import Refused
from infra.local.partner_center.subscription_rules import Circumstances, patched, shown
from tests.support.local_cloud import Json
from tests.support.partner_center import sample

LICENCE = sample("subscriptions/nce-seat-active-refundable")
SAAS = sample("subscriptions/saas-active-autorenew-off-response")
LEGACY = sample("subscriptions/legacy-addon-with-parent")
SAVINGS_PLAN = sample("subscriptions/savings-plan")
[SOFTWARE] = sample("subscriptions/list-software-subscription")["items"]
AZURE_PLAN = SAVINGS_PLAN | {"productType": {"id": "Azure", "displayName": "Azure"}, "autoRenewEnabled": False}
EXTENDED = LICENCE | {"offerName": "Microsoft 365 Business Basic (Extended Service Term)"}
TRIAL = LICENCE | {"isTrial": True}
SUSPENDED = LICENCE | {"status": "suspended", "autoRenewEnabled": False}
NEXT_TERM = {"product": {"productId": "CFQ7TTC0LH18"}, "quantity": 3}
CANCEL_AT_END = [{"scheduleType": "TermEnd", "actionType": "Cancel"}]

SAMPLE_DAY = datetime(2021, 1, 15, 16, tzinfo=UTC)  # 23 hours after the start of LICENCE
SAAS_DAY = datetime(2019, 1, 10, tzinfo=UTC)  # 24 hours after the start of SAAS


def patch(subscription: Json, body: Json, now: datetime = SAMPLE_DAY, **circumstances: Any) -> Json:
    return patched(subscription, json.dumps(body).encode(), Circumstances(now, **circumstances))


def refusal_of(subscription: Json, body: Json, now: datetime = SAMPLE_DAY, **circumstances: Any) -> tuple[int, Any]:
    before = json.dumps(subscription)
    with pytest.raises(Refused) as refused:
        patch(subscription, body, now, **circumstances)
    assert json.dumps(subscription) == before
    return refused.value.refusal.status, refused.value.refusal.code


@pytest.mark.parametrize(
    ("subscription", "body", "now"),
    [
        pytest.param(LICENCE, sample("subscriptions/request-nce-cancel-full-2021"), SAMPLE_DAY, id="licence"),
        pytest.param(SAAS, SAAS | {"status": "deleted"}, SAAS_DAY, id="SaaS"),
        pytest.param(SOFTWARE, SOFTWARE | {"status": "deleted"}, datetime(2021, 11, 1, tzinfo=UTC), id="software"),
        pytest.param(SUSPENDED, SUSPENDED | {"status": "deleted"}, SAMPLE_DAY, id="suspended licence"),
        pytest.param(EXTENDED, EXTENDED | {"status": "deleted"}, datetime(2026, 11, 1, tzinfo=UTC), id="extended term"),
        pytest.param(
            SAAS | {"isTrial": True},
            SAAS | {"isTrial": True, "status": "deleted"},
            datetime(2019, 1, 30, tzinfo=UTC),
            id="SaaS trial",
        ),
    ],
)
def test_a_whole_body_cancels_and_changes_nothing_else(subscription: Json, body: Json, now: datetime) -> None:
    assert patch(subscription, body, now) == subscription | {"status": "deleted"}


def test_the_sample_of_the_cancelled_saas_is_what_the_sample_of_the_request_leaves() -> None:
    """Apart from a blank that the publisher's name has lost between the two samples."""
    request, answer = (
        sample(f"subscriptions/{name}") for name in ("request-saas-cancel-full", "saas-deleted-patch-response")
    )

    assert patch(SAAS | {"publisherName": answer["publisherName"]}, request, SAAS_DAY) == answer


@pytest.mark.parametrize(
    ("members", "body", "expected"),
    [
        pytest.param({}, {"status": "active"}, {"autoRenewEnabled": False}, id="auto-renew"),
        pytest.param({}, {"autoRenewEnabled": None}, {"autoRenewEnabled": False}, id="auto-renew null"),
        pytest.param(
            {"scheduledNextTermInstructions": NEXT_TERM},
            {"autoRenewEnabled": True},
            {"scheduledNextTermInstructions": None},
            id="instructions for the next term",
        ),
        pytest.param(
            {"scheduledNextTermInstructions": NEXT_TERM},
            {"autoRenewEnabled": True, "scheduledNextTermInstructions": None},
            {"scheduledNextTermInstructions": None},
            id="instructions null",
        ),
        pytest.param(
            {"nextChargeInstructions": NEXT_TERM},
            {"autoRenewEnabled": True},
            {"nextChargeInstructions": None},
            id="instructions for the next charge",
        ),
        pytest.param(
            {"scheduledActions": CANCEL_AT_END, "autoRenewEnabled": False},
            {"autoRenewEnabled": False},
            {"scheduledActions": None},
            id="scheduled actions",
        ),
        pytest.param(
            {"scheduledNextTermInstructions": NEXT_TERM},
            {"autoRenewEnabled": False, "scheduledNextTermInstructions": NEXT_TERM},
            {"autoRenewEnabled": False, "scheduledNextTermInstructions": None},
            id="auto-renew off deletes instructions",
        ),
        pytest.param(
            {},
            {
                "autoRenewEnabled": True,
                "scheduledActions": CANCEL_AT_END,
                "scheduledNextTermInstructions": NEXT_TERM,
            },
            {"scheduledActions": CANCEL_AT_END, "scheduledNextTermInstructions": None},
            id="actions beat instructions",
        ),
    ],
)
def test_what_is_left_out_is_reset(members: Json, body: Json, expected: Json) -> None:
    result = patch(LICENCE | members, body)

    assert result == {name: value for name, value in (LICENCE | members | expected).items() if value is not None}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param({"friendlyName": "Sales"}, {"friendlyName": "Sales"}, id="name"),
        pytest.param({"partnerId": "4847383"}, {"partnerId": "4847383"}, id="partner of record"),
        pytest.param({"unknown": {"a": 1}}, {}, id="unknown member"),
        pytest.param({"links": {"self": {}}, "refundOptions": [], "refundableQuantity": None}, {}, id="ignored"),
        pytest.param({"status": "Active"}, {}, id="status in capitals"),
        pytest.param({"status": None}, {}, id="status null"),
        pytest.param({"scheduledActions": []}, {"scheduledActions": []}, id="no actions"),
        pytest.param(
            {"scheduledActions": [{"ScheduledType": "TermEnd", "ActionType": "Cancel"}]},
            {"scheduledActions": [{"scheduledType": "TermEnd", "actionType": "Cancel"}]},
            id="the other spelling, PascalCase",
        ),
        pytest.param({"creationDate": "2021-01-14T17:57:15.096672+01:00"}, {}, id="date in another zone"),
        pytest.param({"orderId": "34B37D7340CC", "parentSubscriptionId": None}, {}, id="case, null"),
    ],
)
def test_other_members_change_what_they_can(members: Json, expected: Json) -> None:
    assert patch(LICENCE, LICENCE | members) == LICENCE | expected


@pytest.mark.parametrize("members", [{"status": "deleted"}, {"quantity": 2}], ids=["cancelled", "other seats"])
def test_a_change_in_mid_term_deletes_the_instructions_for_the_next_one(members: Json) -> None:
    before = LICENCE | {"scheduledNextTermInstructions": NEXT_TERM, "nextChargeInstructions": NEXT_TERM}

    after = patch(before, before | members)

    assert "scheduledNextTermInstructions" not in after
    assert after["nextChargeInstructions"] == NEXT_TERM


@pytest.mark.parametrize("members", [{"status": "deleted"}, {"quantity": 2}], ids=["cancelled", "other seats"])
def test_a_change_in_mid_term_deletes_the_scheduled_actions(members: Json) -> None:
    before = LICENCE | {"autoRenewEnabled": False, "scheduledActions": CANCEL_AT_END}

    after = patch(before, before | members)

    assert "scheduledActions" not in after
    assert after["autoRenewEnabled"] is False


def test_a_subscription_in_pascal_case_stays_so() -> None:
    pascal: Json = {"Id": "a4c1340d-6911-4758-bba3-0c4c6007d161", "ProductType": {"Id": "OnlineServicesNCE"}}
    pascal |= {"Status": "active", "AutoRenewEnabled": True, "Quantity": 1}

    result = patch(pascal, {"autoRenewEnabled": False, "scheduledActions": CANCEL_AT_END})

    actions = [{"ScheduleType": "TermEnd", "ActionType": "Cancel"}]
    assert result == pascal | {"AutoRenewEnabled": False, "ScheduledActions": actions}


@pytest.mark.parametrize(
    ("subscription", "members", "expected"),
    [
        pytest.param(LICENCE, {"status": "cancelled"}, (400, "900126"), id="unknown status"),
        pytest.param(LICENCE, {"status": 5}, (400, "900126"), id="status a number"),
        pytest.param(LICENCE, {"status": "pending"}, (400, "800040"), id="active to pending"),
        pytest.param(LICENCE, {"id": "968BA1CF-C146-4ADF-A300-308DCF718EEE"}, (400, "3000"), id="another id"),
        pytest.param(LICENCE, {"orderId": "000000000000"}, (400, "3000"), id="another order"),
        pytest.param(LICENCE, {"commitmentEndDate": "2022-01-14T00:00:00Z"}, (400, "3000"), id="another end"),
        pytest.param(LICENCE, {"billingCycle": "annual"}, (400, "800097"), id="another billing cycle"),
        pytest.param(LICENCE, {"autoRenewEnabled": "false"}, (400, "3000"), id="auto-renew a string"),
        pytest.param(LICENCE, {"scheduledActions": {}}, (400, "3000"), id="actions an object"),
        pytest.param(LICENCE, {"scheduledActions": [1]}, (400, "3000"), id="action a number"),
        pytest.param(LICENCE, {"scheduledActions": [{"actionType": "Cancel"}]}, (400, "900126"), id="no schedule"),
        pytest.param(
            LICENCE,
            {"scheduledActions": [{"scheduleType": "TermEnd", "actionType": "Delete"}]},
            (400, "900126"),
            id="unknown action",
        ),
        pytest.param(LICENCE, {"nextChargeInstructions": []}, (400, "3000"), id="instructions a list"),
        pytest.param(LICENCE | {"status": "deleted"}, {"status": "deleted"}, (400, "2011"), id="deleted already"),
        pytest.param(LICENCE | {"status": "pending"}, {"status": "deleted"}, (409, "800082"), id="pending"),
        pytest.param(LICENCE | {"status": "expired"}, {"status": "deleted"}, (400, "800040"), id="expired"),
        pytest.param(LICENCE | {"status": "disabled"}, {"status": "active"}, (400, "800040"), id="disabled"),
        pytest.param(TRIAL, {"status": "deleted"}, (400, "800096"), id="trial deleted"),
        pytest.param(TRIAL, {"status": "suspended"}, (400, "800096"), id="trial suspended"),
        pytest.param(LEGACY, {"status": "deleted"}, (400, "800040"), id="legacy deleted"),
        pytest.param(LEGACY, {"attributes": {"etag": "stale"}}, (400, "2055"), id="legacy, stale ETag"),
        pytest.param(AZURE_PLAN, {"status": "deleted"}, (400, "800096"), id="Azure plan deleted"),
        pytest.param(AZURE_PLAN, {"autoRenewEnabled": True}, (400, "800093"), id="Azure plan, auto-renew"),
        pytest.param(SAVINGS_PLAN, {"status": "deleted"}, (403, "900321"), id="savings plan"),
        pytest.param(SAAS, {"status": "suspended"}, (400, "800096"), id="SaaS suspended"),
        pytest.param(SOFTWARE, {"status": "suspended"}, (400, "800096"), id="software suspended"),
        pytest.param(EXTENDED, {"status": "suspended"}, (400, "800096"), id="extended term suspended"),
        pytest.param(EXTENDED, {"autoRenewEnabled": False}, (400, "900279"), id="extended term, auto-renew"),
        pytest.param(
            LICENCE | {"productType": {"id": "Quantum"}}, {"status": "deleted"}, (400, "900141"), id="unknown kind"
        ),
        pytest.param(
            SUSPENDED | {"suspensionReasons": ["Fraud"]}, {"status": "active"}, (400, "800096"), id="by Microsoft"
        ),
    ],
)
def test_what_cannot_be_changed_is_refused(subscription: Json, members: Json, expected: tuple[int, Any]) -> None:
    assert refusal_of(subscription, subscription | members) == expected


NESTED = b'{"nextChargeInstructions": ' + b'{"a": ' * 700 + b"1" + b"}" * 701


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]"),
        pytest.param(b"[" * 100_000, id="too many brackets to read"),
        pytest.param(NESTED, id="nested too deeply to store"),
        pytest.param(b'{"nextChargeInstructions": {"quantity": NaN}}', id="NaN"),
        pytest.param(b'{"friendlyName": "\\ud800"}', id="half of a surrogate pair"),
    ],
)
def test_a_body_that_is_no_subscription_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        patched(LICENCE, body, Circumstances(SAMPLE_DAY))

    assert refused.value.refusal.code == "800002"


STARTED = datetime(2021, 1, 14, 16, 57, 14, 498252, tzinfo=UTC)
SAAS_STARTED = datetime(2019, 1, 9, 0, 21, 45, 926372, tzinfo=UTC)
DEADLINE = datetime(2021, 11, 14, 23, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("subscription", "deadline", "code"),
    [
        pytest.param(LICENCE, STARTED + timedelta(days=7), "900117", id="licence, 7 days from its start"),
        pytest.param(SOFTWARE, DEADLINE, "900117", id="software, by its own deadline"),
        pytest.param(
            {name: value for name, value in SOFTWARE.items() if name != "cancellationAllowedUntilDate"},
            datetime(2021, 10, 22, 21, 28, 18, 478684, tzinfo=UTC),
            "900117",
            id="software, 7 days from its start",
        ),
        pytest.param(SAAS, SAAS_STARTED + timedelta(hours=72), "900213", id="SaaS, 72 hours"),
        pytest.param(
            LICENCE | {"cancellationAllowedUntilDate": "2021-01-14T20:00:00Z"},
            datetime(2021, 1, 14, 20, tzinfo=UTC),
            "900117",
            id="licence, by its own deadline",
        ),
    ],
)
def test_a_subscription_can_be_cancelled_until_its_window_ends(
    subscription: Json, deadline: datetime, code: str
) -> None:
    body = subscription | {"status": "deleted"}

    assert patch(subscription, body, deadline)["status"] == "deleted"
    assert refusal_of(subscription, body, deadline + timedelta(seconds=1)) == (400, code)


def test_a_loaded_subscription_has_no_window_but_that_which_it_tells() -> None:
    long_after = datetime(2026, 11, 1, tzinfo=UTC)
    deleted = {"status": "deleted"}

    assert patch(LICENCE, LICENCE | deleted, long_after, has_window=False)["status"] == "deleted"
    assert refusal_of(SOFTWARE, SOFTWARE | deleted, long_after, has_window=False) == (400, "900117")


def test_a_cancellation_goes_by_the_status_whatever_the_quantity() -> None:
    """A quantity that somebody else has changed meanwhile is neither written nor refused."""
    for quantity in (2, 0):
        assert patch(LICENCE, LICENCE | {"status": "deleted", "quantity": quantity}) == LICENCE | {"status": "deleted"}


BY_ONE, BY_THE_OTHER = CANCEL_AT_END, [{"scheduledType": "TermEnd", "actionType": "Cancel"}]


@pytest.mark.parametrize(
    ("spellings", "actions", "kept"),
    [
        pytest.param({"scheduleType", "scheduledType"}, BY_ONE, BY_ONE, id="both-one"),
        pytest.param({"scheduleType", "scheduledType"}, BY_THE_OTHER, BY_THE_OTHER, id="both-the-other"),
        pytest.param({"scheduleType"}, BY_ONE, BY_ONE, id="known"),
        pytest.param({"scheduleType"}, BY_THE_OTHER, None, id="not-known"),
        pytest.param({"scheduledType"}, BY_ONE, None, id="the-other-way-round"),
        pytest.param(set(), BY_ONE, None, id="ignored"),
    ],
)
def test_an_action_in_an_unknown_spelling_is_ignored(
    spellings: set[str], actions: list[Json], kept: list[Json] | None
) -> None:
    """Nobody could confirm the name of the member, so a client must find out."""
    body = LICENCE | {"autoRenewEnabled": False, "scheduledActions": actions}
    after = patch(LICENCE, body, spellings=frozenset(spellings))

    assert (after["autoRenewEnabled"], after.get("scheduledActions")) == (False, kept)


END_OF_TERM = datetime(2022, 1, 14, tzinfo=UTC)  # of LICENCE


@pytest.mark.parametrize(
    ("change", "now", "expected"),
    [
        pytest.param({"autoRenewEnabled": False}, END_OF_TERM, (409, ""), id="auto-renew"),
        pytest.param({"scheduledNextTermInstructions": NEXT_TERM}, END_OF_TERM, (409, ""), id="next-term"),
        pytest.param({"status": "suspended"}, END_OF_TERM + timedelta(hours=23), (409, ""), id="suspend"),
        pytest.param({"status": "deleted"}, END_OF_TERM, (400, "900117"), id="a-cancellation-is-decided-as-ever"),
    ],
)
def test_while_a_renewal_is_processed_the_renewal_is_read_only(
    change: Json, now: datetime, expected: tuple[int, Any]
) -> None:
    assert refusal_of(LICENCE, LICENCE | change, now) == expected


@pytest.mark.parametrize(
    ("change", "now"),
    [
        pytest.param(
            {"status": "deleted", "cancellationAllowedUntilDate": "2022-02-01T00:00:00Z"}, END_OF_TERM, id="cancel"
        ),
        pytest.param({"friendlyName": "other"}, END_OF_TERM, id="name"),
        pytest.param({}, END_OF_TERM, id="nothing"),
        pytest.param({"autoRenewEnabled": False}, END_OF_TERM - timedelta(seconds=1), id="before"),
        pytest.param({"autoRenewEnabled": False}, END_OF_TERM + timedelta(hours=24), id="after"),
    ],
)
def test_all_else_can_be_changed_while_a_renewal_is_processed(change: Json, now: datetime) -> None:
    window = {"cancellationAllowedUntilDate": change.get("cancellationAllowedUntilDate", "2021-01-21T00:00:00Z")}
    subscription = LICENCE | window

    assert patch(subscription, subscription | change, now) == subscription | change


@pytest.mark.parametrize(
    "subscription",
    [pytest.param(SAAS, id="SaaS"), pytest.param(SOFTWARE, id="software"), pytest.param(TRIAL, id="trial")],
)
def test_products_without_extended_terms_ignore_scheduled_actions(subscription: Json) -> None:
    off = subscription | {"autoRenewEnabled": False}

    assert patch(subscription, off | {"scheduledActions": CANCEL_AT_END}) == off


def test_a_suspension_turns_auto_renew_off_and_deletes_what_is_scheduled() -> None:
    scheduled = {"scheduledNextTermInstructions": NEXT_TERM, "nextChargeInstructions": NEXT_TERM}
    before = LICENCE | scheduled

    suspended = shown(patch(before, before | {"status": "suspended"}))

    gone = ("scheduledNextTermInstructions", "refundableQuantity")
    assert suspended == {name: value for name, value in before.items() if name not in gone} | {
        "status": "suspended",
        "autoRenewEnabled": False,
    }


@pytest.mark.parametrize("members", [LICENCE, {"RefundableQuantity": LICENCE["refundableQuantity"]}])
def test_a_reactivation_brings_back_the_refundable_seats_and_not_auto_renew(members: Json) -> None:
    before = {name: value for name, value in LICENCE.items() if name != "refundableQuantity"} | members
    suspended = patch(before, before | {"status": "suspended"})
    body = shown(suspended)

    active = patch(suspended, body | {"status": "active"})

    assert not {"refundablequantity"} & {name.lower() for name in body}
    assert shown(active) == before | {"autoRenewEnabled": False}


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"autoRenewEnabled": True}, id="auto-renew"),
        pytest.param({"scheduledActions": CANCEL_AT_END}, id="scheduled actions"),
        pytest.param({"nextChargeInstructions": NEXT_TERM}, id="instructions for the next charge"),
        pytest.param({"friendlyName": "Sales"}, id="name"),
    ],
)
def test_only_the_status_can_be_changed_while_suspended(members: Json) -> None:
    assert refusal_of(SUSPENDED, SUSPENDED | members) == (400, "800091")
    assert patch(SUSPENDED, SUSPENDED) == SUSPENDED


def test_a_suspended_subscription_is_reactivated_before_the_end_of_its_term_only() -> None:
    """commitmentEndDateTime is its last second."""
    suspended = SUSPENDED | {"commitmentEndDateTime": "2022-01-13T23:59:59Z"}
    over = datetime(2022, 1, 14, tzinfo=UTC)
    body = suspended | {"status": "active"}

    assert refusal_of(suspended, body, over) == (400, "900279")
    assert patch(suspended, body, over - timedelta(seconds=1))["status"] == "active"


@pytest.mark.parametrize(
    ("status", "expected"),
    [("pending", (409, "800082")), ("expired", (400, "900279")), ("disabled", (400, "900279"))],
)
@pytest.mark.parametrize(
    "members", [{"autoRenewEnabled": False}, {"quantity": 4}, {"friendlyName": "Sales"}, {}], ids=str
)
def test_nothing_of_a_subscription_can_be_changed_before_and_after_its_life(
    status: str, expected: tuple[int, Any], members: Json
) -> None:
    subscription = LICENCE | {"status": status}

    assert refusal_of(subscription, subscription | members) == expected


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"scheduledActions": CANCEL_AT_END}, id="scheduled Cancel"),
        pytest.param({"scheduledNextTermInstructions": NEXT_TERM}, id="instructions for the next term"),
        pytest.param({"nextChargeInstructions": NEXT_TERM}, id="instructions for the next charge"),
    ],
)
def test_an_extended_term_takes_no_instructions(members: Json) -> None:
    """It would take a Cancel for its end, and be billed on."""
    assert refusal_of(EXTENDED, EXTENDED | members) == (400, "900279")
    same = EXTENDED | members
    assert patch(same, same) == patch(same, EXTENDED) == same
    assert patch(EXTENDED, EXTENDED | {"scheduledActions": [], "nextChargeInstructions": None}) == EXTENDED
    empty = EXTENDED | {"scheduledActions": []}
    assert patch(empty, empty) == empty


def test_a_legacy_subscription_keeps_its_auto_renew_and_counts_its_etag() -> None:
    suspended = patch(LEGACY, LEGACY | {"status": "suspended", "autoRenewEnabled": False})

    assert (suspended["status"], suspended["autoRenewEnabled"]) == ("suspended", True)
    versions = [
        json.loads(base64.b64decode(content["attributes"]["etag"]))["version"] for content in (LEGACY, suspended)
    ]
    assert versions == [1, 2]
    assert refusal_of(suspended, LEGACY | {"status": "suspended"}) == (400, "2055")


def test_an_add_on_is_not_activated_while_its_parent_is_inactive() -> None:
    suspended = LEGACY | {"status": "suspended"}
    body = suspended | {"status": "active"}

    assert refusal_of(suspended, body, parent_status="suspended") == (409, "27009")
    in_term = datetime(2018, 1, 1, tzinfo=UTC)
    assert patch(suspended, body, in_term, parent_status="active")["status"] == "active"


@pytest.mark.parametrize(
    ("members", "quantity", "expected"),
    [
        pytest.param({}, 3, [(1, "2021-01-24T20:39:17.182697Z"), (2, "2021-01-22T16:00:00Z")], id="more seats"),
        pytest.param({"quantity": 4}, 3, [], id="one seat less, as many as allowed"),
        pytest.param(
            {
                "quantity": 9,
                "refundableQuantity": {
                    "totalQuantity": 7,
                    "details": [
                        {"quantity": 4, "allowedUntilDateTime": "2021-01-24T20:39:17.182697Z"},
                        {"quantity": 3, "allowedUntilDateTime": "2021-01-25T20:39:17.182697Z"},
                    ],
                },
            },
            5,
            [(3, "2021-01-24T20:39:17.182697Z")],
            id="the newest seats go first",
        ),
    ],
)
def test_seats_can_be_added_and_the_refundable_ones_taken_away(
    members: Json, quantity: int, expected: list[tuple[int, str]]
) -> None:
    result = patch(LICENCE | members, LICENCE | members | {"quantity": quantity})

    assert result["quantity"] == quantity
    assert result["refundableQuantity"] == {
        "totalQuantity": sum(count for count, _ in expected),
        "details": [{"quantity": count, "allowedUntilDateTime": until} for count, until in expected],
    }


@pytest.mark.parametrize(
    ("subscription", "quantity", "now", "code"),
    [
        pytest.param(LICENCE | {"quantity": 5}, 3, SAMPLE_DAY, 800090, id="more seats than are refundable"),
        pytest.param(LICENCE | {"quantity": 5}, 4, datetime(2021, 1, 25, tzinfo=UTC), 800090, id="after their window"),
        pytest.param(
            LICENCE | {"quantity": 5, "refundableQuantity": {"details": [None, {"quantity": "4"}]}},
            4,
            SAMPLE_DAY,
            800090,
            id="refundable seats that cannot be read",
        ),
        pytest.param(LICENCE, 0, SAMPLE_DAY, "2002", id="none"),
        pytest.param(LICENCE, "2", SAMPLE_DAY, "2002", id="a string"),
        pytest.param(SUSPENDED, 2, SAMPLE_DAY, "2001", id="while suspended"),
        pytest.param(TRIAL, 2, SAMPLE_DAY, "800095", id="trial"),
        pytest.param(SOFTWARE, 2, SAMPLE_DAY, "800095", id="software"),
        pytest.param(EXTENDED, 2, SAMPLE_DAY, "900279", id="extended term"),
        pytest.param(SAAS | {"quantity": 5}, 4, SAAS_DAY, 800090, id="SaaS"),
    ],
)
def test_seats_that_cannot_be_changed_are_refused(
    subscription: Json, quantity: object, now: datetime, code: str | int
) -> None:
    assert refusal_of(subscription, subscription | {"quantity": quantity}, now) == (400, code)


@pytest.mark.parametrize(
    ("subscription", "kind"),
    [
        (LICENCE, "licence"),
        (SOFTWARE, "software subscription"),
        (SAAS, "SaaS"),
        (SAVINGS_PLAN | {"productType": {"id": "Azure", "subType": {"id": "SaaS"}}}, "SaaS"),
        (AZURE_PLAN, "Azure plan"),
        (SAVINGS_PLAN, "savings plan"),
        (LEGACY, "legacy licence"),
        (sample("subscriptions/legacy-azure-with-etag"), "legacy licence"),
        ({"productType": {"id": "Quantum"}}, "Quantum"),
        ({"productType": "Software"}, "legacy licence"),
    ],
)
def test_a_subscription_has_a_kind(subscription: Json, kind: str) -> None:
    assert kind_of(subscription) == kind
