"""Decides what a ticket is told: from the code in the follow-up, and from a look at the order or subscription.

No I/O, clock or randomness. Times are in seconds since 1970.
"""

import hashlib
from typing import NamedTuple

from shared.contract import CancelRequest, CancelResult, OrderState, Outcome
from shared.errors import CancelError
from shared.messages import OPEN, STILL_OPEN, of_code, of_result
from shared.ticketing.note import Marker, Note
from shared.tickets.follow_up import LOOKS_BEFORE_NOTE, FollowUp, OpenStep, done


class Told(NamedTuple):
    """The content of a note: a state for programs, a sentence for people, and the time of the decision.

    *variant* tells two notes of one state apart, of which both are to be told.
    """

    state: str
    sentence: str
    decided_at: float
    variant: str = ""


def decide(follow_up: FollowUp, look: CancelResult | CancelError | None, now: float) -> Told | None:
    """Return what the ticket is to be told; None if nobody knows yet.

    *look* is the result of a dry run of the request, or the error that ended it; None if the follow-up has no request.
    """
    request = follow_up.request
    if isinstance(look, CancelResult) and request and (told := _done(request, look, now)):
        return told
    if follow_up.code:
        return _refused(follow_up.code, follow_up.decided_at)
    if not follow_up.is_dry_run:
        return None
    if isinstance(look, CancelError):
        is_open = look.retryable and follow_up.looks < LOOKS_BEFORE_NOTE
        return None if is_open else _refused(look.code, follow_up.decided_at)
    if look is None:
        return None
    sentence = of_result(Outcome.DRY_RUN, look, request.line_numbers if request else None)
    return Told("dry_run", sentence, follow_up.decided_at, hashlib.sha256(sentence.encode()).hexdigest()[:8])


def open_note(follow_up: FollowUp, step: OpenStep) -> Told | None:
    """Return what the ticket is told of a request whose end nobody knows; None if it is not told at this *step*.

    Its time is that of the intent, so a note about a later decision counts as newer.
    """
    if step.state is None:
        return None
    return Told(step.state, OPEN if step.state == "open" else STILL_OPEN, follow_up.decided_at)


def note_of(follow_up: FollowUp, told: Told) -> Note:
    """Return the note that says *told*."""
    request = follow_up.request
    members = {
        "state": told.state,
        "orderId": request.order_id if request else None,
        "subscriptionId": request.subscription_id if request else None,
        "customerTenantId": request.customer_tenant_id if request else None,
        "account": request.account if request else None,
        "correlationId": follow_up.correlation_id,
    }
    state = f"{told.state}:{told.variant}" if told.variant else told.state
    return Note(Marker(follow_up.key, state, told.decided_at), told.sentence, members)


def _refused(code: str, decided_at: float) -> Told:
    return Told(f"refused:{code}", of_code(code), decided_at)


def _done(request: CancelRequest, order: OrderState, now: float) -> Told | None:
    """Return what is told of a request that is done, as *order* shows; None if it is not done."""
    state = done(request, order)
    if state is None:
        return None
    outcome = Outcome.SCHEDULED
    if state == "cancelled":
        is_whole = order.status == "cancelled" or all(line.cancelled for line in order.line_items)
        outcome = Outcome.CANCELLED if is_whole else Outcome.PARTIALLY_CANCELLED
    return Told(state, of_result(outcome, order, request.line_numbers), now)
