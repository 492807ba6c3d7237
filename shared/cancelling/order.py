"""Sends the PATCH of one order, or of lines of it, and finds out what happened to it.

If an answer leaves open what happened, the order itself is read (outcome.py decides).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from shared.call import Call, Target
from shared.cancelling.accepted import AcceptedPatches
from shared.contract import Outcome
from shared.errors import CancelError
from shared.partner_center.client import PartnerCenterClient
from shared.partner_center.orders import Order, OrderLine, cancel_body, read_order
from shared.replies.answers import error_of
from shared.rules.outcome import (
    Lines,
    decide_outcome,
    is_look_needed,
    is_second_look_needed,
    order_without_look,
    proven_by_answer,
    with_known_lines,
)

SECOND_LOOK_AFTER_S = 1.0  # for reads that lag behind writes
SECOND_LOOK_TAKES_S = SECOND_LOOK_AFTER_S + 0.25


@dataclass(frozen=True)
class OrderEnd:
    """How the PATCH of an order ended.

    *order* is the newest reading that may be shown; None if the order could not be read. *has_looked*: the order was
    read, or should have been, after the PATCH.
    """

    end: Outcome | CancelError
    order: Order | None
    has_looked: bool


async def patch_order(
    target: Target,
    call: Call,
    client: PartnerCenterClient,
    accepted: AcceptedPatches,
    *,
    known: Order,
    lines: Sequence[OrderLine] | None,
    requested_lines: Lines | None,
) -> OrderEnd:
    """Cancel *lines* of the order, None for all of it. *known* is the order as it was read before, if it was.

    *requested_lines* are the lines that must be cancelled afterwards, None for all.
    """
    order_id = target.request.order_id or ""
    patch = call.new_patch()
    failure: CancelError | None = None
    proven: Order | None = None
    unproven = known
    try:
        with accepted.on_its_way(target, order_id, known.order_id):
            reply = await client.patch_order(cancel_body(order_id, lines), patch)
    except CancelError as error:
        failure = error
    else:
        if reply.is_success:
            answer = read_order(reply.body, order_id)
            accepted.note(target, order_id, answer.order_id if answer else None)
            proven = proven_by_answer(answer, reply.status, requested_lines, known)
            unproven = order_without_look(answer, reply.status, known)
        else:
            failure = error_of(reply)
    finally:
        if patch.unaccounted:  # also if the host ends the call
            accepted.note(target, order_id, known.order_id, is_lost=True)
    patch.code = failure.code if failure else None

    is_patch_unaccounted = patch.unaccounted > 0
    looked: Order | None = None
    looks = is_look_needed(failure, proven, requested_lines, is_patch_unaccounted=is_patch_unaccounted)
    if looks:
        looked = _complete(await client.read_order_if_possible(), known)
        if is_second_look_needed(failure, looked, requested_lines) and call.remaining_s > SECOND_LOOK_TAKES_S:
            await asyncio.sleep(SECOND_LOOK_AFTER_S)
            looked = _complete(await client.read_order_if_possible(), known) or looked
    end = decide_outcome(
        failure,
        looked or proven,
        requested_lines,
        is_patch_unaccounted=is_patch_unaccounted,
        was_patch_accepted_before=accepted.is_recent(
            target, order_id, *((looked.order_id, looked.alternate_id) if looked else ())
        ),
    )
    shown = looked if isinstance(end, CancelError) else looked or proven or unproven
    return OrderEnd(end, shown, looks)


def _complete(order: Order | None, known: Order) -> Order | None:
    """Return *order* with the lines of *known*; None if it could not be read."""
    return order and with_known_lines(order, known)
