"""Cancels one order, or lines of it, and finds out what happened to it.

A whole order costs one PATCH and no GET. For lines the order is read first, so that the wrong line is
never cancelled. If an answer leaves open what happened, the order itself is read (outcome.py decides).
"""

import asyncio
import uuid
from typing import Any

from shared.call import Call, Target
from shared.cancelling.accepted import AcceptedPatches
from shared.contract import CancelResult, LineItem, OrderState, Outcome
from shared.errors import CancelError, OutcomeUnknown
from shared.partner_center.client import OrderClient
from shared.partner_center.orders import Order, cancel_body, lines_to_cancel, read_order
from shared.replies.answers import error_of
from shared.rules.outcome import (
    decide_outcome,
    is_look_needed,
    is_second_look_needed,
    order_without_look,
    proven_by_answer,
    with_known_lines,
)

SECOND_LOOK_AFTER_S = 1.0  # for reads that lag behind writes
SECOND_LOOK_TAKES_S = SECOND_LOOK_AFTER_S + 0.25


async def cancel_order(target: Target, call: Call, client: OrderClient, accepted: AcceptedPatches) -> CancelResult:
    """Cancel what the request names and return the order as it is then. Raises CancelError."""
    requested_lines = target.request.line_items
    lines: list[LineItem] | None = None
    order = Order()
    if requested_lines is not None or target.dry_run:
        order = await client.read_order(call.request_id if target.dry_run else str(uuid.uuid4()))
        call.order = _state(target, order)
        lines = lines_to_cancel(order, requested_lines) if requested_lines is not None else None
        if target.dry_run:
            would_cancel = [line for line in (order.line_items if lines is None else lines) if not line.cancelled]
            return _result(target, call, Outcome.DRY_RUN, order, would_cancel)
        if lines == []:
            return _result(target, call, Outcome.ALREADY_CANCELLED, order)

    failure: CancelError | None = None
    proven: Order | None = None
    unproven = order
    order_before = call.order
    try:
        with accepted.on_its_way(target, order):
            reply = await client.patch(cancel_body(target.request.order_id, lines))
    except CancelError as error:
        failure = error
    else:
        if reply.is_success:
            answer = read_order(reply.body, target.request.order_id)
            accepted.note(target, answer)
            proven = proven_by_answer(answer, reply.status, requested_lines, order)
            unproven = order_without_look(answer, reply.status, order)
        else:
            failure = error_of(reply)
    finally:
        if call.patches_unaccounted:  # also if the host ends the call
            accepted.note(target, order)

    is_patch_unaccounted = call.patches_unaccounted > 0
    looked: Order | None = None
    looks = is_look_needed(failure, proven, requested_lines, is_patch_unaccounted=is_patch_unaccounted)
    if looks:
        looked = _complete(await client.read_order_if_possible(), order)
        if is_second_look_needed(failure, looked, requested_lines) and call.remaining_s > SECOND_LOOK_TAKES_S:
            await asyncio.sleep(SECOND_LOOK_AFTER_S)
            looked = _complete(await client.read_order_if_possible(), order) or looked
    end = decide_outcome(
        failure,
        looked or proven,
        requested_lines,
        is_patch_unaccounted=is_patch_unaccounted,
        was_patch_accepted_before=accepted.is_recent(target, looked),
    )
    if isinstance(end, CancelError):
        newest = _state(target, looked) if looked else None
        # In doubt even the newest reading may be older than a change that is on its way.
        call.order = None if isinstance(end, OutcomeUnknown) else newest if looks else order_before
        raise end
    return _result(target, call, end, looked or proven or unproven)


def _complete(order: Order | None, known: Order) -> Order | None:
    """Return *order* with the lines of *known*; None if nobody could read it."""
    return order and with_known_lines(order, known)


def _state(target: Target, order: Order) -> OrderState:
    """Return *order* as the caller sees it."""
    return OrderState.model_validate(vars(order) | _members(target, order))


def _result(
    target: Target, call: Call, outcome: Outcome, order: Order, would_cancel: list[LineItem] | None = None
) -> CancelResult:
    """Return the answer for *order*. A dry run names the lines in *would_cancel* instead of the cancelled ones."""
    ours = {
        "outcome": outcome,
        "dry_run": target.dry_run,
        "account": target.account,
        "ticket_id": target.request.ticket_id,
        "request_id": call.request_id,
        "correlation_id": call.correlation_id,
    }
    return CancelResult.model_validate(vars(order) | _members(target, order, would_cancel) | ours)


def _members(target: Target, order: Order, named_lines: list[LineItem] | None = None) -> dict[str, Any]:
    """Return the members of the normalized order that Partner Center does not send as they are."""
    lines = [line for line in order.line_items if line.cancelled] if named_lines is None else named_lines
    return {
        "order_id": order.order_id or target.request.order_id,
        "customer_tenant_id": target.request.customer_tenant_id,
        "cancelled_line_items": [line.line_item_number for line in lines if line.line_item_number is not None],
    }
