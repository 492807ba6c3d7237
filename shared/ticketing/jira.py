"""Jira Cloud and Jira Service Management: internal comments of an issue, by an account's API token.

The marker is a property of the comment, which people do not see. `sd.public.comment` makes a comment of a service
project internal; in other projects it does nothing.

Source: developer.atlassian.com/cloud/jira/platform/rest/v3 (issue comments, comment properties, permissions); the
`add_comment` of the PyPI package jira 3.10.5 for the internal property (read 2026-11-28).
"""

import re

from shared.connections.one_request import Answer
from shared.ticketing.note import Note, markers_in
from shared.ticketing.system import PAGES, Api, Notes, TellFailed, json_of, members, objects

PER_PAGE = 50
PROPERTY = "cancel-order"
_ID = re.compile(r"[0-9]{1,19}")


class Jira:
    """The issues of one Jira site."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def notes(self, ticket_id: str, key: str) -> Notes:
        markers = []
        for page in range(PAGES):
            start = page * PER_PAGE
            path = f"issue/{ticket_id}/comment?orderBy=-created&maxResults={PER_PAGE}&startAt={start}"
            found = members(json_of(await self._ask("GET", path)))
            ids = [str(comment.get("id")) for comment in objects(found.get("comments"))]
            if not ids:
                break
            if not all(_ID.fullmatch(found_id) for found_id in ids):
                raise TellFailed("unexpected_answer")
            asked = {"ids": [int(found_id) for found_id in ids]}
            listed = members(json_of(await self._ask("POST", "comment/list?expand=properties", asked)))
            for comment in objects(listed.get("values")):
                for entry in objects(comment.get("properties") or []):
                    if entry.get("key") == PROPERTY:
                        markers += markers_in(str(members(entry.get("value")).get("note")))
            total = found.get("total")
            is_last = not isinstance(total, int) or start + len(ids) >= total
            if is_last or any(marker.key == key for marker in markers):
                break
        return Notes(markers)

    async def write(self, ticket_id: str, note: Note, seen: Notes) -> None:  # noqa: ARG002  (no conditional write)
        paragraphs = [{"type": "paragraph", "content": [{"type": "text", "text": line}]} for line in note.lines if line]
        body = {
            "body": {"type": "doc", "version": 1, "content": paragraphs},
            "properties": [
                {"key": "sd.public.comment", "value": {"internal": True}},
                {"key": PROPERTY, "value": {"note": note.marker.text}},
            ],
        }
        json_of(await self._ask("POST", f"issue/{ticket_id}/comment", body))

    async def check(self) -> None:
        answer = json_of(await self._ask("GET", "mypermissions?permissions=ADD_COMMENTS"))
        permission = members(members(members(answer).get("permissions")).get("ADD_COMMENTS"))
        if permission.get("havePermission") is not True:
            raise TellFailed("credentials_rejected", is_permanent=True)

    async def _ask(self, method: str, path: str, body: object = None) -> Answer:
        tell = self._api.tell
        url = f"{tell.url}/rest/api/3/{path}"
        return await self._api.ask_basic(method, url, lambda token: f"{tell.user}:{token}", body)
