"""Decides the answer to the caller, from the end of the PATCH and from the order as it is now.

No I/O: each decision is a function of its arguments, so tests/unit/test_outcome.py states them as tables.

The promise: a cancellation that happened is never reported as failed for good, one that did not happen
is never reported as done, and `outcome_unknown` is reported if nobody can know.
"""

from collections.abc import Sequence
from dataclasses import replace

from shared.call import UNKNOWN
from shared.contract import LineItemRef, Outcome
from shared.errors import CancelError, CancelRefused, OutcomeUnknown, SomeLinesUnfinished
from shared.partner_center.orders import CANCELLED, Order, OrderLine
from shared.replies.codes import CODES
from shared.replies.refusals import CLASSES, UNEXPECTED

type Lines = Sequence[LineItemRef] | Sequence[OrderLine]  # named by their numbers

ACCEPTED = 202  # the status of an answer that comes before the change
UNFINISHED = (
    "Some lines are done or on their way, others not yet; order shows which, with a code for each. Send the same"
    " request again: it does the rest."
)
SOME_REFUSED = (
    "Some lines are done, others were refused; order shows which, with a code for each. Look up what to do about each"
    " code, or ask the operator."
)


def proven_by_answer(answer: Order | None, status: int, requested_lines: Lines | None, known: Order) -> Order | None:
    """Return the order that the answer to a PATCH proves, None if it proves nothing.

    *answer* is the order in it, *status* its HTTP status, *known* the order as it was read before (without lines
    if it was not read). A 202 accepts without having done. An answer without lines may be an echo of the request.
    The status `cancelled` proves the cancellation of a whole order. It proves nothing about single lines, because
    an echo of a request for lines has it too: there each line must have the quantity 0.
    """
    if answer is None or status == ACCEPTED or not answer.line_items:
        return None
    if requested_lines is None:
        return answer if answer.status == CANCELLED else None
    if not _has_lines_of(answer, known):
        return None
    order = with_known_lines(answer, known)
    has_active_line = any(line.quantity != 0 for line in order.line_items)
    return None if answer.status == CANCELLED and has_active_line else order


def order_without_look(answer: Order | None, status: int, known: Order) -> Order:
    """Return the newest order that may be shown if nothing is proven and the order could not be read.

    The arguments are those of `proven_by_answer`. An answer that shows a cancellation without proving it is not shown.
    """
    if answer is None or not _has_lines_of(answer, known):
        return known
    order = with_known_lines(answer, known)
    is_ahead = status == ACCEPTED and any(line.cancelled for line in answer.line_items)
    return known if order.is_cancelled or is_ahead else order


def _has_lines_of(answer: Order, known: Order) -> bool:
    """True if each line of *answer* is one of *known*, and none comes twice. All is true if no line is known."""
    numbers = [line.line_item_number for line in answer.line_items]
    known_numbers = {line.line_item_number for line in known.line_items}
    return not known_numbers or (len(set(numbers)) == len(numbers) and known_numbers.issuperset(numbers))


def with_known_lines(order: Order, known: Order) -> Order:
    """Return *order* with the lines of *known*, an older reading, that it leaves out.

    An order is cancelled only if every line that was ever seen is cancelled, or if its status says so.
    """
    numbers = {line.line_item_number for line in order.line_items}
    is_cancelled = order.status == CANCELLED
    left_out = [
        line.model_copy(update={"cancelled": line.cancelled or is_cancelled})
        for line in known.line_items
        if line.line_item_number not in numbers
    ]
    place = {line.line_item_number: index for index, line in enumerate(known.line_items)}
    lines = sorted([*order.line_items, *left_out], key=lambda line: place.get(line.line_item_number, len(place)))
    return replace(order, line_items=lines) if left_out else order


def shows_cancellation(order: Order, requested_lines: Lines | None) -> bool:
    """True if all *requested_lines* are cancelled in *order*; None means the whole order."""
    if requested_lines is None or order.is_cancelled:
        return order.is_cancelled
    cancelled = {line.line_item_number for line in order.line_items if line.cancelled}
    active = {line.line_item_number for line in order.line_items if not line.cancelled}
    requested = {line.line_item_number for line in requested_lines}
    return requested <= cancelled and not requested & active


