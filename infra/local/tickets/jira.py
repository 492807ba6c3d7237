"""Jira Cloud's stand-in: the comments of an issue, as text (version 2) and as documents (version 3).

Documented
    - HTTP Basic with the account's address and an API token.
    - Adding a comment is answered 201. Version 2 takes a text, version 3 a document (`adf`). `jsdPublic` is read-only.
    - Properties of a comment: keys up to 255 characters, values up to 32,768; invisible to people; read with
      POST /comment/list?expand=properties, which takes 1 to 1,000 ids.
    - Lists: `startAt`, `maxResults` (5,000), `orderBy` by `created` alone, else 400.
    - GET /mypermissions?permissions=KEYS.
    - Errors are `{"errorMessages": […], "errors": {…}}`; 404 for an issue that is not there or cannot be seen.

Seen in public programs
    The property `sd.public.comment` makes a comment internal (jira 3.10.5); the texts "Comment body is not valid!", of
    the limit of 32,767 characters, of 401 and of 404.

Guesses
    The limit counts the JSON of a document; the texts of other errors; ids in a list are numbers, those that are not
    found are left out, and the rest comes by id; an issue whose work is done takes comments; every issue is a request
    in a service project, so that `jsdPublic` follows the property.

Stricter than Jira
    A request without credentials is a 401 on every path. `jsdPublic` in a request is a 400. Keys are in upper case.

Left out
    Wiki markup in version 2, OAuth, restrictions of visibility, rendered bodies, edited and deleted comments, the
    limit of comments for an issue (413), limits of requests, the paths of Jira Service Management, events.

Source: developer.atlassian.com/cloud/jira/platform/rest/v3 (issue comments, permissions), jira 3.10.5 (read 2026-11-28
and 2026-11-30).
"""

import json
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.tickets.adf import document_of, is_document, text_of_document
from infra.local.tickets.desk import Clock, Desk, Note, Ticket, utc_now
from infra.local.tickets.http import Refusal, answer_refusal, basic_credentials, is_same, read_body
from infra.local.values import Json

KEY = r"[A-Z][A-Z0-9_]{0,49}-[0-9]{1,12}"
MAX_CHARACTERS = 32_767
MAX_KEY_CHARACTERS = 255
MAX_VALUE_CHARACTERS = 32_768
MAX_RESULTS = 5000
MAX_IDS = 1000
FIRST_ID = 10_000
INTERNAL = "sd.public.comment"
PERMISSIONS = {"ADD_COMMENTS": ("15", "Add Comments"), "BROWSE_PROJECTS": ("10", "Browse Projects")}


class Jira:
    """One site at *url*, with one account."""

    def __init__(self, url: str, *, user: str, token: str, now: Clock = utc_now) -> None:
        self.desk = Desk(KEY, now)
        routes = []
        for version in ("2", "3"):
            root = f"/rest/api/{version}"
            routes += [
                Route(f"{root}/serverInfo", self._show_server, methods=["GET"]),
                Route(f"{root}/mypermissions", self._show_permissions, methods=["GET"]),
                Route(f"{root}/issue/{{key}}/comment", self._list_comments, methods=["GET"]),
                Route(f"{root}/issue/{{key}}/comment", self._add_comment, methods=["POST"]),
                Route(f"{root}/comment/list", self._list_by_ids, methods=["POST"]),
            ]
        self.app = Starlette(routes=routes, exception_handlers={Refusal: answer_refusal})
        self._url = url
        self._user = user
        self._token = token
        self._now = now

    async def _show_server(self, request: Request) -> Response:
        self._check_token(request)
        server = {
            "baseUrl": self._url,
            "version": "1001.0.0-SNAPSHOT",
            "versionNumbers": [1001, 0, 0],
            "deploymentType": "Cloud",
            "buildNumber": 100288,
            "serverTime": _time(self._now()),
            "serverTitle": "Jira",
        }
        return JSONResponse(server)

    async def _show_permissions(self, request: Request) -> Response:
        self._check_token(request)
        asked = [name for name in request.query_params.get("permissions", "").split(",") if name]
        if not asked:
            raise _messages(400, "The 'permissions' query parameter is required.")
        if unknown := [name for name in asked if name not in PERMISSIONS]:
            raise _messages(400, f"Unrecognized permission: {', '.join(unknown)}")
        permissions = {
            key: {
                "id": PERMISSIONS[key][0],
                "key": key,
                "name": PERMISSIONS[key][1],
                "type": "PROJECT",
                "description": "",
                "havePermission": True,
            }
            for key in asked
        }
        return JSONResponse({"permissions": permissions})

    async def _list_comments(self, request: Request) -> Response:
        self._check_token(request)
        issue = self._find(request)
        start, size = _number(request, "startAt", 0), min(_number(request, "maxResults", MAX_RESULTS), MAX_RESULTS)
        order = request.query_params.get("orderBy", "created")
        if order.lstrip("+ ").removeprefix("-") != "created":  # a `+` in a query is a blank
            raise _messages(400, "The orderBy parameter can be created only.")
        notes = list(reversed(issue.notes)) if order.startswith("-") else issue.notes
        comments = [self._comment(request, issue, note) for note in notes[start : start + size]]
        return JSONResponse({"startAt": start, "maxResults": size, "total": len(notes), "comments": comments})

    async def _add_comment(self, request: Request) -> Response:
        self._check_token(request)
        issue = self._find(request)
        body = await _read_object(request)
        if body.keys() - {"body", "properties"}:
            raise _messages(400, "Invalid request payload. Refer to the REST API documentation and try again.")
        content = body.get("body")
        text = _read_document(content) if _version(request) == "3" else _read_text(content)
        properties = _read_properties(body.get("properties", []))
        internal = properties.get(INTERNAL)
        note = self.desk.add_note(
            issue,
            content,
            text=text,
            is_private=isinstance(internal, dict) and internal.get("internal") is True,
            properties=properties,
        )
        return JSONResponse(self._comment(request, issue, note), 201)

    async def _list_by_ids(self, request: Request) -> Response:
        self._check_token(request)
        ids = (await _read_object(request)).get("ids")
        if (
            not isinstance(ids, list)
            or not 1 <= len(ids) <= MAX_IDS
            or any(type(comment_id) is not int for comment_id in ids)
        ):
            raise _messages(400, f"ids must be a list of 1 to {MAX_IDS} numbers.")
        found = sorted(
            ((note.number, issue, note) for issue in self.desk.tickets() for note in issue.notes),
            key=lambda entry: entry[0],
        )
        has_properties = "properties" in request.query_params.get("expand", "").split(",")
        values = [
            self._comment(request, issue, note) | (_properties(note) if has_properties else {})
            for number, issue, note in found
            if FIRST_ID + number in ids
        ]
        page = {"maxResults": 1_048_576, "startAt": 0, "total": len(values), "isLast": True, "values": values}
        return JSONResponse(page)

    def _check_token(self, request: Request) -> None:
        user, token = basic_credentials(request) or ("", "")
        if user != self._user or not is_same(token, self._token):
            raise Refusal(401, {"message": "Client must be authenticated to access this resource.", "status-code": 401})

    def _find(self, request: Request) -> Ticket:
        issue = self.desk.find(request.path_params["key"])
        if issue is None:
            raise _messages(404, "Issue does not exist or you do not have permission to see it.")
        return issue

    def _comment(self, request: Request, issue: Ticket, note: Note) -> Json:
        root, comment_id = f"{self._url}/rest/api/{_version(request)}", str(FIRST_ID + note.number)
        author = {
            "self": f"{root}/user?accountId=local",
            "accountId": "local",
            "displayName": "Cancellation service",
            "active": True,
        }
        return {
            "self": f"{root}/issue/{issue.ticket_id}/comment/{comment_id}",
            "id": comment_id,
            "author": author,
            "body": _in_version(_version(request), note),
            "updateAuthor": author,
            "created": _time(note.time),
            "updated": _time(note.time),
            "jsdPublic": not note.is_private,
        }


