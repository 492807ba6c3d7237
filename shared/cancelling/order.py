"""Cancel one order, or lines of it, and find out what became of it.

A whole order costs one PATCH and no GET; lines are read first, so that the wrong one is never
cancelled. Whenever an answer leaves open what happened, the order itself is asked.

The promise: a cancellation that happened is never reported as failed for good, one that did not
is never reported as done, and what cannot be known is called `outcome_unknown`.
"""

import uuid
from collections.abc import Sequence

from shared.call import UNKNOWN, Call, Target
from shared.contract import CancelResult, LineItem, LineItemRef, Outcome
from shared.errors import CancelError, OutcomeUnknown
from shared.partner_center.client import Exchange
from shared.partner_center.orders import Order, cancel_body, lines_to_cancel, read_order, shows_cancellation
from shared.partner_center.refusals import error_of, is_worth_reading, may_mean_done


async def cancel_order(target: Target, call: Call, exchange: Exchange) -> CancelResult:
    """Cancel what is asked for and return the order as it is then, or raise a CancelError."""
    asked = target.request.line_items
    lines: list[LineItem] | None = None
    order = Order()
    if asked is not None or target.dry_run:
        order = await exchange.read_order(call.request_id if target.dry_run else str(uuid.uuid4()))
        lines = lines_to_cancel(order, asked) if asked is not None else None
        if target.dry_run:
            would_be = [line for line in (order.line_items if lines is None else lines) if not line.cancelled]
            return _result(target, call, Outcome.DRY_RUN, order, would_be)
        if lines == []:
            return _result(target, call, Outcome.ALREADY_CANCELLED, order)

    failure: CancelError | None = None
    order_seen: Order | None = None
    try:
        reply = await exchange.patch(cancel_body(target.request.order_id, lines))
    except CancelError as error:
        failure = error
    else:
        if reply.is_success:
            order_seen = read_order(reply.body, target.request.order_id)
        else:
            failure = error_of(reply)

    if is_read_needed(failure, order_seen, asked, patch_lost=call.patch_lost):
        order_seen = await exchange.glance() or order_seen
    end = settle(failure, order_seen, asked, patch_lost=call.patch_lost)
    if isinstance(end, CancelError):
        raise end
    return _result(target, call, end, order_seen or order)


def is_read_needed(
    failure: CancelError | None, order: Order | None, asked: Sequence[LineItemRef] | None, *, patch_lost: bool
) -> bool:
    """True if the order must be read to tell what became of it.

    *failure* None means that the PATCH was accepted, *order* is what it was answered with.
    """
    if failure is None:
        return order is None or not shows_cancellation(order, asked)
    return patch_lost or is_worth_reading(failure)


def settle(
    failure: CancelError | None, order: Order | None, asked: Sequence[LineItemRef] | None, *, patch_lost: bool
) -> Outcome | CancelError:
    """Return what to tell the caller, from how the PATCH ended and the newest look at the order, if any.

    While an attempt is unaccounted for no refusal is final: the change may still be on its way. Nor
    is one that may mean "already done" while nobody could look.
    """
    if order and shows_cancellation(order, asked):
        if failure and not patch_lost:
            return Outcome.ALREADY_CANCELLED
        return Outcome.CANCELLED if order.is_cancelled else Outcome.PARTIALLY_CANCELLED
    if failure is None:
        return Outcome.PENDING
    if patch_lost or (order is None and may_mean_done(failure)):
        return OutcomeUnknown(
            "outcome_unknown", UNKNOWN, retry_after_s=failure.retry_after_s, partner_center=failure.partner_center
        )
    return failure


def _result(
    target: Target, call: Call, outcome: Outcome, order: Order, would_be: list[LineItem] | None = None
) -> CancelResult:
    """Return the answer for *order*; *would_be* are the lines that a dry run names instead."""
    request = target.request
    named = [line for line in order.line_items if line.cancelled] if would_be is None else would_be
    ours = {
        "outcome": outcome,
        "order_id": order.order_id or request.order_id,
        "customer_tenant_id": request.customer_tenant_id,
        "dry_run": target.dry_run,
        "cancelled_line_items": [line.line_item_number for line in named if line.line_item_number is not None],
        "account": target.account,
        "ticket_id": request.ticket_id,
        "request_id": call.request_id,
        "correlation_id": call.correlation_id,
    }
    return CancelResult.model_validate(vars(order) | ours)
