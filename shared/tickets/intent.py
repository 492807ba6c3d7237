"""Puts one call's follow-up into the queue: the intent beside its first PATCH, and the decision at its end.

The intent is hidden while the call may run. If the worker dies, the queue shows the intent after that, and `tell` looks
at the order. Nothing here changes the answer, and the answer waits for at most a second.
"""

import asyncio
import logging
import time

import anyio

from shared import audit
from shared.call import Call, Target
from shared.caller_settings import Tell
from shared.contract import CancelResult, Outcome
from shared.errors import CancelError
from shared.tickets.follow_up import SENDER_REPEATS_S, FollowUp
from shared.tickets.queue import TEXT_LIMIT_BYTES, Queue, QueueFailed, Receipt

WRITE_LIMIT_S = 1.0
ATTEMPTS = 2  # to put a decision, within that time
TEXT_SPARE_BYTES = 100  # the timer writes a reason and its counters into the message
SPARE_S = 20.0  # an intent stays hidden for this time after the longest call

_STATES = {
    Outcome.CANCELLED: "cancelled",
    Outcome.PARTIALLY_CANCELLED: "cancelled",
    Outcome.ALREADY_CANCELLED: "cancelled",
    Outcome.PENDING: "open",
    Outcome.DRY_RUN: "dry_run",
    Outcome.SCHEDULED: "scheduled",
    Outcome.ALREADY_SCHEDULED: "scheduled",
}

log = logging.getLogger("cancel_order")


class Intent:
    """Puts the follow-up of one call, whose caller and *ticket_id* are known: the intent, then the decision.

    *tell* is the caller's setting. *longest_call_s* is CANCEL_MAX_WAIT_S.
    """

    def __init__(self, call: Call, tell: Tell, ticket_id: str, queue: Queue, longest_call_s: float) -> None:
        self._call = call
        self._tell = tell
        self._ticket_id = ticket_id
        self._queue = queue
        self._hidden_s = longest_call_s + SPARE_S
        self._target: Target | None = None
        self._put: asyncio.Task[Receipt | None] | None = None
        self._put_scope = anyio.CancelScope()

    def about(self, target: Target) -> None:
        """Note what the call is about. The queue's token is fetched beside that for Partner Center."""
        self._target = target
        self._queue.fetch_token_ahead()

    def begin(self) -> None:
        """Start to put the intent, beside the first PATCH, which does not wait for it."""
        text = self._text(None)
        if text is not None:
            self._put = asyncio.create_task(self._put_intent(text))

    async def end(self, end: CancelResult | CancelError) -> None:
        """Put what was decided. Never raises."""
        reason: str | None = "queue_unavailable"
        try:
            with anyio.move_on_after(WRITE_LIMIT_S):
                reason = await self._write(end)
        except asyncio.CancelledError:
            reason = "interrupted"
        except Exception:
            log.exception("the follow-up could not be put, correlation id %s", self._call.correlation_id)
            reason = "internal_error"
        self._put_scope.cancel()
        if reason:
            not_told(self._call, self._tell, self._ticket_id, reason, _state(end))

    async def _write(self, end: CancelResult | CancelError) -> str | None:
        """Write the decision, if there is one to write. Return why that failed, None if it did not."""
        is_open = end.retryable if isinstance(end, CancelError) else end.outcome is Outcome.PENDING
        is_sent = self._call.patches_sent > 0
        if is_open and self._target is None:
            return None  # nothing was changed, and the sender repeats it
        receipt = await self._receipt() if is_sent else None
        if receipt and is_open:
            return None  # the intent shows when the longest call would be over
        # After a PATCH only a look can tell more. Without a PATCH the code is true for good.
        is_code_final = isinstance(end, CancelError) and not (is_open and is_sent)
        code = end.code if isinstance(end, CancelError) and is_code_final else None
        hidden_s = 0.0 if not is_open else self._hidden_s if is_sent else SENDER_REPEATS_S
        text = self._text(code)
        if text is None:
            return "too_large"
        is_rewritten = receipt is not None and await self._rewrite(receipt, text, has_code=code is not None)
        return None if is_rewritten or await self._put_decision(text, hidden_s) else "queue_unavailable"

    async def _rewrite(self, receipt: Receipt, text: bytes, *, has_code: bool) -> bool:
        """Write the decision over the intent, which shows then. False if it must be put as a message of its own."""
        try:
            await self._queue.update(receipt, text, 0, limit_s=WRITE_LIMIT_S)
        except QueueFailed as failure:
            # After a very long call the timer has taken the intent. Its own look shows everything but a code.
            return failure.is_gone and not has_code
        return True

    async def _put_decision(self, text: bytes, hidden_s: float) -> bool:
        for _ in range(ATTEMPTS):
            if await self._try_put(text, hidden_s):
                return True
        return False

    async def _put_intent(self, text: bytes) -> Receipt | None:
        with self._put_scope:
            return await self._try_put(text, self._hidden_s)
        return None

    async def _receipt(self) -> Receipt | None:
        """Return the receipt of the intent once it is put; None if there is no intent, or the queue did not take it."""
        if self._put is None:
            return None
        await asyncio.wait({self._put})  # awaiting the task itself would end it with our time limit
        return self._put.result()

    async def _try_put(self, text: bytes, hidden_s: float) -> Receipt | None:
        try:
            return await self._queue.put(text, hidden_s)
        except QueueFailed:
            return None

    def _text(self, code: str | None) -> bytes | None:
        """Return the message; None if the request is too long for one."""
        request = None
        if self._target:
            known = {"account": self._target.account, "dry_run": self._target.dry_run}
            request = self._target.request.model_copy(update=known)
        follow_up = FollowUp(
            caller=self._call.caller or "",
            ticket_id=self._ticket_id,
            request=request,
            code=code,
            decided_at=time.time(),
            correlation_id=self._call.correlation_id,
        )
        text = follow_up.text()
        return text if len(text) <= TEXT_LIMIT_BYTES - TEXT_SPARE_BYTES else None


def _state(end: CancelResult | CancelError) -> str:
    """Return the state with which the note would begin, as in the markers of notes."""
    if isinstance(end, CancelError):
        return "open" if end.retryable else f"refused:{end.code}"
    return _STATES[end.outcome]


def not_told(call: Call, tell: Tell, ticket_id: str, reason: str, state: str | None = None) -> None:
    """Record that a ticket is not told how its request ended, or is told later than it could be."""
    audit.ticket(
        "not_told",
        caller=call.caller,
        system=tell.system,
        ticket_id=ticket_id,
        state=state,
        reason=reason,
        correlation_id=call.correlation_id,
    )
