"""The answer to the caller, from the end of the PATCH and from the order as it is now, as tables."""

from typing import NamedTuple

import pytest

from shared.cancelling.outcome import decide_outcome, is_look_needed, shows_cancellation
from shared.contract import LineItemRef, Outcome
from shared.errors import CancelError
from shared.partner_center.orders import Order
from shared.partner_center.refusals import error_of
from shared.partner_center.reply import Reply
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
