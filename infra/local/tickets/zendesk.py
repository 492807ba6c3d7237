"""Zendesk's stand-in: a ticket, its comments, a new comment; behind OAuth tokens by client credentials.

Documented
    - Tokens: POST /oauth/tokens takes JSON; `expires_in` from 300 to 172,800 s; clients that were made after
      2026-04-30 get 30 minutes if it is absent. A token without the scope of a call is answered 403. API tokens
      (Basic) are no longer given out, so this stand-in does not know them.
    - Comments arise by an update of the ticket alone. `public` follows the ticket's first comment if it is absent.
      A ticket has at most 5,000 comments, then 422.
    - The list of comments: oldest first, at most 100 in a page; by offset with `sort_order`, `page` and `per_page`, by
      cursor with `sort` and `page[size]`.
    - `safe_update` with `updated_stamp`: 409 if the ticket has changed since.
    - `{"error": "RecordNotFound", "description": "Not found"}`.

Seen in public programs
    422 RecordInvalid for a closed ticket, with `details`; the text of 401 and of a missing scope; the PUT's answer has
    the ticket beside an audit; zenpy's requests.

Guesses
    The status and members of a token's answer, and its errors, which are OAuth's (RFC 6749) in Doorkeeper's words; the
    code and text of 409; an `updated_stamp` is compared as an instant; an absent or unreadable one is a 400; the texts
    of other 400s; a comment has at most 65,535 characters; the `<div class="zd-comment">` around HTML;
    a larger `per_page` counts as 100, a larger `page[size]` is a 400.

Stricter than Zendesk
    `body` and `html_body` together are refused, and so is any change of a ticket other than a comment, the time of
    change moves by a second with each update.

Left out
    The acting user of a token (comments have one author), Markdown and placeholders in `body`, attachments, triggers
    and the webhooks that they send, metadata of audits, limits of requests (a fault with 429 stands in for them),
    refresh tokens, and every other path.

Source: developer.zendesk.com/api-reference/ticketing (oauth grant_type_tokens, tickets, ticket_comments, tags),
support.zendesk.com articles 8983332483226 and 9182123625370, zenpy 2.0.57 (read 2026-11-28 and 2026-11-30).
"""

import html
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.tickets.desk import NUMBER, Clock, Desk, Note, Ticket, text_of, utc_now
from infra.local.tickets.http import Refusal, answer_refusal, is_same, positive_number, read_body, whole_seconds
from infra.local.values import Json

SCOPES = frozenset({"read", "write", "tickets:read", "tickets:write"})
DEFAULT_LIFETIME_S = 1800
LIFETIMES_S = range(300, 172_801)
MAX_COMMENTS = 5000
MAX_CHARACTERS = 65_535
MAX_PER_PAGE = 100
AUTHOR_ID = 382203112
VIA = {"channel": "api", "source": {"from": {}, "to": {}, "rel": None}}
TICKET_MEMBERS = {"id", "comment", "safe_update", "updated_stamp"}
COMMENT_MEMBERS = {"body", "html_body", "public"}
DESCRIPTION = "An agent set the field that cancels."


@dataclass(frozen=True)
class _Token:
    scopes: frozenset[str]
    expires_at: datetime


