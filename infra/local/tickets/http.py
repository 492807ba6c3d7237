"""The reading of requests, and answers that refuse them, for the stand-ins for ticketing systems."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from infra.local.partner_center.members import read_json
from infra.local.values import Json


class Refusal(Exception):
    """An answer that ends the handling of a request. *body* is sent as JSON; None means an empty body."""

    def __init__(self, status: int, body: Json | None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers


async def answer_refusal(_: Request, refusal: Exception) -> Response:
    """The exception handler of the apps."""
    assert isinstance(refusal, Refusal)  # noqa: S101  (registered for nothing else)
    if refusal.body is None:
        return Response(status_code=refusal.status, headers=refusal.headers)
    return JSONResponse(refusal.body, refusal.status, headers=refusal.headers)


def is_same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())


def basic_credentials(request: Request) -> tuple[str, str] | None:
    """Return user and password of HTTP Basic, or None if the request has none that can be read."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if scheme.lower() == "basic" and colon else None


async def read_body(request: Request) -> Any:  # noqa: ANN401  (JSON)
    """Return the JSON in the body. Raises ValueError if there is none, or if the content type is another one."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ValueError("the content type is not application/json")
    return read_json(await request.body())


def positive_number(request: Request, name: str, default: int) -> int | None:
    """Return the whole number in the query, *default* if it is absent, or None if it is not a number above 0."""
    given = request.query_params.get(name, str(default))
    return int(given) if given.isascii() and given.isdecimal() and len(given) <= 9 and int(given) else None


def whole_seconds(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
