"""The sample flow, run against the live function: it cancels an order only if a person approves."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local.partner_center.resources import subscription_guid
from tests.conftest import CUSTOMER
from tests.support.local_cloud import ROOT, Json, LocalCloud, domain_of
from tests.support.workflow import FAILED, SUCCEEDED, Run

FLOW: Json = json.loads(Path(ROOT / "infra/power-automate/cancel-order-flow.json").read_text())
DEFAULTS = {name: parameter["defaultValue"] for name, parameter in FLOW["parameters"].items()}


def note_after_flow(
    cloud: LocalCloud,
    order_id: str | None,
    decision: str = "Approve",
    key: str | None = None,
    before_approval: Callable[[], object] = lambda: None,
    **members: str,
) -> str:
    """Run the flow for the whole order, or for *members*, and return the note that the ticket gets.

    *before_approval* is called while the approver thinks.
    """
    notes: list[str] = []

    def send(name: str, inputs: Json) -> tuple[str, Json]:
        if name == "Approval":
            before_approval()
            return SUCCEEDED, {"body": {"outcome": decision}}
        if name == "Tell_the_ticket":
            notes.append(inputs["body"]["ticket"]["comment"]["body"])
            return SUCCEEDED, {}
        content = json.dumps(inputs["body"]) if "body" in inputs else None
        response = cloud.http.request(inputs["method"], inputs["uri"], content=content, headers=inputs["headers"])
        outputs: Json = {
            "statusCode": response.status_code,
            "headers": {header.title(): value for header, value in response.headers.items()},  # as .NET spells them
        }
        if response.content:
            outputs["body"] = response.json()
        return SUCCEEDED if response.is_success else FAILED, outputs

    parameters = DEFAULTS | {
        "functionUrl": cloud.description["functionUrl"],
        "functionKey": key or cloud.description["functionKey"],
    }
    request: Json = {"ticketId": "ZD-48151"} | members
    if "customerDomain" not in members:
        request = {"customerTenantId": CUSTOMER} | request
    if order_id:
        request["orderId"] = order_id
    assert Run(FLOW, request, parameters, send).start() == SUCCEEDED
    [note] = notes
    return note


def test_an_approved_order_is_cancelled_once(cloud: LocalCloud, order_id: str) -> None:
    first, second = note_after_flow(cloud, order_id), note_after_flow(cloud, order_id)

    assert first == f"Cancelled: order {order_id}."
    assert second == f"Nothing was left to cancel in order {order_id}."
    assert [request["method"] for request in cloud.requests("partner_center")].count("PATCH") == 1


def test_an_order_that_nobody_approves_stays(cloud: LocalCloud, order_id: str) -> None:
    before = cloud.order(order_id)

    assert "not approved" in note_after_flow(cloud, order_id, decision="Reject")
    assert cloud.order(order_id) == before


@pytest.mark.parametrize(
    ("order", "key", "expected"),
    [
        pytest.param("no-such-order", None, "order_not_found", id="the function's, with a code"),
        pytest.param(None, "x", "401", id="the host's, without a body"),
    ],
)
def test_a_refusal_is_in_the_note(
    cloud: LocalCloud, order_id: str, order: str | None, key: str | None, expected: str
) -> None:
    assert expected in note_after_flow(cloud, order or order_id, key=key)


LICENCES = "f81d98dd-c2f4-499e-a194-5619e260344e"  # a customer of the local cloud
TOO_OLD = subscription_guid("licence-without-deadline-20-days-old")  # it cannot be cancelled


def subscriptions_of(cloud: LocalCloud, order_id: str) -> list[str]:
    return [entry["subscriptionId"] for entry in cloud.description["subscriptions"] if entry["orderId"] == order_id]


def status_of(cloud: LocalCloud, subscription_id: str) -> str:
    return str(cloud.subscription(subscription_id)["status"])


def test_only_the_lines_that_were_offered_are_cancelled(cloud: LocalCloud) -> None:
    order_id = "1f64b775d881"  # line 1 is too late

    note = note_after_flow(cloud, order_id, customerTenantId=LICENCES)

    assert note.startswith(f"Lines 0 of order {order_id} are cancelled.")
    assert "expected to fail:\nLine 1: Visio Plan 2, quantity 2: the time in which it could be cancelled" in note
    assert [status_of(cloud, own) for own in subscriptions_of(cloud, order_id)] == ["deleted", "active"]


def test_an_order_of_more_than_it_bought_is_not_offered(cloud: LocalCloud) -> None:
    [own] = subscriptions_of(cloud, "d8998bb8e499")

    note = note_after_flow(cloud, "d8998bb8e499", customerTenantId=LICENCES)

    assert "nobody was asked for approval" in note
    assert f"subscription {own}" in note
    assert status_of(cloud, own) == "active"


def test_a_subscription_is_cancelled_as_it_was_approved(cloud: LocalCloud) -> None:
    [own] = subscriptions_of(cloud, "3bdf91822d4d")

    def add_seats() -> None:
        cloud.put(f"subscriptions/{own}", cloud.subscription(own) | {"quantity": 9})

    changed = note_after_flow(cloud, None, customerTenantId=LICENCES, subscriptionId=own, before_approval=add_seats)
    status = status_of(cloud, own)
    repeated = note_after_flow(cloud, None, customerTenantId=LICENCES, subscriptionId=own)

    assert "has changed since it was approved" in changed
    assert status == "active"
    assert repeated == f"Cancelled: subscription {own}."
    assert status_of(cloud, own) == "deleted"


def test_what_is_too_late_to_be_cancelled_ends_with_its_term(cloud: LocalCloud) -> None:
    too_late = note_after_flow(cloud, None, customerTenantId=LICENCES, subscriptionId=TOO_OLD)
    first, second = (
        note_after_flow(cloud, None, customerTenantId=LICENCES, subscriptionId=TOO_OLD, when="term_end")
        for _ in range(2)
    )

    assert "to let it end then, send the request again with do not renew (when: term_end)" in too_late
    assert first.startswith(f"Do not renew is set for subscription {TOO_OLD}. It is not cancelled now")
    assert "ends with its term, on 20" in first
    assert second.startswith("Nothing was left to do: it ends with its term already")
    assert status_of(cloud, TOO_OLD) == "active"


WORDS_ORDER, WORDS_LINE = "5fe4a03005d2", 2  # the only line of the customer with Exchange


def test_a_domain_and_a_word_lead_to_a_cancelled_licence(cloud: LocalCloud) -> None:
    domain = domain_of(cloud, LICENCES)
    own = subscriptions_of(cloud, WORDS_ORDER)

    first, second = (note_after_flow(cloud, None, customerDomain=domain, text="exchange online") for _ in range(2))

    assert first.startswith(f"Lines {WORDS_LINE} of order {WORDS_ORDER} are cancelled. The other lines are not.")
    living = {subscription_id for subscription_id in own if status_of(cloud, subscription_id) == "active"}
    assert len(set(own) - living) == 1
    assert 'the words "exchange online" must fit exactly one product' in second
    assert [request["method"] for request in cloud.requests("partner_center")].count("PATCH") == 1


def test_words_that_fit_several_orders_are_told_with_their_ids(cloud: LocalCloud) -> None:
    note = note_after_flow(cloud, None, customerDomain=domain_of(cloud, LICENCES), text="teams phone")

    assert note.startswith("Nothing was changed, and nobody was asked for approval")
    assert f"\nOrder {WORDS_ORDER}: Microsoft 365 Business Basic, lines: " in note
    assert "\nOrder b2a7ab92ad29: Microsoft 365 Business Basic, lines: 2, ordered on 20" in note
    assert [request["method"] for request in cloud.requests("partner_center")].count("PATCH") == 0


def test_a_domain_that_nobody_has_is_told_to_the_ticket(cloud: LocalCloud) -> None:
    note = note_after_flow(cloud, None, customerDomain="nobody.example", text="exchange")

    assert note.startswith("Nothing was changed (customer_not_found).")
