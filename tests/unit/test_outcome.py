"""The answer to the caller, from the end of the PATCH and from the order as it is now, as tables."""

from typing import NamedTuple

import pytest

from shared.contract import LineItemRef, Outcome
from shared.errors import CancelError, OutcomeUnknown
from shared.partner_center.orders import Order
from shared.replies.answers import error_of
from shared.replies.reply import Reply
from shared.rules.outcome import (
    decide_lines,
    decide_outcome,
    is_look_needed,
    is_second_look_needed,
    order_without_look,
    proven_by_answer,
    shows_cancellation,
    with_known_lines,
)
from tests.support.orders import line, line_ref, order


def order_of(*quantities: int, status: str = "completed") -> Order:
    return order(*(line(number, quantity) for number, quantity in enumerate(quantities)), status=status)


def refusal(code: str) -> CancelError:
    return error_of(Reply(400, b'{"code": "%s"}' % code.encode()))


CANCELLED = order_of(1, status="cancelled")
WHOLE = None
LINE_0 = [line_ref(0)]
ACCEPTED = None
NO_LOOK = None  # the order could not be read, or it is not in the answer
NOT_CANCELLABLE, TOO_LATE, LICENCE, UNKNOWN_ORDER = (refusal(code) for code in ("800061", "900117", "800063", "20000"))
DOWN, THROTTLED = error_of(Reply(503, b"")), error_of(Reply(429, b"", 57))


class Case(NamedTuple):
    """The end of the PATCH, the order as it is now, the requested lines, and the outcome or code of the answer."""

    failure: CancelError | None
    order: Order | None
    requested_lines: list[LineItemRef] | None
    reported: str


ALL_ACCOUNTED_FOR = {
    "cancelled, and quantities kept": Case(ACCEPTED, CANCELLED, WHOLE, "cancelled"),
    "completed, with quantity 0": Case(ACCEPTED, order_of(0, 0), WHOLE, "cancelled"),
    "cancelled, without lines": Case(ACCEPTED, order_of(status="cancelled"), WHOLE, "cancelled"),
    "a line": Case(ACCEPTED, order_of(0, 1), LINE_0, "partially_cancelled"),
    "the last line": Case(ACCEPTED, order_of(0), LINE_0, "cancelled"),
    "the order does not show it": Case(ACCEPTED, order_of(1, 1), WHOLE, "pending"),
    "a line is not the whole order": Case(ACCEPTED, order_of(0, 1), WHOLE, "pending"),
    "another line": Case(ACCEPTED, order_of(1, 0), LINE_0, "pending"),
    "an unreadable answer": Case(ACCEPTED, NO_LOOK, WHOLE, "pending"),
    "refused": Case(NOT_CANCELLABLE, order_of(1), WHOLE, "not_cancellable"),
    "may mean done, no look": Case(NOT_CANCELLABLE, NO_LOOK, WHOLE, "outcome_unknown"),
    "cannot mean done, no look": Case(LICENCE, NO_LOOK, WHOLE, "use_subscription_cancel"),
    "cannot mean done, and is done": Case(LICENCE, CANCELLED, WHOLE, "already_cancelled"),
    "done before": Case(NOT_CANCELLABLE, CANCELLED, WHOLE, "already_cancelled"),
    "the line was done before": Case(TOO_LATE, order_of(0, 1), LINE_0, "already_cancelled"),
    "too late": Case(TOO_LATE, order_of(1), WHOLE, "cancellation_window_passed"),
    "throttled": Case(THROTTLED, NO_LOOK, WHOLE, "throttled"),
}
ONE_UNACCOUNTED_FOR = {
    "accepted in the end": Case(ACCEPTED, NO_LOOK, WHOLE, "pending"),
    "this call cancelled it": Case(NOT_CANCELLABLE, CANCELLED, WHOLE, "cancelled"),
    "this call cancelled the line": Case(NOT_CANCELLABLE, order_of(0, 1), LINE_0, "partially_cancelled"),
    "the change may still arrive": Case(NOT_CANCELLABLE, order_of(1), WHOLE, "outcome_unknown"),
    "no refusal is final": Case(LICENCE, order_of(1), WHOLE, "outcome_unknown"),
    "down": Case(DOWN, NO_LOOK, WHOLE, "outcome_unknown"),
    "throttled afterwards": Case(THROTTLED, NO_LOOK, WHOLE, "outcome_unknown"),
    "a look shows it": Case(DOWN, order_of(0), WHOLE, "cancelled"),
}


