"""Tickets and their notes, as every stand-in for a ticketing system keeps them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any, Literal

from infra.local.values import Json

type Status = Literal["open", "closed", "missing"]
type Clock = Callable[[], datetime]

NUMBER = r"[0-9]{1,19}"
BLOCKS = frozenset({"address", "blockquote", "br", "dd", "div", "dl", "dt", "hr", "li", "ol", "p", "pre", "tr", "ul"})
BLOCKS |= {f"h{level}" for level in range(1, 7)}
UNSEEN = frozenset({"head", "script", "style", "title"})


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Note:
    """One note or comment.

    Attributes:
        number: counts the notes of a system, from 1.
        content: as it was sent: a text, HTML, or a document.
        text: as a reader sees it.
        properties: values that a client attached and no reader sees.
    """

    number: int
    content: Any
    text: str
    is_private: bool
    time: datetime
    properties: Json = field(default_factory=dict)


@dataclass
class Ticket:
    """A ticket. *notes* has the oldest first; *opens_public* says whether its first comment is public."""

    ticket_id: str
    created_at: datetime
    updated_at: datetime
    status: Status = "open"
    opens_public: bool = True
    notes: list[Note] = field(default_factory=list)


class Desk:
    """The tickets of one system, whose ids match *pattern* as a whole."""

    def __init__(self, pattern: str, now: Clock = utc_now) -> None:
        self._pattern = re.compile(pattern)
        self._now = now
        self._opened_at = now()
        self._tickets: dict[str, Ticket] = {}
        self._count = 0

    def ticket(self, ticket_id: str) -> Ticket | None:
        """Return the ticket, a missing one too, or None if the id does not have the right form."""
        if not self._pattern.fullmatch(ticket_id):
            return None
        known_id = str(int(ticket_id)) if ticket_id.isdecimal() else ticket_id
        if known_id not in self._tickets:
            self._tickets[known_id] = Ticket(known_id, self._opened_at, self._opened_at)
        return self._tickets[known_id]

    def find(self, ticket_id: str) -> Ticket | None:
        """Return the ticket as a client can find it: None if it is missing."""
        ticket = self.ticket(ticket_id)
        return None if ticket is None or ticket.status == "missing" else ticket

    def tickets(self) -> list[Ticket]:
        """Return the tickets that were looked at so far and are not missing."""
        return [ticket for ticket in self._tickets.values() if ticket.status != "missing"]

    def add_note(
        self,
        ticket: Ticket,
        content: Any,  # noqa: ANN401  (JSON)
        *,
        text: str,
        is_private: bool,
        properties: Json | None = None,
    ) -> Note:
        self._count += 1
        ticket.updated_at = max(self._now(), ticket.updated_at + timedelta(seconds=1))
        note = Note(self._count, content, text, is_private, ticket.updated_at, properties or {})
        ticket.notes.append(note)
        return note


def text_of(html: str) -> str:
    """Return *html* as a reader sees it: a line for each block, without what browsers do not show."""
    reader = _TextReader()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    return "\n".join(line for line in lines if line)


class _TextReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  (the parser's)
        self._unseen += tag in UNSEEN
        if tag in BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in UNSEEN))
        if tag in BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(data.replace("\n", " "))