def _version(request: Request) -> str:
    return request.url.path.split("/")[3]


def _in_version(version: str, note: Note) -> Any:  # noqa: ANN401  (JSON)
    """Return a comment's body in the form of *version*, in whichever form it came."""
    is_text = isinstance(note.content, str)
    if version == "3":
        return document_of(note.content) if is_text else note.content
    return note.content if is_text else note.text


async def _read_object(request: Request) -> Json:
    try:
        body = await read_body(request)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _messages(400, "Invalid request payload. Refer to the REST API documentation and try again.")
    return body


def _read_text(content: Any) -> str:  # noqa: ANN401  (JSON)
    if content is not None and not isinstance(content, str):
        raise _field(400, "comment", "Operation value must be a string")
    if content is None or not content.strip():
        raise _field(400, "comment", "Comment body can not be empty!")
    if len(content) > MAX_CHARACTERS:
        raise _too_long()
    return str(content)


def _read_document(content: Any) -> str:  # noqa: ANN401  (JSON)
    """Return what a reader sees of the document."""
    if not is_document(content):
        raise _field(400, "comment", "Comment body is not valid!")
    text = text_of_document(content)
    if not text.strip():
        raise _field(400, "comment", "Comment body can not be empty!")
    if len(json.dumps(content, ensure_ascii=False, separators=(",", ":"))) > MAX_CHARACTERS:
        raise _too_long()
    return text


def _read_properties(given: Any) -> Json:  # noqa: ANN401  (JSON)
    if not isinstance(given, list) or any(
        not isinstance(entry, dict) or entry.keys() != {"key", "value"} or not isinstance(entry["key"], str)
        for entry in given
    ):
        raise _messages(400, "properties must be a list of objects with key and value.")
    for entry in given:
        if not 1 <= len(entry["key"]) <= MAX_KEY_CHARACTERS:
            raise _messages(400, f"The property key cannot be longer than {MAX_KEY_CHARACTERS} characters.")
        if len(json.dumps(entry["value"])) > MAX_VALUE_CHARACTERS:
            raise _messages(400, f"The property value cannot be longer than {MAX_VALUE_CHARACTERS} characters.")
    return {entry["key"]: entry["value"] for entry in given}


def _properties(note: Note) -> Json:
    return {"properties": [{"key": key, "value": value} for key, value in note.properties.items()]}


def _number(request: Request, name: str, default: int) -> int:
    given = request.query_params.get(name, str(default))
    if not (given.isascii() and given.isdecimal() and len(given) <= 9):
        raise _messages(400, f"{name} must be a number.")
    return int(given)


def _time(time: datetime) -> str:
    utc = time.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}+0000"


def _messages(status: int, message: str) -> Refusal:
    return Refusal(status, {"errorMessages": [message], "errors": {}})


def _field(status: int, field: str, message: str) -> Refusal:
    return Refusal(status, {"errorMessages": [], "errors": {field: message}})


def _too_long() -> Refusal:
    message = "The entered text is too long. It exceeds the allowed limit of 32,767 characters."
    return _field(400, "comment", message)