def reported(case: Case, *, is_patch_unaccounted: bool) -> str:
    end = decide_outcome(case.failure, case.order, case.requested_lines, is_patch_unaccounted=is_patch_unaccounted)
    return end if isinstance(end, Outcome) else end.code


@pytest.mark.parametrize("case", ALL_ACCOUNTED_FOR.values(), ids=ALL_ACCOUNTED_FOR)
def test_outcome_if_every_attempt_is_accounted_for(case: Case) -> None:
    assert reported(case, is_patch_unaccounted=False) == case.reported


@pytest.mark.parametrize("case", ONE_UNACCOUNTED_FOR.values(), ids=ONE_UNACCOUNTED_FOR)
def test_outcome_if_an_attempt_is_unaccounted_for(case: Case) -> None:
    assert reported(case, is_patch_unaccounted=True) == case.reported


def test_an_unknown_outcome_keeps_the_pause_that_partner_center_asked_for() -> None:
    end = decide_outcome(THROTTLED, NO_LOOK, WHOLE, is_patch_unaccounted=True)

    assert isinstance(end, CancelError)
    assert (end.retryable, end.retry_after_s) == (True, 57)


@pytest.mark.parametrize(
    ("failure", "answer", "is_unaccounted", "needed"),
    [
        pytest.param(ACCEPTED, CANCELLED, False, False, id="the-answer-shows-it"),
        pytest.param(ACCEPTED, order_of(1), False, True, id="the-answer-does-not-show-it"),
        pytest.param(ACCEPTED, NO_LOOK, False, True, id="the-answer-is-unreadable"),
        pytest.param(ACCEPTED, CANCELLED, True, False, id="shown-in-the-end"),
        pytest.param(NOT_CANCELLABLE, None, False, True, id="may-mean-done"),
        pytest.param(TOO_LATE, None, False, True, id="may-mean-done-long-ago"),
        pytest.param(LICENCE, None, False, True, id="a-refusal-of-the-order"),
        pytest.param(UNKNOWN_ORDER, None, False, False, id="no-such-order"),
        pytest.param(THROTTLED, None, False, False, id="throttled"),
        pytest.param(LICENCE, None, True, True, id="unaccounted-for"),
    ],
)
def test_the_order_is_read_only_if_that_shows_something(
    failure: CancelError | None, answer: Order | None, is_unaccounted: bool, needed: bool
) -> None:
    assert is_look_needed(failure, answer, WHOLE, is_patch_unaccounted=is_unaccounted) is needed


@pytest.mark.parametrize(
    ("found", "requested", "shown"),
    [
        pytest.param(order(line(quantity=0), line(1)), None, False, id="whole-order-by-one-line"),
        pytest.param(order(line(quantity=0), line(1, quantity=0)), None, True, id="whole-order-by-all-lines"),
        pytest.param(order(line(quantity=0), line(1)), [0], True, id="the-line"),
        pytest.param(order(line(quantity=0), line(1)), [0, 1], False, id="one-of-the-lines"),
        pytest.param(order(line(quantity=0), line(1)), [7], False, id="a-line-that-is-not-in-the-order"),
        pytest.param(order(line(quantity=0), line(0)), [0], False, id="one-of-two-lines-with-that-number"),
        pytest.param(order(status="cancelled"), [7], True, id="a-cancelled-order-covers-every-line"),
    ],
)
def test_shows_cancellation(found: Order, requested: list[int] | None, shown: bool) -> None:
    lines = None if requested is None else [line_ref(number) for number in requested]

    assert shows_cancellation(found, lines) is shown


class Answered(NamedTuple):
    """The answer to a PATCH, the lines requested, and the order as it was read before; without lines if it was not."""

    answer: Order | None
    requested_lines: list[LineItemRef] | None
    known: Order
    status: int = 200


