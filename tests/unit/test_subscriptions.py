"""How a subscription is read from Partner Center's JSON, and the body that cancels it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.partner_center.subscriptions import (
    Kind,
    Subscription,
    cancel_body,
    read_subscription,
    subscription_url,
    subscriptions_url,
)
from tests.support.subscriptions import GUID, LICENCE, OTHER_GUID, subscription

SAMPLES = Path(__file__).parents[1] / "samples/subscriptions"


def sample(name: str) -> Subscription:
    body = (SAMPLES / f"{name}.json").read_bytes()
    members = {key.lower(): value for key, value in json.loads(body).items()}
    found = read_subscription(body, members["id"])
    assert found
    return found


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nce-seat-active-refundable", Kind.LICENCE),
        ("saas-active-autorenew-off-response", Kind.SAAS),
        ("legacy-azure-with-etag", Kind.LEGACY_LICENCE),
        ("legacy-addon-with-parent", Kind.LEGACY_LICENCE),
        ("savings-plan", Kind.SAVINGS_PLAN),
        ("legacy-suspended-patch-response-pascalcase", Kind.LEGACY_LICENCE),
    ],
)
def test_microsofts_samples_have_their_kind(name: str, kind: Kind) -> None:
    assert sample(name).kind is kind


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        pytest.param({}, Kind.LICENCE, id="licence"),
        pytest.param({"productType": {"id": "ONLINESERVICESNCE"}}, Kind.LICENCE, id="any-case"),
        pytest.param({"productType": {"id": "Software"}}, Kind.SOFTWARE, id="software"),
        pytest.param(
            {"productType": {"id": "Software"}, "isMicrosoftProduct": False}, Kind.SOFTWARE, id="software-of-others"
        ),
        pytest.param({"productType": None, "isMicrosoftProduct": False}, Kind.SAAS, id="saas"),
        pytest.param({"productType": {"id": "Azure", "subType": {"id": "SaaS"}}}, Kind.SAAS, id="saas-as-azure"),
        pytest.param({"productType": {"id": "Azure"}}, Kind.AZURE_PLAN, id="azure-plan"),
        pytest.param(
            {"productType": {"id": "Azure", "subType": {"id": "SavingsPlan"}}, "isMicrosoftProduct": False},
            Kind.SAVINGS_PLAN,
            id="savings-plan",
        ),
        pytest.param({"productType": {"id": "QuantumServices"}}, Kind.UNKNOWN, id="unknown"),
        pytest.param({"productType": "QuantumServices"}, Kind.LEGACY_LICENCE, id="product-type-is-no-object"),
        pytest.param({"productType": None}, Kind.LEGACY_LICENCE, id="legacy"),
    ],
)
def test_the_kind_is_told_by_its_product(members: dict[str, Any], kind: Kind) -> None:
    assert subscription(**members).kind is kind


@pytest.mark.parametrize(
    ("members", "ends"),
    [
        pytest.param({}, "2027-11-27T23:59:59+00:00", id="moment"),
        pytest.param(
            {"commitmentEndDateTime": None, "commitmentEndDate": "2027-11-27T00:00:00Z"},
            "2027-11-27T23:59:59+00:00",
            id="day-that-still-belongs-to-it",
        ),
        pytest.param(
            {"commitmentEndDateTime": None, "commitmentEndDate": "2027-11-27T10:00:00Z"},
            "2027-11-27T10:00:00+00:00",
            id="time-of-day",
        ),
        pytest.param(
            {"commitmentEndDateTime": None, "commitmentEndDate": "2016-12-12T08: 00: 00Z"},
            "2016-12-12T08:00:00+00:00",
            id="blanks-in-it",
        ),
        pytest.param({"commitmentEndDateTime": None, "commitmentEndDate": "9999-12-10T00:00:00Z"}, None, id="no-end"),
        pytest.param({"commitmentEndDateTime": "soon"}, None, id="not-a-date"),
    ],
)
def test_the_end_of_the_term(members: dict[str, Any], ends: str | None) -> None:
    term_ends = subscription(**members).term_ends

    assert (term_ends and term_ends.isoformat()) == ends


def test_refunds_are_read_in_both_spellings() -> None:
    expires = datetime(2026, 12, 1, tzinfo=UTC)
    found = subscription(
        refundOptions=[
            {"type": "Full", "expiresAt": "2026-12-01T00:00:00Z"},
            {"type": "Partial", "expiresAfter": "2026-12-01T00:00:00Z"},
            {"type": "Partial", "expiresAt": None},
            {"type": "Full", "expiresAt": "P1D"},
            "Full",
        ]
    )

    assert found.refunds == (("full", expires), ("partial", expires), ("partial", None))


@pytest.mark.parametrize(
    ("actions", "has_cancel"),
    [
        pytest.param(None, False, id="missing"),
        pytest.param([], False, id="empty"),
        pytest.param([{"scheduleType": "TermEnd", "actionType": "Cancel"}], True, id="one-spelling"),
        pytest.param([{"scheduledType": "TermEnd", "actionType": "Cancel"}], True, id="the-other"),
        pytest.param([{"scheduleType": "CustomDate", "actionType": "Cancel"}], False, id="for-a-date"),
        pytest.param([{"scheduleType": "TermEnd", "actionType": "RenewToNewTerm"}], False, id="renews"),
        pytest.param("Cancel", False, id="no-list"),
    ],
)
def test_a_scheduled_cancel_is_seen(actions: object, has_cancel: bool) -> None:
    assert subscription(scheduledActions=actions).has_cancel_action is has_cancel


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(json.dumps({"status": "active"}).encode(), id="without-id"),
        pytest.param(json.dumps({"id": OTHER_GUID, "status": "active"}).encode(), id="of-another-subscription"),
        pytest.param(json.dumps(LICENCE).encode()[:-20], id="cut"),
        pytest.param(json.dumps(LICENCE | {"Status": "deleted"}).encode(), id="two-statuses"),
        pytest.param(b'{"id": "%s", "status": "active", "status": "deleted"}' % GUID.encode(), id="a-name-twice"),
        pytest.param(json.dumps(LICENCE).encode().replace(b"Business", b"\xff"), id="not-utf-8"),
        pytest.param(b"[" * 100_000, id="nested"),
    ],
)
def test_what_could_not_be_sent_back_is_not_read(body: bytes) -> None:
    """A PATCH sends the whole resource back. What is not surely this subscription, as it is, must not be sent."""
    assert read_subscription(body, GUID) is None


def test_the_body_differs_in_the_status_alone() -> None:
    text = (
        '{ "id" : "GUID",\n "Status":"active" , "ünits": 1.10, "big": 12345678901234567890.10, "E": 1e5,'
        ' "text": "\\u00e9 \\ud83d \\/", "nested": {"status": "active", "x": [null, true]}}'
    ).replace("GUID", GUID)
    found = read_subscription(text.encode(), GUID)

    assert found
    assert cancel_body(found).decode() == text.replace('"Status":"active"', '"Status":"deleted"')


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""], ids=["bom", "plain"])
def test_a_byte_order_mark_is_not_sent_back(mark: bytes) -> None:
    found = read_subscription(mark + json.dumps(LICENCE).encode(), GUID.upper())

    assert found
    assert json.loads(cancel_body(found)) == LICENCE | {"status": "deleted"}


def test_the_text_of_a_subscription_is_not_in_its_repr() -> None:
    assert "cancellationAllowedUntilDate" not in repr(subscription())


def test_urls() -> None:
    assert subscription_url("https://root", "c", "a/b") == "https://root/v1/customers/c/subscriptions/a%2Fb"
    assert subscriptions_url("https://root", "c", "a&b") == "https://root/v1/customers/c/subscriptions?order_id=a%26b"
    assert subscriptions_url("https://root", "c") == "https://root/v1/customers/c/subscriptions"