class Zendesk:
    """One account at *url*, with one confidential OAuth client.

    Attributes:
        now: the clock that tokens expire by.
    """

    def __init__(self, url: str, *, client_id: str, client_secret: str, now: Clock = utc_now) -> None:
        self.desk = Desk(NUMBER, now)
        self.app = Starlette(
            routes=[
                Route("/oauth/tokens", self._give_token, methods=["POST"]),
                Route("/api/v2/tickets/{ticket_id}", self._show_ticket, methods=["GET"]),
                Route("/api/v2/tickets/{ticket_id}", self._update_ticket, methods=["PUT"]),
                Route("/api/v2/tickets/{ticket_id}/comments", self._list_comments, methods=["GET"]),
                Route("/api/v2/tickets/{ticket_id}/comments.json", self._list_comments, methods=["GET"]),
            ],
            exception_handlers={Refusal: answer_refusal},
        )
        self._url = url
        self._client_id = client_id
        self._client_secret = client_secret
        self.now = now
        self._tokens: dict[str, _Token] = {}

    async def _give_token(self, request: Request) -> Response:
        try:
            asked = await read_body(request)
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            raise _oauth_error(400, "invalid_request", "The request's parameters must be formatted as JSON.")
        if asked.get("grant_type") != "client_credentials":
            raise _oauth_error(400, "unsupported_grant_type", "The authorization grant type is not supported.")
        client_id, client_secret = asked.get("client_id"), asked.get("client_secret")
        if client_id != self._client_id or not is_same(str(client_secret), self._client_secret):
            raise _oauth_error(401, "invalid_client", "Client authentication failed due to unknown client.")
        scope = asked.get("scope")
        scopes = frozenset(scope.split()) if isinstance(scope, str) else frozenset()
        if not scopes or not scopes <= SCOPES:
            raise _oauth_error(400, "invalid_scope", "The requested scope is invalid, unknown, or malformed.")
        lifetime_s = asked.get("expires_in")
        if lifetime_s is None:
            lifetime_s = DEFAULT_LIFETIME_S
        if type(lifetime_s) is not int or lifetime_s not in LIFETIMES_S:
            raise _oauth_error(400, "invalid_request", "expires_in must be from 300 to 172800.")
        token = secrets.token_hex(32)
        self._tokens[token] = _Token(scopes, self.now() + timedelta(seconds=lifetime_s))
        answer = {"access_token": token, "token_type": "bearer", "scope": scope, "expires_in": lifetime_s}
        return JSONResponse(answer)

    async def _show_ticket(self, request: Request) -> Response:
        self._check_token(request, "read")
        return JSONResponse({"ticket": self._ticket_json(self._find(request))})

    async def _list_comments(self, request: Request) -> Response:
        self._check_token(request, "read")
        comments = _comments(self._find(request))
        if "page[size]" in request.query_params:
            return JSONResponse(self._by_cursor(request, comments))
        return JSONResponse(self._by_offset(request, comments))

    async def _update_ticket(self, request: Request) -> Response:
        self._check_token(request, "write")
        ticket = self._find(request)
        change = await _read_change(request)
        if ticket.status == "closed":
            raise _record_invalid("status", "Status: closed prevents ticket update")
        if change.get("safe_update") in (True, "true"):
            _check_stamp(ticket, change.get("updated_stamp"))
        comment = _read_comment(change["comment"])
        if len(ticket.notes) + 1 >= MAX_COMMENTS:  # the ticket's description is a comment too
            raise _record_invalid("base", "Comments: the ticket has reached the maximum number of comments")
        content = comment.get("html_body") or comment["body"]
        is_public = comment.get("public", ticket.opens_public)
        note = self.desk.add_note(
            ticket,
            _wrapped(content if "html_body" in comment else _as_html(content)),
            text=text_of(content) if "html_body" in comment else content,
            is_private=not is_public,
        )
        return JSONResponse({"ticket": self._ticket_json(ticket), "audit": _audit(ticket, note)})

    def _check_token(self, request: Request, action: str) -> None:
        """Refuse a request without a token that is valid and has the scope for *action*."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Refusal(401, {"error": "Couldn't authenticate you"})
        token = self._tokens.get(given)
        if token is None or token.expires_at <= self.now():
            description = "The access token provided is expired, revoked, malformed or invalid for other reasons."
            raise Refusal(401, {"error": "invalid_token", "error_description": description})
        if not token.scopes & {action, f"tickets:{action}"}:
            description = f"You are missing the following required scopes: tickets:{action}, {action}"
            raise Refusal(403, {"error": "Forbidden", "description": description})

    def _find(self, request: Request) -> Ticket:
        ticket_id = request.path_params["ticket_id"].removesuffix(".json")
        if self.desk.ticket(ticket_id) is None:
            raise _invalid_attribute("You passed an invalid value for the id attribute. id must be an integer")
        ticket = self.desk.find(ticket_id)
        if ticket is None:
            raise Refusal(404, {"error": "RecordNotFound", "description": "Not found"})
        return ticket

    def _ticket_json(self, ticket: Ticket) -> Json:
        return {
            "url": f"{self._url}/api/v2/tickets/{ticket.ticket_id}.json",
            "id": int(ticket.ticket_id),
            "external_id": None,
            "via": VIA,
            "created_at": whole_seconds(ticket.created_at),
            "updated_at": whole_seconds(ticket.updated_at),
            "type": None,
            "subject": f"Ticket {ticket.ticket_id}",
            "raw_subject": f"Ticket {ticket.ticket_id}",
            "description": DESCRIPTION,
            "priority": None,
            "status": ticket.status,
            "requester_id": AUTHOR_ID,
            "submitter_id": AUTHOR_ID,
            "assignee_id": AUTHOR_ID,
            "is_public": ticket.opens_public,
            "tags": ["microsoft_order_sent"],
            "custom_fields": [],
        }

    def _by_offset(self, request: Request, comments: list[Json]) -> Json:
        per_page, page = positive_number(request, "per_page", MAX_PER_PAGE), positive_number(request, "page", 1)
        if per_page is None or page is None:
            raise _invalid_attribute("page and per_page must be positive integers")
        if request.query_params.get("sort_order", "asc") == "desc":
            comments.reverse()
        size = min(per_page, MAX_PER_PAGE)
        start = (page - 1) * size
        has_more = start + size < len(comments)
        return {
            "comments": comments[start : start + size],
            "next_page": str(request.url.include_query_params(page=page + 1)) if has_more else None,
            "previous_page": str(request.url.include_query_params(page=page - 1)) if page > 1 else None,
            "count": len(comments),
        }

    def _by_cursor(self, request: Request, comments: list[Json]) -> Json:
        size = positive_number(request, "page[size]", MAX_PER_PAGE)
        if size is None or size > MAX_PER_PAGE:
            raise _invalid_attribute("page[size] must be an integer from 1 to 100")
        if request.query_params.get("sort", "created_at") == "-created_at":
            comments.reverse()
        cursors = [str(comment["id"]) for comment in comments]
        start = 0
        if (after := request.query_params.get("page[after]")) is not None:
            if after not in cursors:
                raise _invalid_attribute("page[after] is not valid")
            start = cursors.index(after) + 1
        shown = comments[start : start + size]
        has_more = start + size < len(comments)
        last = cursors[start + len(shown) - 1] if shown else None
        following = str(request.url.include_query_params(**{"page[after]": last})) if has_more else None
        return {
            "comments": shown,
            "meta": {"has_more": has_more, "after_cursor": last, "before_cursor": cursors[start] if shown else None},
            "links": {"next": following, "prev": None},
        }


async def _read_change(request: Request) -> Json:
    """Return the member `ticket` of the body. Refuse a body that has no comment, or what this stand-in leaves out."""
    try:
        body = await read_body(request)
    except ValueError:
        raise Refusal(400, {"error": "BadRequest", "description": "The body is not valid JSON"}) from None
    change = body.get("ticket") if isinstance(body, dict) else None
    if not isinstance(change, dict):
        raise _invalid_attribute("Parameter ticket is required")
    if unknown := change.keys() - TICKET_MEMBERS:
        raise _invalid_attribute(f"This stand-in does not know these attributes of ticket: {sorted(unknown)}")
    if not isinstance(change.get("comment"), dict):
        raise _invalid_attribute("This stand-in takes updates with a comment only")
    if change.get("safe_update", False) not in (True, False, "true", "false"):
        raise _invalid_attribute("You passed an invalid value for the safe_update attribute.")
    return change


def _check_stamp(ticket: Ticket, stamp: Any) -> None:  # noqa: ANN401  (JSON)
    """Refuse an update of a ticket that has changed since *stamp*."""
    try:
        seen_at = datetime.fromisoformat(stamp)
    except (TypeError, ValueError):
        seen_at = None
    if seen_at is None or seen_at.tzinfo is None:
        raise _invalid_attribute("You passed an invalid value for the updated_stamp attribute.")
    if seen_at != ticket.updated_at.replace(microsecond=0):
        description = (
            "Safe Update prevented due to outdated ticket data. Please fetch the latest ticket data and try again."
        )
        raise Refusal(409, {"error": "UpdateConflict", "description": description})


def _read_comment(comment: Json) -> Json:
    if unknown := comment.keys() - COMMENT_MEMBERS:
        raise _invalid_attribute(f"This stand-in does not know these attributes of comment: {sorted(unknown)}")
    texts = [comment[name] for name in ("body", "html_body") if name in comment]
    if len(texts) != 1 or not isinstance(texts[0], str) or not isinstance(comment.get("public", True), bool):
        raise _invalid_attribute("comment needs either body or html_body, and public must be a boolean")
    if not (text_of(texts[0]) if "html_body" in comment else texts[0]).strip():
        raise _record_invalid("comment", "Comment: cannot be blank")
    if len(texts[0]) > MAX_CHARACTERS:
        raise _record_invalid("comment", f"Comment: is too long (maximum is {MAX_CHARACTERS} characters)")
    return comment


def _comments(ticket: Ticket) -> list[Json]:
    """Return the ticket's description, which is its first comment, and its notes."""
    first = Note(0, _wrapped(_as_html(DESCRIPTION)), DESCRIPTION, not ticket.opens_public, ticket.created_at)
    return [_comment(note) for note in (first, *ticket.notes)]