def is_look_needed(
    failure: CancelError | None,
    proven: Order | None,
    requested_lines: Lines | None,
    *,
    is_patch_unaccounted: bool,
) -> bool:
    """True if the order must be read before the caller can get an answer.

    *failure* is None if the PATCH was accepted; *proven* is then the order that its answer proves, if any.
    """
    if failure is None:
        return proven is None or not shows_cancellation(proven, requested_lines)
    answer_class = CLASSES.get(failure.code)
    return is_patch_unaccounted or (answer_class is not None and answer_class.needs_look)


def is_second_look_needed(failure: CancelError | None, order: Order | None, requested_lines: Lines | None) -> bool:
    """True if the PATCH was refused as if the order were cancelled already, and a look does not show that yet.

    Partner Center's reads may lag behind its writes.
    """
    if failure is None or order is None or shows_cancellation(order, requested_lines):
        return False
    code = failure.partner_center and failure.partner_center.code
    return code in CODES and CODES[code].is_said_of_cancelled_orders


def decide_outcome(
    failure: CancelError | None,
    order: Order | None,
    requested_lines: Lines | None,
    *,
    is_patch_unaccounted: bool,
    was_patch_accepted_before: bool = False,
) -> Outcome | CancelError:
    """Return the answer to the caller: an outcome, or the error to raise.

    *failure* is None if the PATCH was accepted. *order* is the newest proof of how the order is, None if there is
    none. *was_patch_accepted_before*: Partner Center accepted a PATCH of this order in the last minutes.

    No refusal is final while an attempt is unaccounted for, in this call or in one shortly before: the change
    may still be on its way. A refusal that may mean "cancelled already" is not final if nobody could look.
    """
    if order and shows_cancellation(order, requested_lines):
        if failure and not is_patch_unaccounted:
            return Outcome.ALREADY_CANCELLED
        return Outcome.CANCELLED if order.is_cancelled else Outcome.PARTIALLY_CANCELLED
    if failure is None:
        return Outcome.PENDING
    answer_class = CLASSES.get(failure.code)
    may_mean_done = answer_class is not None and answer_class.may_mean_done
    may_be_on_its_way = was_patch_accepted_before and is_second_look_needed(failure, order, requested_lines)
    if is_patch_unaccounted or may_be_on_its_way or (order is None and may_mean_done):
        return OutcomeUnknown(
            "outcome_unknown", UNKNOWN, retry_after_s=failure.retry_after_s, partner_center=failure.partner_center
        )
    return failure


def decide_lines(ends: Sequence[Outcome | CancelError], *, is_order_cancelled: bool) -> Outcome | CancelError:
    """Return the answer to the caller for lines that ended in different ways, in the order of the lines.

    *is_order_cancelled*: no line of the order lives on. A line that is done counts as done, whoever did it and
    whenever, so that a repeat says the same. If nothing is done, the first line's error is the answer; but no refusal
    is final while a PATCH may be on its way.
    """
    errors = [end for end in ends if isinstance(end, CancelError)]
    outcomes = {end for end in ends if isinstance(end, Outcome)}
    open_ends = [error for error in errors if error.retryable]
    half_done = next((error for error in errors if error.code == UNEXPECTED.code), None)
    if Outcome.PENDING in outcomes and not open_ends:
        return half_done or Outcome.PENDING
    if not errors:
        return _outcome_of_lines(outcomes, is_order_cancelled=is_order_cancelled)
    first = (open_ends or errors)[0]
    if outcomes and open_ends:
        return SomeLinesUnfinished(
            "some_lines_unfinished", UNFINISHED, retry_after_s=first.retry_after_s, partner_center=first.partner_center
        )
    if outcomes:
        return CancelRefused("some_lines_refused", SOME_REFUSED, partner_center=first.partner_center)
    # In these two cases something may be changed.
    for code in ("outcome_unknown", UNEXPECTED.code):
        if error := next((error for error in errors if error.code == code), None):
            return error
    return errors[0]


def _outcome_of_lines(outcomes: set[Outcome], *, is_order_cancelled: bool) -> Outcome:
    """Return the outcome of lines that ended with *outcomes*, none of them pending."""
    for outcome in (Outcome.ALREADY_CANCELLED, Outcome.ALREADY_SCHEDULED):
        if outcomes <= {Outcome.ALREADY_CANCELLED, outcome}:
            return outcome
    if Outcome.SCHEDULED in outcomes:
        return Outcome.SCHEDULED
    return Outcome.CANCELLED if is_order_cancelled else Outcome.PARTIALLY_CANCELLED
