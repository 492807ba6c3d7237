"""What a caller is told, from how the PATCH ended and what the order shows: the truth as a table."""

import pytest

from shared.cancelling.order import is_read_needed, settle
from shared.contract import LineItem, LineItemRef, Outcome
from shared.errors import CancelError
from shared.partner_center.orders import Order, Reply
from shared.partner_center.refusals import error_of


def order(*quantities: int, status: str = "completed") -> Order:
    lines = [
        LineItem(
            line_item_number=number,
            offer_id="A:B:C",
            friendly_name=None,
            quantity=quantity,
            term_duration=None,
            subscription_id=None,
            cancelled=status == "cancelled" or quantity == 0,
        )
        for number, quantity in enumerate(quantities)
    ]
    return Order(status=status, line_items=lines)


def refusal(code: str, status: int = 400) -> CancelError:
    return error_of(Reply(status, b'{"code": "%s"}' % code.encode()))


WHOLE = None
LINE_0 = [LineItemRef.model_validate({"lineItemNumber": 0})]
NO, TOO_LATE, LICENCE, UNKNOWN_ORDER = (refusal(code) for code in ("800061", "900117", "800063", "20000"))
DOWN, SLOW = error_of(Reply(503, b"")), error_of(Reply(429, b"", 57))


@pytest.mark.parametrize(
    ("failure", "seen", "asked", "lost", "told"),
    [
        # accepted
        pytest.param(None, order(1, status="cancelled"), WHOLE, False, "cancelled", id="cancelled-quantities-kept"),
        pytest.param(None, order(0, 0), WHOLE, False, "cancelled", id="completed-with-quantity-0"),
        pytest.param(None, order(status="cancelled"), WHOLE, False, "cancelled", id="no-lines"),
        pytest.param(None, order(0, 1), LINE_0, False, "partially_cancelled", id="a-line"),
        pytest.param(None, order(0), LINE_0, False, "cancelled", id="the-last-line"),
        pytest.param(None, order(1, 1), WHOLE, False, "pending", id="not-shown"),
        pytest.param(None, order(0, 1), WHOLE, False, "pending", id="a-line-is-not-the-order"),
        pytest.param(None, order(1, 0), LINE_0, False, "pending", id="another-line"),
        pytest.param(None, None, WHOLE, False, "pending", id="nothing-readable"),
        pytest.param(None, None, WHOLE, True, "pending", id="accepted-at-last"),
        # refused
        pytest.param(NO, order(1), WHOLE, False, "not_cancellable", id="refused"),
        pytest.param(NO, None, WHOLE, False, "outcome_unknown", id="may-mean-done-and-unreadable"),
        pytest.param(LICENCE, None, WHOLE, False, "use_subscription_cancel", id="means-no-and-unreadable"),
        pytest.param(LICENCE, order(1, status="cancelled"), WHOLE, False, "already_cancelled", id="done-all-the-same"),
        pytest.param(NO, order(1, status="cancelled"), WHOLE, False, "already_cancelled", id="done-before"),
        pytest.param(TOO_LATE, order(0, 1), LINE_0, False, "already_cancelled", id="line-done-before"),
        pytest.param(TOO_LATE, order(1), WHOLE, False, "cancellation_window_passed", id="too-late"),
        pytest.param(SLOW, None, WHOLE, False, "throttled", id="throttled"),
        # an attempt is unaccounted for
        pytest.param(NO, order(1, status="cancelled"), WHOLE, True, "cancelled", id="it-was-us"),
        pytest.param(NO, order(0, 1), LINE_0, True, "partially_cancelled", id="it-was-us-a-line"),
        pytest.param(NO, order(1), WHOLE, True, "outcome_unknown", id="still-on-its-way"),
        pytest.param(LICENCE, order(1), WHOLE, True, "outcome_unknown", id="no-refusal-is-final"),
        pytest.param(DOWN, None, WHOLE, True, "outcome_unknown", id="down"),
        pytest.param(SLOW, None, WHOLE, True, "outcome_unknown", id="throttled-on-top"),
        pytest.param(DOWN, order(0), WHOLE, True, "cancelled", id="found-out"),
    ],
)
def test_settle(
    failure: CancelError | None, seen: Order | None, asked: list[LineItemRef] | None, lost: bool, told: str
) -> None:
    end = settle(failure, seen, asked, patch_lost=lost)

    assert (end if isinstance(end, Outcome) else end.code) == told


def test_an_unknown_outcome_keeps_what_was_said() -> None:
    end = settle(SLOW, None, WHOLE, patch_lost=True)

    assert isinstance(end, CancelError)
    assert (end.retryable, end.retry_after_s) == (True, 57)


@pytest.mark.parametrize(
    ("failure", "seen", "lost", "needed"),
    [
        pytest.param(None, order(1, status="cancelled"), False, False, id="shown"),
        pytest.param(None, order(1), False, True, id="not-shown"),
        pytest.param(None, None, False, True, id="unreadable"),
        pytest.param(None, order(1, status="cancelled"), True, False, id="shown-at-last"),
        pytest.param(NO, None, False, True, id="may-mean-done"),
        pytest.param(TOO_LATE, None, False, True, id="may-mean-done-long-ago"),
        pytest.param(LICENCE, None, False, True, id="means-no-most-likely"),
        pytest.param(UNKNOWN_ORDER, None, False, False, id="not-an-answer-about-the-order"),
        pytest.param(SLOW, None, False, False, id="throttled"),
        pytest.param(LICENCE, None, True, True, id="in-doubt"),
    ],
)
def test_a_read_is_made_only_where_it_tells_something(
    failure: CancelError | None, seen: Order | None, lost: bool, needed: bool
) -> None:
    assert is_read_needed(failure, seen, WHOLE, patch_lost=lost) is needed
