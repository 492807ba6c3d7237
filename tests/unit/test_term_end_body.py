"""The body that lets a subscription end with its term, for each way in which its actions may be written."""

import json
from typing import Any

import pytest

from shared.partner_center.subscriptions import (
    Subscription,
    read_subscription,
    replaced_by_term_end,
    spelling_of,
    term_end_body,
)
from tests.support.subscriptions import GUID, LICENCE, subscription

CANCEL = {"scheduleType": "TermEnd", "actionType": "Cancel"}
OTHERS_CANCEL = {"scheduledType": "TermEnd", "actionType": "Cancel"}
RENEW = {"scheduleType": "TermEnd", "actionType": "RenewToNewTerm", "instructions": {"quantity": 8}}
ON_A_DATE = {"scheduleType": "CustomDate", "actionType": "Transition", "effectiveDate": "2027-01-01T00:00:00Z"}
NEXT_TERM = {"product": {"productId": "CFQ7TTC0LH18"}, "quantity": 8}
SAAS = {"productType": None, "isMicrosoftProduct": False}


def body(own: Subscription) -> Any:
    return json.loads(term_end_body(own, spelling_of(own)))


ACTIONS = {
    "missing": (None, [CANCEL]),
    "empty": ([], [CANCEL]),
    "one spelling": ([CANCEL], [CANCEL]),
    "the other spelling": ([OTHERS_CANCEL], [OTHERS_CANCEL]),
    "another action for the end": ([RENEW], [CANCEL]),
    "another action for a date": ([ON_A_DATE], [ON_A_DATE, CANCEL]),
    "both": ([RENEW, ON_A_DATE], [ON_A_DATE, CANCEL]),
    "no list": ("Cancel", [CANCEL]),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_the_action_takes_the_place_of_others_for_the_end_of_the_term(name: str) -> None:
    before, after = ACTIONS[name]

    sent = body(subscription(scheduledActions=before))

    assert (sent["autoRenewEnabled"], sent["scheduledActions"]) == (False, after)


def test_actions_that_are_null_count_as_missing() -> None:
    own = read_subscription(json.dumps(LICENCE | {"scheduledActions": None}).encode(), GUID)

    assert own
    assert body(own) == LICENCE | {"autoRenewEnabled": False, "scheduledActions": [CANCEL]}


def test_instructions_for_the_next_term_are_left_out_and_all_else_is_sent_back() -> None:
    sent = body(subscription(scheduledNextTermInstructions=NEXT_TERM, nextChargeInstructions=NEXT_TERM))

    assert sent == LICENCE | {
        "nextChargeInstructions": NEXT_TERM,
        "autoRenewEnabled": False,
        "scheduledActions": [CANCEL],
    }


@pytest.mark.parametrize(
    "members",
    [
        pytest.param(SAAS, id="saas"),
        pytest.param({"productType": {"id": "Software"}}, id="software"),
        pytest.param({"isTrial": True}, id="trial"),
    ],
)
def test_products_without_extended_terms_need_no_action(members: dict[str, Any]) -> None:
    own = subscription(**members)

    assert body(own) == json.loads(own.text) | {"autoRenewEnabled": False}


def test_values_are_sent_back_as_they_were_written() -> None:
    text = (
        '{"Id":"GUID","OfferName":"Basic \\u00e9","Price":1.10,"ProductType":{"Id":"OnlineServicesNCE"},'
        '"ScheduledActions":[ {"ScheduleType":"CustomDate","X":1.0} ],"Status":"active"}'
    ).replace("GUID", GUID)
    own = read_subscription(text.encode(), GUID)

    assert own
    assert term_end_body(own, "scheduleType").decode() == (
        '{"Id": "GUID", "OfferName": "Basic \\u00e9", "Price": 1.10, "ProductType": {"Id":"OnlineServicesNCE"},'
        ' "ScheduledActions": [{"ScheduleType":"CustomDate","X":1.0},'
        ' {"ScheduleType": "TermEnd", "ActionType": "Cancel"}], "Status": "active", "AutoRenewEnabled": false}'
    ).replace("GUID", GUID)


@pytest.mark.parametrize(
    ("members", "replaced"),
    [
        pytest.param({}, {"autoRenewEnabled": True}, id="auto-renew"),
        pytest.param({"autoRenewEnabled": False}, None, id="nothing"),
        pytest.param({"autoRenewEnabled": False, "scheduledActions": [CANCEL]}, None, id="scheduled-already"),
        pytest.param(
            {"scheduledNextTermInstructions": NEXT_TERM},
            {"autoRenewEnabled": True, "scheduledNextTermInstructions": NEXT_TERM},
            id="next-term",
        ),
        pytest.param(
            {"scheduledActions": [RENEW, ON_A_DATE]},
            {"autoRenewEnabled": True, "scheduledActions": [RENEW]},
            id="actions-for-the-end",
        ),
        pytest.param(SAAS | {"scheduledActions": [RENEW]}, {"autoRenewEnabled": True}, id="saas-keeps-its-actions"),
        pytest.param(
            {"scheduledActions": [RENEW, CANCEL]},
            {"autoRenewEnabled": True, "scheduledActions": [RENEW]},
            id="beside-a-cancel",
        ),
        pytest.param(
            {"autoRenewEnabled": False, "scheduledActions": {"actionType": "Cancel"}},
            {"scheduledActions": {"actionType": "Cancel"}},
            id="no-list",
        ),
    ],
)
def test_what_is_replaced_is_told(members: dict[str, Any], replaced: dict[str, Any] | None) -> None:
    """An operator can put it back by hand."""
    text = replaced_by_term_end(subscription(**members))

    assert (None if text is None else json.loads(text)) == replaced


@pytest.mark.parametrize(
    ("members", "is_scheduled"),
    [
        pytest.param({}, False, id="renews"),
        pytest.param({"scheduledActions": [CANCEL]}, False, id="renews-in-spite-of-an-action"),
        pytest.param({"autoRenewEnabled": False}, False, id="extended-term"),
        pytest.param({"autoRenewEnabled": False, "scheduledActions": [CANCEL]}, True, id="action"),
        pytest.param({"autoRenewEnabled": False, "scheduledActions": [OTHERS_CANCEL]}, True, id="other-spelling"),
        pytest.param({"autoRenewEnabled": False, "scheduledActions": [RENEW]}, False, id="another-action"),
        pytest.param({"autoRenewEnabled": False, "scheduledActions": [CANCEL, RENEW]}, False, id="and-a-renewal"),
        pytest.param(
            {"autoRenewEnabled": False, "scheduledActions": [CANCEL | {"scheduledType": "CustomDate"}]},
            False,
            id="two-times-that-differ",
        ),
        pytest.param({"autoRenewEnabled": False, "isTrial": True}, True, id="trial"),
        pytest.param(SAAS | {"autoRenewEnabled": False}, True, id="saas"),
        pytest.param({"autoRenewEnabled": False, "productType": {"id": "Azure"}}, False, id="azure-plan"),
        pytest.param({"autoRenewEnabled": False, "productType": None}, False, id="legacy"),
        pytest.param({"autoRenewEnabled": False, "productType": {"id": "Other"}}, False, id="unknown"),
        pytest.param(SAAS | {"autoRenewEnabled": False, "status": "expired"}, False, id="expired"),
        pytest.param(SAAS | {"autoRenewEnabled": False, "status": "suspended"}, True, id="suspended-saas"),
        pytest.param({"autoRenewEnabled": None, "scheduledActions": [CANCEL]}, False, id="auto-renew-not-told"),
    ],
)
def test_scheduled_means_auto_renew_off_and_the_action_where_it_is_needed(
    members: dict[str, Any], is_scheduled: bool
) -> None:
    assert subscription(**members).is_scheduled is is_scheduled


def test_names_are_sent_back_as_they_were_written() -> None:
    text = json.dumps(LICENCE)[:-1] + r', "\ud800x": 1, "\u00e9": 2}'
    own = read_subscription(text.encode(), GUID)

    assert own
    assert r'"\ud800x": 1, "\u00e9": 2' in term_end_body(own, "scheduleType").decode()


def test_a_spelling_that_is_null_is_none() -> None:
    own = subscription(scheduledActions=[ON_A_DATE | {"scheduledType": None}])

    assert spelling_of(own) == "scheduleType"