NOT_READ = Order()
TWO_LINES = order_of(1, 1)
BOTH_LINES = [line_ref(0), line_ref(1)]
ECHO_OF_LINE_0 = order(line(0, None), status="cancelled")
PROVING = {
    "whole, as documented": Answered(order_of(1, 1, status="cancelled"), WHOLE, NOT_READ),
    "whole, quantities 0": Answered(order_of(0, 0, status="cancelled"), WHOLE, NOT_READ),
    "line, as documented": Answered(order_of(0, 1), LINE_0, TWO_LINES),
    "line, and no other in the answer": Answered(order_of(0), LINE_0, TWO_LINES),
    "last line": Answered(order_of(0, status="cancelled"), LINE_0, order_of(1)),
    "last line, the other cancelled before": Answered(order_of(0, 0, status="cancelled"), LINE_0, order_of(1, 0)),
    "both lines": Answered(order_of(0, 0, status="cancelled"), BOTH_LINES, TWO_LINES),
    "both lines, one cancelled before": Answered(order(line(1, 0)), BOTH_LINES, order_of(0, 1)),
    "lines in another order": Answered(order(line(1, 1), line(0, 0)), LINE_0, TWO_LINES),
}
NOT_PROVING = {
    "unreadable": Answered(None, WHOLE, NOT_READ),
    "whole, unchanged": Answered(TWO_LINES, WHOLE, NOT_READ),
    "whole, echo": Answered(order(status="cancelled"), WHOLE, NOT_READ),
    "whole, one line shown with 0": Answered(order_of(0), WHOLE, NOT_READ),
    "whole, 202": Answered(order_of(1, status="cancelled"), WHOLE, NOT_READ, 202),
    "line, unchanged": Answered(TWO_LINES, LINE_0, TWO_LINES),
    "line, echo": Answered(ECHO_OF_LINE_0, LINE_0, TWO_LINES),
    "line, echo without lines": Answered(order(status="cancelled"), LINE_0, TWO_LINES),
    "line, echo with 0, and the other left out": Answered(order_of(0, status="cancelled"), LINE_0, TWO_LINES),
    "line, cancelled beside living lines": Answered(order_of(0, 1, status="cancelled"), LINE_0, TWO_LINES),
    "the only line, cancelled with its quantity": Answered(order_of(1, status="cancelled"), LINE_0, order_of(1)),
    "line, another one": Answered(order_of(1, 0), LINE_0, TWO_LINES),
    "line, 202": Answered(order_of(0, 1), LINE_0, TWO_LINES, 202),
    "line, no lines": Answered(order(), LINE_0, TWO_LINES),
    "both lines, one left out": Answered(order_of(0), BOTH_LINES, TWO_LINES),
    "line without a number": Answered(order(line(None, 0)), LINE_0, TWO_LINES),
    "line, and one without a number": Answered(order(line(0, 0), line(None, 1)), LINE_0, TWO_LINES),
    "line, and one that nobody knew": Answered(order_of(0, 1, 1), LINE_0, TWO_LINES),
    "line twice": Answered(order(line(0, 0), line(0, 0)), LINE_0, TWO_LINES),
    "line twice, once living": Answered(order(line(0, 0), line(0, 1)), LINE_0, TWO_LINES),
    "line, quantity unknown": Answered(order(line(0, None), line(1)), LINE_0, TWO_LINES),
}


def is_proven(answered: Answered) -> bool:
    proven = proven_by_answer(answered.answer, answered.status, answered.requested_lines, answered.known)
    return not is_look_needed(ACCEPTED, proven, answered.requested_lines, is_patch_unaccounted=False)


@pytest.mark.parametrize("answered", PROVING.values(), ids=PROVING)
def test_a_documented_answer_proves_a_cancellation(answered: Answered) -> None:
    """It costs no request more."""
    assert is_proven(answered)


@pytest.mark.parametrize("answered", NOT_PROVING.values(), ids=NOT_PROVING)
def test_an_answer_proves_only_what_it_shows(answered: Answered) -> None:
    assert not is_proven(answered)


