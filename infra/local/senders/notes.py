"""The notes in a ticket of the local cloud, and the follow-ups that wait to be told, for people to read.

All of it is asked at the control interface, whose address the local cloud's description has.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx

from infra.local.values import Json

POISON = "follow-up-poison"


class FollowUp(NamedTuple):
    """A message about a ticket. *reason* says why it cannot be told; None if it waits for *due_in_s* seconds."""

    due_in_s: float
    reason: str | None


def tell_tickets(client: httpx.Client, control_url: str) -> None:
    """Run the timer function once, which otherwise runs every minute. Raises httpx.HTTPError."""
    client.post(f"{control_url}/timers/tell_ticket").raise_for_status()


def notes_of(client: httpx.Client, control_url: str, system: str, ticket_id: str) -> list[Json]:
    """Return a ticket's notes, the oldest first. Raises httpx.HTTPError."""
    found: list[Json] = client.get(f"{control_url}/tickets/{system}/{ticket_id}").raise_for_status().json()["notes"]
    return found


def follow_ups_of(client: httpx.Client, control_url: str, caller: str, ticket_id: str) -> list[FollowUp]:
    """Return the messages about a ticket, the first one due first. Raises httpx.HTTPError."""
    messages: list[Json] = client.get(f"{control_url}/queue").raise_for_status().json()
    return sorted(_follow_ups(messages, caller, ticket_id), key=lambda follow_up: follow_up.due_in_s)


def _follow_ups(messages: list[Json], caller: str, ticket_id: str) -> Iterator[FollowUp]:
    for message in messages:
        content = _read(message["text"])
        if (content.get("caller"), content.get("ticketId")) == (caller, ticket_id):
            reason = str(content.get("reason")) if message["queue"] == POISON else None
            yield FollowUp(message["visible_in_s"], reason)


def ticket_id_in(body: bytes) -> str | None:
    """Return the ticket's id in a request's *body*; None if there is none that can be read."""
    ticket_id = _read(body).get("ticketId")
    return ticket_id if isinstance(ticket_id, str) else None


def in_words(seconds: float) -> str:
    """Return *seconds* as people say them."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{max(seconds, 1):.0f} s"


def _read(text: str | bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
