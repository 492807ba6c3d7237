"""The message that follows a request up: what is believed of one, its delays, and what a look proves."""

from typing import Any

import pytest

from shared.contract import CancelRequest, OrderState
from shared.tickets.follow_up import OPEN_STEPS, TELL_AGAIN_S, FollowUp, done
from tests.support.follow_ups import GUID, NOW, ORDER_ID, REQUEST, follow_up, line, order, read


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"code": "not_cancellable"},
        {"request": None, "code": "invalid_request"},
        {"looks": 6, "failures": 9, "reason": "given_up"},
        {"request": REQUEST | {"lineItems": [{"lineItemNumber": 0, "offerId": "a:b:c"}, {"lineItemNumber": 1}]}},
        {"request": {"customerTenantId": GUID, "subscriptionId": GUID, "when": "term_end", "dryRun": True}},
    ],
    ids=str,
)
def test_a_message_is_read_as_it_was_written(changes: dict[str, Any]) -> None:
    written = follow_up(**changes)

    assert FollowUp.read(written.text(), NOW) == written


def test_the_reason_of_a_request_stays_out_of_the_queue() -> None:
    request = CancelRequest.model_validate(REQUEST | {"reason": "the customer said so"})

    text = follow_up().model_copy(update={"request": request}).text()

    assert b"customer said" not in text
    assert FollowUp.read(text, NOW) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"request": REQUEST | {"reason": "free text"}},
        {"request": {**REQUEST, "customerTenantId": None, "customerDomain": "contoso.com"}},
        {"request": REQUEST | {"orderId": "https://evil.example"}},
        {"request": REQUEST | {"lineItems": []}},
        {"request": REQUEST | {"url": "https://evil.example"}},
        {"request": None},
        {"url": "https://evil.example"},
        {"text": "Call this number"},
        {"caller": "../x"},
        {"caller": None},
        {"ticketId": ""},
        {"ticketId": 7},
        {"code": "Call this number"},
        {"code": ""},
        {"correlationId": "Call this number"},
        {"decidedAt": NOW + 3_600},
        {"decidedAt": -1},
        {"decidedAt": "2026-11-30"},
        {"looks": -1},
        {"looks": 7},
        {"failures": True},
        {"reason": "Call this number"},
    ],
    ids=str,
)
def test_what_no_call_of_ours_writes_is_no_message(changes: dict[str, Any]) -> None:
    assert read(**changes) is None


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"null", b"\xff", b"{", b'{"caller": "a", "caller": "b"}', b"[" * 100_000, b'{"looks": NaN}'],
    ids=lambda text: str(text)[:20],
)
def test_what_is_no_json_object_is_no_message(text: bytes) -> None:
    assert FollowUp.read(text, NOW) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"caller": "jira"},
        {"ticketId": "1"},
        {"request": REQUEST | {"account": "other"}},
        {"request": REQUEST | {"orderId": ORDER_ID[::-1]}},
        {"request": REQUEST | {"when": "term_end"}},
        {"request": REQUEST | {"lineItems": [{"lineItemNumber": 0}]}},
        {"request": {"customerTenantId": GUID, "subscriptionId": GUID}},
        {"request": None, "code": "invalid_request"},
    ],
    ids=str,
)
def test_notes_about_other_things_have_another_key(changes: dict[str, Any]) -> None:
    assert follow_up(**changes).key != follow_up().key


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "not_cancellable", "decidedAt": NOW - 5, "looks": 3, "failures": 2},
        {"request": REQUEST | {"dryRun": True}},
        {"correlationId": GUID.replace("b", "c")},
    ],
    ids=str,
)
def test_notes_about_the_same_thing_have_the_same_key(changes: dict[str, Any]) -> None:
    assert follow_up(**changes).key == follow_up().key


def test_lines_are_the_same_in_any_order() -> None:
    lines = [{"lineItemNumber": 1}, {"lineItemNumber": 0, "offerId": "a"}]

    keys = {follow_up(request=REQUEST | {"lineItems": given}).key for given in (lines, lines[::-1])}

    assert len(keys) == 1


def test_a_look_is_repeated_for_a_day_and_the_ticket_is_told_twice() -> None:
    assert [(step.next_look_s, step.state) for step in OPEN_STEPS] == [
        (120, None),
        (300, None),
        (900, None),
        (3_600, "open"),
        (21_600, None),
        (86_400, None),
        (None, "still_open"),
    ]


@pytest.mark.parametrize(
    ("failures", "asked_s", "age_s", "pause_s"),
    [
        *((failures, None, 0, pause_s) for failures, pause_s in enumerate(TELL_AGAIN_S)),
        (9, None, 3_600, TELL_AGAIN_S[-1]),
        (0, 93, 0, 93),
        (0, 0, 0, 1),
        (0, 10_000_000, 0, 3_600),
        (4, None, 90_000, TELL_AGAIN_S[-1]),
        (5, None, 90_000, None),
        (5, 93, 90_000, None),
    ],
)
def test_a_ticketing_system_that_fails_is_tried_for_a_day(
    failures: int, asked_s: float | None, age_s: float, pause_s: float | None
) -> None:
    assert follow_up(failures=failures).pause_s(asked_s, NOW + age_s) == pause_s


@pytest.mark.parametrize(
    ("more", "found", "state"),
    [
        ({}, order(line(0, cancelled=True), line(1, cancelled=True)), "cancelled"),
        ({}, order(line(0, cancelled=True), line(1)), None),
        ({}, order(), None),
        ({}, order(status="cancelled"), "cancelled"),
        ({}, order(line(0, ends=True)), None),
        ({"lineItems": [{"lineItemNumber": 0}]}, order(line(0, cancelled=True), line(1)), "cancelled"),
        ({"lineItems": [{"lineItemNumber": 1}]}, order(line(0, cancelled=True), line(1)), None),
        ({"lineItems": [{"lineItemNumber": 7}]}, order(line(0, cancelled=True)), None),
        ({"lineItems": [{"lineItemNumber": 0}, {"lineItemNumber": 7}]}, order(line(0, cancelled=True)), None),
        ({"lineItems": [{"lineItemNumber": 7}]}, order(status="cancelled"), None),
        ({"when": "term_end"}, order(line(0, ends=True)), "scheduled"),
        ({"when": "term_end"}, order(line(0, ends=True), line(1, cancelled=True)), "scheduled"),
        ({"when": "term_end"}, order(line(0, cancelled=True)), "cancelled"),
        ({"when": "term_end"}, order(line(0, ends=False)), None),
        ({"when": "term_end"}, order(line(0, ends=None)), None),
    ],
)
def test_a_request_is_done_if_the_order_shows_it(more: dict[str, Any], found: OrderState, state: str | None) -> None:
    assert done(CancelRequest.model_validate(REQUEST | more), found) == state
