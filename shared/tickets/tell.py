"""Drains the queue of follow-ups: looks at what each is about, and tells its ticket.

Nothing is cancelled here: a look is a dry run. *Cancelled* and *scheduled* are told only from a look of this run, a
refusal by the code in the message. Messages of one ticket are handled one after the other, so that no note is written
twice; a message goes back into the queue while its end is open, and into `follow-up-poison` if it cannot be told.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio

from shared import audit
from shared.caller_settings import Tell
from shared.contract import CancelResult
from shared.errors import CallerRefused, CancelError, InvalidRequest
from shared.ticketing.system import TICKET_IDS, TellFailed, TicketingSystem, Wrote, write_once
from shared.tickets.follow_up import MOST_FAILURES, OPEN_STEPS, FollowUp, OpenStep
from shared.tickets.queue import POISON, TEXT_LIMIT_BYTES, Message, Queue, QueueFailed
from shared.tickets.told import Told, decide, note_of, open_note

TAKEN_S = 300.0  # a message that was taken shows again after this time if this run dies
RUN_WITHIN_S = 120.0  # no message is begun later: what is left then shows again. The run ends before functionTimeout
ONE_WITHIN_S = 90.0  # for one message
AT_ONCE = 8  # tickets
HANDED_OUT = 2_000  # a message that was taken more often is given up; a day of failures takes it 1,440 times

log = logging.getLogger("tell_ticket")

type Look = Callable[[FollowUp], Awaitable[CancelResult]]


class Teller:
    """Tells the tickets of *systems*, the callers' ticketing systems with their settings, by the caller's name.

    *look* makes a dry run of the request in a follow-up. It raises CancelError.
    """

    def __init__(self, queue: Queue, systems: Mapping[str, tuple[Tell, TicketingSystem]], look: Look) -> None:
        self._queue = queue
        self._systems = systems
        self._look = look

    async def run(self) -> None:
        """Handle what is in the queue, until nothing is left or the time is over. Raises QueueFailed."""
        ends_at = time.monotonic() + RUN_WITHIN_S
        while time.monotonic() < ends_at and (batch := await self._queue.take(TAKEN_S)):
            await self._handle_batch(batch, ends_at)

    async def _handle_batch(self, batch: Sequence[Message], ends_at: float) -> None:
        tickets: defaultdict[tuple[str, str], list[tuple[Message, FollowUp | None]]] = defaultdict(list)
        for message in batch:
            follow_up = FollowUp.read(message.text, time.time())
            ticket = (follow_up.caller, follow_up.ticket_id) if follow_up else ("", message.receipt.message_id)
            tickets[ticket].append((message, follow_up))
        at_once = anyio.CapacityLimiter(AT_ONCE)

        async def handle(messages: list[tuple[Message, FollowUp | None]]) -> None:
            async with at_once:
                for message, follow_up in messages:
                    if time.monotonic() < ends_at:
                        await self._handle(message, follow_up)

        async with anyio.create_task_group() as group:
            for messages in tickets.values():
                group.start_soon(handle, messages)

    async def _handle(self, message: Message, follow_up: FollowUp | None) -> None:
        """Handle one message. After a failure it is still in the queue, or in the poison queue."""
        try:
            with anyio.fail_after(ONE_WITHIN_S):
                if follow_up is None:
                    await self._poison(message, None, "message_unreadable")
                elif message.dequeue_count > HANDED_OUT:
                    await self._poison(message, follow_up, "given_up")
                else:
                    await self._follow(message, follow_up)
        except QueueFailed as failure:
            if not failure.is_gone:  # a message that is gone is another run's
                log.warning("a follow-up stays in the queue, which failed: %s", failure.code)
        except TimeoutError:
            log.warning("a follow-up stays in the queue: there was not enough time")
        except Exception:
            # A bug of ours. The message shows again, and the others are handled all the same.
            log.exception("a follow-up could not be handled")

    async def _follow(self, message: Message, follow_up: FollowUp) -> None:
        tell, system = self._systems.get(follow_up.caller, (None, None))
        if tell is None or system is None:
            await self._poison(message, follow_up, "caller_unknown")
            return
        if not TICKET_IDS[tell.system].fullmatch(follow_up.ticket_id):
            await self._poison(message, follow_up, "ticket_not_found", tell)
            return
        look = await self._try_to_look(follow_up)
        if isinstance(look, CallerRefused | InvalidRequest) and follow_up.code is None:
            await self._poison(message, follow_up, "not_allowed", tell)  # the settings were changed, or it is forged
            return
        told = decide(follow_up, look, time.time())
        step = OPEN_STEPS[follow_up.looks] if told is None else OpenStep(None)
        told = told or open_note(follow_up, step)
        wrote = await self._write(message, follow_up, told, tell, system) if told else "known"
        if wrote is None:
            return
        if step.next_look_s is not None:
            later = follow_up.model_copy(update={"looks": follow_up.looks + 1, "failures": 0})
            await self._queue.update(message.receipt, later.text(), step.next_look_s)
            return
        if step.state and wrote != "outdated":
            _record("still_open", follow_up, tell, step.state)
        await self._queue.delete(message.receipt)

    async def _try_to_look(self, follow_up: FollowUp) -> CancelResult | CancelError | None:
        if follow_up.request is None:
            return None
        try:
            return await self._look(follow_up)
        except CancelError as error:
            return error

    async def _write(
        self, message: Message, follow_up: FollowUp, told: Told, tell: Tell, system: TicketingSystem
    ) -> Wrote | None:
        """Write the note, if it says something new. None if that failed: the message is put back, or poisoned."""
        note = note_of(follow_up, told)
        try:
            wrote = await write_once(system, follow_up.ticket_id, note)
        except TellFailed as failure:
            pause_s = None if failure.is_permanent else follow_up.pause_s(failure.pause_s, time.time())
            if pause_s is None:
                reason = failure.reason if failure.is_permanent else "given_up"
                await self._poison(message, follow_up, reason, tell, told.state)
            else:
                later = follow_up.model_copy(update={"failures": min(follow_up.failures + 1, MOST_FAILURES)})
                await self._queue.update(message.receipt, later.text(), pause_s)
            return None
        if wrote == "written":
            _record("told", follow_up, tell, told.state)
        return wrote

    async def _poison(
        self,
        message: Message,
        follow_up: FollowUp | None,
        reason: str,
        tell: Tell | None = None,
        state: str | None = None,
    ) -> None:
        """Move a message to the poison queue, with the reason. Its text can be put back as it is."""
        poisoned = follow_up.model_copy(update={"reason": reason}).text() if follow_up else message.text
        if len(poisoned) > TEXT_LIMIT_BYTES:
            # A forged message can grow too long when it is written in our form, or in base64.
            poisoned = message.text[:TEXT_LIMIT_BYTES]
        await self._queue.put(poisoned, 0, queue=POISON)
        _record("poisoned", follow_up, tell, state, reason)
        await self._queue.delete(message.receipt)


def _record(
    event: str, follow_up: FollowUp | None, tell: Tell | None, state: str | None = None, reason: str | None = None
) -> None:
    audit.ticket(
        event,
        caller=follow_up.caller if follow_up else None,
        system=tell.system if tell else None,
        ticket_id=follow_up.ticket_id if follow_up else None,
        state=state,
        reason=reason,
        attempts=follow_up.failures + 1 if follow_up else 1,
        age_s=time.time() - follow_up.decided_at if follow_up else None,
        correlation_id=follow_up.correlation_id if follow_up else None,
    )
