"""Zendesk: private comments of a ticket, by an OAuth client of its own.

`safe_update` closes the race between reading and writing: Zendesk refuses an update of a ticket that has changed since
(409). API tokens are not supported: Zendesk ends them in April 2027.

Source: developer.zendesk.com/api-reference/ticketing/tickets (ticket_comments, "update collisions"), and
/documentation/api-basics/authentication/oauth-migration; the OpenAPI description of OAuth tokens (read 2026-11-28).
"""

import time

from shared.connections.one_request import Answer
from shared.ticketing.note import Note, markers_in
from shared.ticketing.system import PAGES, Api, Changed, Notes, TellFailed, json_of, members, objects

SCOPE = "tickets:read tickets:write"
TOKEN_LIFE_S = 1_800  # is asked for; the default of clients made after 2026-04-30
TOKEN_SPARE_S = 60.0
# Statuses of the request for a token. It names no ticket, so NO_TICKET does not mean here what it means elsewhere.
REFUSED, NO_TICKET = {400, 401, 403}, {404, 410, 413, 422}
PER_PAGE = 30
TEXTS = ("plain_body", "body", "html_body")


class Zendesk:
    """The tickets of one Zendesk account."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._token: str | None = None
        self._token_ends_at = 0.0  # monotonic

    async def notes(self, ticket_id: str, key: str) -> Notes:
        # The ticket first: a comment that comes after it makes its version old.
        ticket = members(members(await self._read(f"tickets/{ticket_id}.json")).get("ticket"))
        version = ticket.get("updated_at")
        if not isinstance(version, str):
            raise TellFailed("unexpected_answer")
        markers = []
        for page in range(1, PAGES + 1):
            path = f"tickets/{ticket_id}/comments.json?sort_order=desc&per_page={PER_PAGE}&page={page}"
            found = members(await self._read(path))
            for comment in objects(found.get("comments")):
                if comment.get("public") is False:
                    markers += [m for name in TEXTS for m in markers_in(str(comment.get(name) or ""))]
            if not found.get("next_page") or any(marker.key == key for marker in markers):
                break
        return Notes(markers, version)

    async def write(self, ticket_id: str, note: Note, seen: Notes) -> None:
        comment = {"html_body": note.html, "public": False}
        ticket = {"comment": comment, "safe_update": True, "updated_stamp": seen.version}
        answer = await self._ask("PUT", f"tickets/{ticket_id}.json", {"ticket": ticket})
        if answer.status == 409:
            raise Changed
        json_of(answer)

    async def check(self) -> None:
        self._token = None  # a token that is kept proves nothing about the credential
        await self._bearer()

    async def _read(self, path: str) -> object:
        found: object = json_of(await self._ask("GET", path))
        return found

    async def _ask(self, method: str, path: str, body: object = None) -> Answer:
        url = f"{self._api.tell.url}/api/v2/{path}"
        answer = await self._api.ask(method, url, await self._bearer(), body)
        if answer.status == 401:  # the token was revoked
            self._token = None
            answer = await self._api.ask(method, url, await self._bearer(), body)
        return answer

    async def _bearer(self) -> dict[str, str]:
        """Return the header with a token. Raises TellFailed."""
        if self._token is None or time.monotonic() > self._token_ends_at:
            answer = await self._token_answer()
            if answer.status in REFUSED:
                raise TellFailed("credentials_rejected", is_permanent=True)
            if answer.status in NO_TICKET:
                raise TellFailed("unexpected_answer", is_permanent=True)
            found = members(json_of(answer))
            token, life_s = found.get("access_token"), found.get("expires_in")
            if not isinstance(token, str) or not token.isascii() or not token.isprintable():
                raise TellFailed("unexpected_answer")
            life_s = life_s if isinstance(life_s, int | float) and not isinstance(life_s, bool) else TOKEN_LIFE_S
            life_s = min(life_s, TOKEN_LIFE_S)  # it can be too large for a float
            self._token, self._token_ends_at = token, time.monotonic() + life_s - TOKEN_SPARE_S
        return {"Authorization": f"Bearer {self._token}"}

    async def _token_answer(self) -> Answer:
        tell = self._api.tell
        while True:
            secret = await self._api.secret(tell.secret)
            body = {
                "grant_type": "client_credentials",
                "client_id": tell.client_id,
                "client_secret": secret,
                "scope": SCOPE,
                "expires_in": TOKEN_LIFE_S,
            }
            answer = await self._api.ask("POST", f"{tell.url}/oauth/tokens", {}, body)
            if answer.status not in REFUSED or not await self._api.is_replaced({tell.secret: secret}):
                return answer
