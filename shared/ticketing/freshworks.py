"""Freshdesk and Freshservice: private notes of a ticket, by an agent's API key.

Neither has a conditional write, so a note can be written twice if the answer to the first one was lost and the system
does not show it yet.

Source: developers.freshdesk.com/api/#conversations, api.freshservice.com/#conversations (read 2026-11-28).
"""

from shared.connections.one_request import Answer
from shared.ticketing.note import Note, markers_in
from shared.ticketing.system import PAGES, Api, Notes, json_of, objects

PER_PAGE = 100
TEXTS = ("body_text", "body")


class Freshworks:
    """The tickets of one Freshdesk or Freshservice account."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def notes(self, ticket_id: str, key: str) -> Notes:  # noqa: ARG002  (oldest first: all are read)
        markers = []
        for page in range(1, PAGES + 1):
            path = f"tickets/{ticket_id}/conversations?page={page}&per_page={PER_PAGE}"
            answer: object = json_of(await self._ask("GET", path))
            found = objects(answer.get("conversations") if isinstance(answer, dict) else answer)
            for entry in found:
                if entry.get("private") is True:
                    markers += [m for name in TEXTS for m in markers_in(str(entry.get(name) or ""))]
            if len(found) < PER_PAGE:
                break
        return Notes(markers)

    async def write(self, ticket_id: str, note: Note, seen: Notes) -> None:  # noqa: ARG002  (no conditional write)
        json_of(await self._ask("POST", f"tickets/{ticket_id}/notes", {"body": note.html, "private": True}))

    async def check(self) -> None:
        json_of(await self._ask("GET", "tickets?per_page=1"))

    async def _ask(self, method: str, path: str, body: object = None) -> Answer:
        url = f"{self._api.tell.url}/api/v2/{path}"
        return await self._api.ask_basic(method, url, lambda key: f"{key}:X", body)
