"""Keeps for one worker the queue, and the ticketing systems of the callers that have `tell`."""

import asyncio
import logging

import anyio

from shared import strict_json
from shared.call import Call
from shared.caller_settings import Tell
from shared.connections.pool import Connections
from shared.credentials.cached_secrets import CachedSecrets, storage_tokens
from shared.credentials.health import TellHealth
from shared.settings import Settings
from shared.ticketing.system import TICKET_IDS, TellFailed, TicketingSystem
from shared.ticketing.systems import open_system
from shared.tickets.intent import Intent, not_told
from shared.tickets.queue import NO_ANSWER_ADVICE, Queue, QueueFailed
from shared.tickets.tell import Look, Teller

CHECK_LIMIT_S = 8.0
ADVICE = {
    "credentials_rejected": "The ticketing system refused the credential. The operator must store a valid one, with the"
    " rights that its page in infra/ticketing names.",
    "unexpected_answer": "No API of this ticketing system answers at the address. The operator must check url in tell.",
    "misconfigured": "A secret that tell names does not exist, may not be read, or is not what the system needs. The"
    " operator must store it, and give the function the role to read it.",
}
OTHER_ADVICE = (
    "The ticketing system, or Key Vault, gave no usable answer. Check again in some minutes; if it lasts, the operator"
    " must check the address in tell."
)

log = logging.getLogger("cancel_order")


class Tickets:
    """Tells the tickets of the callers that have `tell`. *secrets* caches the Key Vault secrets that callers name."""

    def __init__(self, settings: Settings, connections: Connections, secrets: CachedSecrets) -> None:
        self._settings = settings
        self._tokens = storage_tokens(settings)
        self._queue = Queue(settings.queue_service_uri, connections, self._tokens)
        self._systems: dict[str, tuple[Tell, TicketingSystem]] = {
            name: (caller.tell, open_system(caller.tell, connections, secrets))
            for name, caller in (settings.callers or {}).items()
            if caller.tell
        }

    def close(self) -> None:
        self._tokens.close()

    def intent(self, call: Call, body: bytes) -> Intent | None:
        """Return the follow-up of *call*, whose caller is known. None if nobody is to be told.

        The ticket is read from *body* before the request is checked: a refused request is told, too.
        """
        tell, _ = self._systems.get(call.caller or "", (None, None))
        ticket_id = _ticket_id_in(body) if tell else None
        if tell is None or ticket_id is None:
            return None
        if not TICKET_IDS[tell.system].fullmatch(ticket_id):
            not_told(call, tell, ticket_id, "ticket_not_found")
            return None
        return Intent(call, tell, ticket_id, self._queue, self._settings.max_wait_s)

    async def tell(self, look: Look) -> None:
        """Handle the follow-ups that are due. Raises QueueFailed."""
        await Teller(self._queue, self._systems, look).run()

    async def health(self) -> dict[str, TellHealth]:
        """Return for each caller that has `tell` whether it works. The right to write is not proven."""
        queue_failure = await self._queue_failure()
        found = await asyncio.gather(*(self._health(queue_failure, *entry) for entry in self._systems.values()))
        return dict(zip(self._systems, found, strict=True))

    async def _queue_failure(self) -> tuple[str, str] | None:
        """Return code and detail of what keeps every ticket from being told; None if nothing does."""
        if self._settings.is_tell_ticket_disabled:
            return (
                "misconfigured",
                "AzureWebJobs.tell_ticket.Disabled switches the timer off; the operator must remove it.",
            )
        try:
            with anyio.fail_after(CHECK_LIMIT_S):
                await self._queue.check()
        except QueueFailed as failure:
            return failure.code, failure.detail
        except TimeoutError:
            return "queue_unavailable", NO_ANSWER_ADVICE
        return None

    async def _health(self, queue_failure: tuple[str, str] | None, tell: Tell, system: TicketingSystem) -> TellHealth:
        failure = queue_failure
        if failure is None:
            try:
                with anyio.fail_after(CHECK_LIMIT_S):
                    await system.check()
            except TellFailed as failed:
                # The check is about no ticket and no note.
                of_tickets = {"ticket_not_found", "note_refused"}
                reason = "unexpected_answer" if failed.reason in of_tickets else failed.reason
                failure = reason, ADVICE.get(reason, OTHER_ADVICE)
            except TimeoutError:
                failure = "system_unavailable", OTHER_ADVICE
            except Exception:
                log.exception("the health check of a ticketing system failed")
                failure = "internal_error", "A fault of this function. Report the time of this check."
        code, detail = failure or (None, None)
        return TellHealth(healthy=failure is None, system=tell.system, code=code, detail=detail)


def _ticket_id_in(body: bytes) -> str | None:
    """Return the ticket's id in *body*, which may have mistakes elsewhere; None if there is none."""
    try:
        parsed = strict_json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    ticket_id = parsed.get("ticketId") if isinstance(parsed, dict) else None
    return ticket_id if isinstance(ticket_id, str) and ticket_id else None