@pytest.mark.parametrize("answered", NOT_PROVING.values(), ids=NOT_PROVING)
def test_a_pending_cancellation_is_not_shown_as_done(answered: Answered) -> None:
    """If nobody can look, the answer is pending, and its order must not say otherwise."""
    shown = order_without_look(answered.answer, answered.status, answered.known)

    assert not shows_cancellation(shown, answered.requested_lines)


def test_a_line_that_the_answer_leaves_out_lives_on() -> None:
    proven = proven_by_answer(order_of(0), 200, LINE_0, TWO_LINES)

    assert proven == order_of(0, 1)
    assert decide_outcome(ACCEPTED, proven, LINE_0, is_patch_unaccounted=False) is Outcome.PARTIALLY_CANCELLED


@pytest.mark.parametrize(
    ("newer", "known", "completed"),
    [
        pytest.param(order_of(0, 1), TWO_LINES, order_of(0, 1), id="nothing-left-out"),
        pytest.param(
            order(line(1, 0)), TWO_LINES, order(line(0, 1), line(1, 0)), id="in-the-order-of-the-older-reading"
        ),
        pytest.param(order(line(5)), TWO_LINES, order(line(0), line(1), line(5)), id="a-new-line-comes-last"),
        pytest.param(
            order(status="cancelled"), TWO_LINES, order_of(1, 1, status="cancelled"), id="cancelled-as-a-whole"
        ),
        pytest.param(order(), order_of(0, 1), order_of(0, 1), id="no-lines"),
        pytest.param(order_of(1), NOT_READ, order_of(1), id="not-read-before"),
    ],
)
def test_lines_that_were_seen_are_not_forgotten(newer: Order, known: Order, completed: Order) -> None:
    assert with_known_lines(newer, known) == completed


@pytest.mark.parametrize(
    ("answer", "status", "shown"),
    [
        pytest.param(order_of(1, 1, status="pending"), 200, order_of(1, 1, status="pending"), id="newer"),
        pytest.param(order(status="pending"), 202, order_of(1, 1, status="pending"), id="accepted"),
        pytest.param(order_of(0, 1), 202, TWO_LINES, id="accepted-as-if-done"),
        pytest.param(ECHO_OF_LINE_0, 200, TWO_LINES, id="echo"),
        pytest.param(order(line(None)), 200, TWO_LINES, id="odd-lines"),
        pytest.param(None, 200, TWO_LINES, id="unreadable"),
    ],
)
def test_the_order_shown_if_nobody_could_look(answer: Order | None, status: int, shown: Order) -> None:
    assert order_without_look(answer, status, TWO_LINES) == shown


@pytest.mark.parametrize("code", ["800061", "800040", "2011"])
def test_a_refusal_that_is_said_of_cancelled_orders_is_not_final_soon_after_a_patch(code: str) -> None:
    """Partner Center's reads may lag behind its writes."""
    failure, living = refusal(code), order_of(1)

    assert is_second_look_needed(failure, living, WHOLE)
    for was_accepted, expected in ((False, "not_cancellable"), (True, "outcome_unknown")):
        end = decide_outcome(failure, living, WHOLE, is_patch_unaccounted=False, was_patch_accepted_before=was_accepted)
        assert isinstance(end, CancelError)
        assert end.code == expected


@pytest.mark.parametrize(
    ("failure", "looked"),
    [
        pytest.param(ACCEPTED, order_of(1), id="accepted"),
        pytest.param(LICENCE, order_of(1), id="a-refusal-with-another-reason"),
        pytest.param(DOWN, order_of(1), id="no-refusal"),
        pytest.param(NOT_CANCELLABLE, CANCELLED, id="cancelled"),
        pytest.param(NOT_CANCELLABLE, NO_LOOK, id="no-look"),
    ],
)
def test_one_look_is_enough(failure: CancelError | None, looked: Order | None) -> None:
    assert not is_second_look_needed(failure, looked, WHOLE)


def test_another_refusal_is_final_soon_after_a_patch() -> None:
    end = decide_outcome(LICENCE, order_of(1), WHOLE, is_patch_unaccounted=False, was_patch_accepted_before=True)

    assert end is LICENCE