def _comment(note: Note) -> Json:
    return {
        "id": 10**6 + note.number,
        "type": "Comment",
        "author_id": AUTHOR_ID,
        "body": note.text,
        "html_body": note.content,
        "plain_body": note.text,
        "public": not note.is_private,
        "attachments": [],
        "audit_id": 2 * 10**6 + note.number,
        "via": VIA,
        "created_at": whole_seconds(note.time),
        "metadata": {"system": {}, "custom": {}},
    }


def _audit(ticket: Ticket, note: Note) -> Json:
    event = _comment(note)
    return {
        "id": event["audit_id"],
        "ticket_id": int(ticket.ticket_id),
        "created_at": event["created_at"],
        "author_id": AUTHOR_ID,
        "via": VIA,
        "metadata": event["metadata"],
        "events": [event],
    }


def _as_html(text: str) -> str:
    return f"<p>{html.escape(text, quote=False).replace('\n', '<br>')}</p>"


def _wrapped(content: str) -> str:
    return f'<div class="zd-comment" dir="auto">{content}</div>'


def _oauth_error(status: int, error: str, description: str) -> Refusal:
    return Refusal(status, {"error": error, "error_description": description})


def _invalid_attribute(message: str) -> Refusal:
    return Refusal(400, {"error": {"title": "Invalid attribute", "message": message}})


def _record_invalid(attribute: str, description: str) -> Refusal:
    details = {attribute: [{"description": description}]}
    return Refusal(422, {"error": "RecordInvalid", "description": "Record validation errors", "details": details})
