"""The stand-in for Freshdesk and for Freshservice: notes of a ticket, behind an agent's API key.

The two have one implementation, because their documents describe the same paths, parameters, members and errors.
They differ in the form of answers: Freshdesk answers with the note, or with a list; Freshservice puts them into an
object (`conversation`, `conversations`, `tickets`).

Documented
    - The key is the user of HTTP Basic, with any password.
    - A note: `body` is HTML and required; `private` is true, and `incoming` false, if absent. Freshdesk answers 201.
    - Conversations: pages of 30, at most 100 (more is an error). The `link` header names the next page.
    - Errors are `{"description", "errors": [{"field", "message", "code"}]}`; 401 and 404.
    - A conversation has `body` in HTML and `body_text`.

Seen in public programs
    `conversation` in Freshservice's answer to a note (Microsoft's connector); Freshservice's default for `private`; the
    words of 401; python-freshdesk's requests.

Guesses
    Freshservice's 201, and that its list is `conversations`; the codes and texts of single errors (missing_field,
    datatype_mismatch, invalid_field, invalid_value, invalid_json); an empty body with 404; the oldest conversation
    comes first; a closed ticket takes notes; the id of a ticket that is no number is a 404.

Left out
    Replies, attachments, tickets' own members but id, subject, status and dates, sanitizing of the HTML, limits of
    requests, of a note's size and of notes for a ticket, OAuth (Freshservice), webhooks that a note sets off.

Source: developers.freshdesk.com/api (conversations, pagination, errors), api.freshservice.com (create_a_note,
pagination, authentication), python-freshdesk 1.3.9 (read 2026-11-28 and 2026-11-30).
"""

from typing import Any, Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.tickets.desk import NUMBER, Clock, Desk, Note, Ticket, text_of, utc_now
from infra.local.tickets.http import (
    Refusal,
    answer_refusal,
    basic_credentials,
    is_same,
    positive_number,
    read_body,
    whole_seconds,
)
from infra.local.values import Json

type Product = Literal["freshdesk", "freshservice"]

DEFAULT_PER_PAGE = 30
MAX_PER_PAGE = 100
AGENT_ID = 21001931878
SOURCE_NOTE = 2
STATUS_NUMBERS = {"open": 2, "closed": 5}
NOTE_MEMBERS = {"body": str, "private": bool, "incoming": bool, "notify_emails": list}


class Freshworks:
    """One account of *product*, with one agent's key."""

    def __init__(self, product: Product, *, api_key: str, now: Clock = utc_now) -> None:
        self.desk = Desk(NUMBER, now)
        self.app = Starlette(
            routes=[
                Route("/api/v2/tickets", self._list_tickets, methods=["GET"]),
                Route("/api/v2/tickets/{ticket_id}/conversations", self._list_conversations, methods=["GET"]),
                Route("/api/v2/tickets/{ticket_id}/notes", self._add_note, methods=["POST"]),
            ],
            exception_handlers={Refusal: answer_refusal},
        )
        self._is_service = product == "freshservice"
        self._api_key = api_key

    async def _list_tickets(self, request: Request) -> Response:
        self._check_key(request)
        return self._page(request, "tickets", [_ticket(ticket) for ticket in self.desk.tickets()])

    async def _list_conversations(self, request: Request) -> Response:
        self._check_key(request)
        ticket = self._find(request)
        return self._page(request, "conversations", [_conversation(ticket, note) for note in ticket.notes])

    async def _add_note(self, request: Request) -> Response:
        self._check_key(request)
        ticket = self._find(request)
        given = await _read_note(request)
        text = text_of(given["body"])
        note = self.desk.add_note(ticket, given["body"], text=text, is_private=given.get("private", True))
        answer = _conversation(ticket, note) | {"incoming": given.get("incoming", False)}
        return JSONResponse({"conversation": answer} if self._is_service else answer, 201)

    def _check_key(self, request: Request) -> None:
        credentials = basic_credentials(request)
        if credentials is None or not is_same(credentials[0], self._api_key):
            message = "You have to be logged in to perform this action."
            raise Refusal(401, {"code": "invalid_credentials", "message": message})

    def _find(self, request: Request) -> Ticket:
        ticket = self.desk.find(request.path_params["ticket_id"])
        if ticket is None:
            raise Refusal(404, None)
        return ticket

    def _page(self, request: Request, name: str, entries: list[Json]) -> Response:
        page = positive_number(request, "page", 1)
        per_page = positive_number(request, "per_page", DEFAULT_PER_PAGE)
        if page is None:
            raise _invalid("page", "It should be a Positive Integer", "invalid_value")
        if per_page is None or per_page > MAX_PER_PAGE:
            message = f"It should be a Positive Integer less than or equal to {MAX_PER_PAGE}"
            raise _invalid("per_page", message, "invalid_value")
        start = (page - 1) * per_page
        shown = entries[start : start + per_page]
        has_more = start + per_page < len(entries)
        headers = {"link": f'<{request.url.include_query_params(page=page + 1)}>; rel="next"'} if has_more else None
        return JSONResponse({name: shown} if self._is_service else shown, headers=headers)


async def _read_note(request: Request) -> Json:
    try:
        note = await read_body(request)
    except ValueError:
        note = None
    if not isinstance(note, dict):
        raise Refusal(400, {"code": "invalid_json", "message": "Request body has invalid json format"})
    for name, value in note.items():
        if name not in NOTE_MEMBERS:
            raise _invalid(name, "Unexpected/invalid field in request", "invalid_field")
        if not isinstance(value, NOTE_MEMBERS[name]):
            raise _invalid(
                name, f"Value set is of another type than {NOTE_MEMBERS[name].__name__}", "datatype_mismatch"
            )
    if "body" not in note:
        raise _invalid("body", "Missing field", "missing_field")
    if not text_of(note["body"]):
        raise _invalid("body", "It should not be blank as this is a mandatory field", "invalid_value")
    return note


def _invalid(field: str, message: str, code: str) -> Refusal:
    error: Json = {"field": field, "message": message, "code": code}
    return Refusal(400, {"description": "Validation failed", "errors": [error]})


def _ticket(ticket: Ticket) -> Json:
    return {
        "id": int(ticket.ticket_id),
        "subject": f"Ticket {ticket.ticket_id}",
        "status": STATUS_NUMBERS[ticket.status],
        "created_at": whole_seconds(ticket.created_at),
        "updated_at": whole_seconds(ticket.updated_at),
    }


def _conversation(ticket: Ticket, note: Note) -> dict[str, Any]:
    return {
        "id": 10**6 + note.number,
        "body": note.content,
        "body_text": note.text,
        "incoming": False,
        "private": note.is_private,
        "user_id": AGENT_ID,
        "ticket_id": int(ticket.ticket_id),
        "support_email": None,
        "to_emails": [],
        "source": SOURCE_NOTE,
        "attachments": [],
        "created_at": whole_seconds(note.time),
        "updated_at": whole_seconds(note.time),
    }
