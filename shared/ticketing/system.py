"""Defines what each ticketing system does: read a ticket's notes, write one, check the credential; and how it fails.

Addresses are the operator's alone, and a ticket's id has the form of its system before it gets into a path. Answers
are read up to a limit, and redirects are not followed.
"""

import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple, Protocol

import anyio

from shared.caller_settings import System, Tell
from shared.connections.one_request import TIME_LIMIT_S, Answer, NoAnswer, send
from shared.connections.pool import Connections
from shared.credentials.cached_secrets import CachedSecrets
from shared.errors import Unavailable
from shared.ticketing.note import Marker, Note, is_needed, is_outdated

ANSWER_LIMIT_BYTES = 4 * 1024 * 1024  # a page of a ticket's notes can hold long mails
CONFLICTS = 3  # attempts to write, while somebody else changes the ticket
PAGES = 10  # of a ticket's notes are read at most
WRITE_WITHIN_S = 45.0  # for reading a ticket's notes and writing one

type Wrote = Literal["written", "known", "outdated"]

TICKET_IDS: Mapping[System, re.Pattern[str]] = {
    "zendesk": re.compile(r"[0-9]{1,19}"),
    "freshdesk": re.compile(r"[0-9]{1,19}"),
    "freshservice": re.compile(r"[0-9]{1,19}"),
    "jira": re.compile(r"[A-Z][A-Z0-9_]{0,49}-[0-9]{1,12}"),
    "webhook": re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}"),
}
REASONS = {
    400: "note_refused",
    401: "credentials_rejected",
    403: "credentials_rejected",
    404: "ticket_not_found",
    410: "ticket_not_found",
    413: "note_refused",
    422: "note_refused",  # a closed ticket, too
}


class TellFailed(Exception):
    """A ticketing system did not do what was asked.

    Attributes:
        reason: a word for the audit record.
        is_permanent: a repeat does not help.
        pause_s: seconds that the system asked for; None if it asked for none.
    """

    def __init__(self, reason: str, *, is_permanent: bool = False, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_permanent = is_permanent
        self.pause_s = pause_s


class Changed(Exception):
    """The ticket was changed since its notes were read, so nothing was written."""


class Notes(NamedTuple):
    """The markers of a ticket's private notes, and the ticket's version where the system has one."""

    markers: list[Marker]
    version: str | None = None


class TicketingSystem(Protocol):
    """A caller's ticketing system. All functions raise TellFailed."""

    async def notes(self, ticket_id: str, key: str) -> Notes:
        """Return the ticket's notes, as far back as the newest one about *key*."""

    async def write(self, ticket_id: str, note: Note, seen: Notes) -> None:
        """Write a private note. Raises Changed where the system can tell that *seen* is old."""

    async def check(self) -> None:
        """Find out whether the credential works, without writing."""


async def write_once(system: TicketingSystem, ticket_id: str, note: Note, *, within_s: float = WRITE_WITHIN_S) -> Wrote:
    """Write *note* if it says something new, within *within_s* seconds. Raises TellFailed.

    "known" means that the newest note says the same, "outdated" that a newer note says more.
    """
    with anyio.move_on_after(within_s):
        for _ in range(CONFLICTS):
            seen = await system.notes(ticket_id, note.marker.key)
            if not is_needed(note.marker, seen.markers, time.time()):
                return "outdated" if is_outdated(note.marker, seen.markers, time.time()) else "known"
            with suppress(Changed):
                await system.write(ticket_id, note, seen)
                return "written"
        raise TellFailed("ticket_changes")
    raise TellFailed("no_answer")


class Api:
    """Sends requests to the API of one caller's system, with its credential from Key Vault."""

    def __init__(self, tell: Tell, connections: Connections, secrets: CachedSecrets) -> None:
        self.tell = tell
        self._connections = connections
        self._secrets = secrets

    async def secret(self, name: str) -> str:
        """Return a secret. Raises TellFailed."""
        found, error = await self._secrets.values([name], TIME_LIMIT_S)
        if name in found:
            return found[name]
        raise TellFailed(
            error.code if error else "credentials_unavailable",
            is_permanent=error is not None and not isinstance(error, Unavailable),
        )

    async def is_replaced(self, refused: Mapping[str, str]) -> bool:
        """True if the request is worth another try with new secrets. *refused* has the refused ones by their names.

        They are read again if they are old enough to have been rotated. If another ticket has had them read again a
        moment before, they differ from the cached ones. Raises TellFailed.
        """
        if self._secrets.read_again(self.tell.secrets):
            return True
        return any([await self.secret(name) != value for name, value in refused.items()])

    async def ask(self, method: str, url: str, headers: Mapping[str, str], body: object = None) -> Answer:
        """Return the answer, whatever its status is. *body* is sent as JSON. Raises TellFailed if there is none."""
        sent = {"Accept": "application/json", "User-Agent": "cancel-order", **headers}
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            sent["Content-Type"] = "application/json"
        try:
            return await send(self._connections, method, url, sent, content, limit_bytes=ANSWER_LIMIT_BYTES)
        except NoAnswer:
            raise TellFailed("no_answer") from None

    async def ask_basic(self, method: str, url: str, proof: Callable[[str], str], body: object = None) -> Answer:
        """Ask with HTTP Basic. *proof* returns user and password for the secret. A refused one is read again once."""
        while True:
            secret = await self.secret(self.tell.secret)
            headers = {"Authorization": f"Basic {base64.b64encode(proof(secret).encode()).decode()}"}
            answer = await self.ask(method, url, headers, body)
            if answer.status != 401 or not await self.is_replaced({self.tell.secret: secret}):
                return answer


def check_answer(answer: Answer) -> Answer:
    """Return a successful *answer*. Raises TellFailed."""
    if answer.is_success:
        return answer
    if answer.status in {408, 429} or answer.status >= 500:
        raise TellFailed("system_unavailable", pause_s=_retry_after_s(answer.headers.get("retry-after")))
    raise TellFailed(REASONS.get(answer.status, "unexpected_answer"), is_permanent=True)


def json_of(answer: Answer) -> Any:  # noqa: ANN401  (JSON enters here)
    """Return the JSON of a successful *answer*. Raises TellFailed.

    A proxy's own page can have the status 200 too, so an answer without JSON proves no note.
    """
    try:
        return json.loads(check_answer(answer).body)
    except (ValueError, RecursionError):
        raise TellFailed("unexpected_answer") from None


def members(value: object) -> dict[str, Any]:
    """Return *value* if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[dict[str, Any]]:
    """Return the JSON objects in *value*, a list. Raises TellFailed if it is none."""
    if not isinstance(value, list):
        raise TellFailed("unexpected_answer")
    return [entry for entry in value if isinstance(entry, dict)]


def _retry_after_s(value: str | None) -> float | None:
    """Return the seconds of a Retry-After, which may be a number or an HTTP date (RFC 9110)."""
    text = (value or "").strip()
    if text.isdecimal():
        return float(text[:6])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
