"""Decides the answer to the caller, from the end of the PATCH and from the order as it is now.

No I/O: each decision is a function of its arguments, so tests/unit/test_outcome.py states them as tables.

The promise: a cancellation that happened is never reported as failed for good, one that did not happen
is never reported as done, and `outcome_unknown` is reported if nobody can know.
"""

from collections.abc import Sequence

from shared.call import UNKNOWN
from shared.contract import LineItemRef, Outcome
from shared.errors import CancelError, OutcomeUnknown
from shared.partner_center.orders import Order
from shared.partner_center.refusals import CLASSES


def shows_cancellation(order: Order, requested_lines: Sequence[LineItemRef] | None) -> bool:
    """True if all *requested_lines* are cancelled in *order*; None means the whole order."""
    if requested_lines is None or order.is_cancelled:
        return order.is_cancelled
    cancelled = {line.line_item_number for line in order.line_items if line.cancelled}
    active = {line.line_item_number for line in order.line_items if not line.cancelled}
    requested = {line.line_item_number for line in requested_lines}
    return requested <= cancelled and not requested & active


def is_look_needed(
    failure: CancelError | None,
    order: Order | None,
    requested_lines: Sequence[LineItemRef] | None,
    *,
    is_patch_unaccounted: bool,
) -> bool:
    """True if the order must be read before the caller can get an answer.

    *failure* is None if the PATCH was accepted; *order* is then what its answer shows.
    """
    if failure is None:
        return order is None or not shows_cancellation(order, requested_lines)
    answer_class = CLASSES.get(failure.code)
    return is_patch_unaccounted or (answer_class is not None and answer_class.needs_look)


def decide_outcome(
    failure: CancelError | None,
    order: Order | None,
    requested_lines: Sequence[LineItemRef] | None,
    *,
    is_patch_unaccounted: bool,
) -> Outcome | CancelError:
    """Return the answer to the caller: an outcome, or the error to raise.

    *failure* is None if the PATCH was accepted. *order* is the order as it was last read, None if it was not read.

    No refusal is final while an attempt is unaccounted for: the change may still be on its way. A refusal
    that may mean "cancelled already" is not final if nobody could look at the order.
    """
    if order and shows_cancellation(order, requested_lines):
        if failure and not is_patch_unaccounted:
            return Outcome.ALREADY_CANCELLED
        return Outcome.CANCELLED if order.is_cancelled else Outcome.PARTIALLY_CANCELLED
    if failure is None:
        return Outcome.PENDING
    answer_class = CLASSES.get(failure.code)
    may_mean_done = answer_class is not None and answer_class.may_mean_done
    if is_patch_unaccounted or (order is None and may_mean_done):
        return OutcomeUnknown(
            "outcome_unknown", UNKNOWN, retry_after_s=failure.retry_after_s, partner_center=failure.partner_center
        )
    return failure