CANCELLED_NOW, CANCELLED_BEFORE, SHOWS_LATER = Outcome.CANCELLED, Outcome.ALREADY_CANCELLED, Outcome.PENDING
SCHEDULED, ALREADY_SCHEDULED = Outcome.SCHEDULED, Outcome.ALREADY_SCHEDULED
BUSY, LOST = refusal("800060"), OutcomeUnknown("outcome_unknown", "text")

SEVERAL_LINES: dict[str, tuple[list[Outcome | CancelError], str]] = {
    "all now": ([CANCELLED_NOW, CANCELLED_NOW], "cancelled"),
    "all before": ([CANCELLED_BEFORE, CANCELLED_BEFORE], "already_cancelled"),
    "some before": ([CANCELLED_BEFORE, CANCELLED_NOW], "cancelled"),
    "all to end": ([SCHEDULED, SCHEDULED], "scheduled"),
    "all were to end before": ([ALREADY_SCHEDULED, ALREADY_SCHEDULED], "already_scheduled"),
    "one was to end before": ([ALREADY_SCHEDULED, SCHEDULED], "scheduled"),
    "one is cancelled, one was to end": ([CANCELLED_BEFORE, ALREADY_SCHEDULED], "already_scheduled"),
    "one is cancelled, one is to end": ([CANCELLED_BEFORE, SCHEDULED], "scheduled"),
    "one to end, one refused": ([SCHEDULED, NOT_CANCELLABLE], "some_lines_refused"),
    "one shows later": ([CANCELLED_NOW, SHOWS_LATER], "pending"),
    "one refused": ([CANCELLED_NOW, TOO_LATE], "some_lines_refused"),
    "one refused, the others were done before": ([CANCELLED_BEFORE, TOO_LATE], "some_lines_refused"),
    "one busy": ([CANCELLED_NOW, BUSY], "some_lines_unfinished"),
    "one unknown": ([CANCELLED_NOW, LOST], "some_lines_unfinished"),
    "one refused and one busy": ([CANCELLED_NOW, TOO_LATE, BUSY], "some_lines_unfinished"),
    "one refused while another shows later": ([SHOWS_LATER, TOO_LATE], "pending"),
    "one busy while another shows later": ([SHOWS_LATER, BUSY], "some_lines_unfinished"),
    "none, for one reason": ([TOO_LATE, TOO_LATE], "cancellation_window_passed"),
    "none, for two reasons": ([TOO_LATE, NOT_CANCELLABLE], "cancellation_window_passed"),
    "none, the first is busy": ([BUSY, TOO_LATE], "order_busy"),
    "none for certain": ([TOO_LATE, LOST], "outcome_unknown"),
}


@pytest.mark.parametrize("name", SEVERAL_LINES)
def test_several_lines(name: str) -> None:
    ends, reported = SEVERAL_LINES[name]
    end = decide_lines(ends, is_order_cancelled=True)

    assert (end.code if isinstance(end, CancelError) else end) == reported


def test_lines_that_live_on_make_it_partial() -> None:
    assert decide_lines([CANCELLED_NOW, CANCELLED_BEFORE], is_order_cancelled=False) is Outcome.PARTIALLY_CANCELLED


def test_what_partner_center_said_of_the_refused_line_is_passed_on() -> None:
    end = decide_lines([CANCELLED_NOW, TOO_LATE], is_order_cancelled=False)

    assert isinstance(end, CancelError)
    assert end.partner_center == TOO_LATE.partner_center


def test_an_unfinished_answer_does_not_say_that_a_line_is_cancelled() -> None:
    end = decide_lines([SHOWS_LATER, BUSY], is_order_cancelled=False)

    assert isinstance(end, CancelError)
    assert end.code == "some_lines_unfinished"
    assert "on their way" in end.detail
    assert "cancelled" not in end.detail


def test_the_rest_is_asked_for_when_the_first_open_line_may_be_repeated() -> None:
    end = decide_lines([CANCELLED_NOW, TOO_LATE, BUSY], is_order_cancelled=False)

    assert isinstance(end, CancelError)
    assert end.retry_after_s == BUSY.retry_after_s
