"""One answer of Partner Center as plain data, and tolerant reading of the JSON in it.

No I/O, clock or randomness. Nothing here raises: names match in any case, and a value that is missing or
of an unexpected type becomes None.

Source: Partner Center's "error-codes" page; error bodies as users reported them (read 2026-11-21).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.errors import PartnerCenterError
from shared.rfc3339 import rfc3339

DESCRIPTION_SHOWN = 1024  # characters; Partner Center's own limit for a description
CODE_SHOWN = 40  # characters; its codes have 6 digits at most, a gateway's are short words
DEPTH_READ, ITEMS_READ = 5, 50  # of an error body

# In order of preference: a gateway's statusCode may stand beside Partner Center's own code.
_CODE_NAMES = ("code", "errorcode", "error_code", "statuscode", "error")
_TEXT_NAMES = (
    *("description", "errormessage", "errordescription", "error_description", "message", "error_message"),
    *("detail", "value", "title"),
)

_CODE_IN_TEXT = re.compile(r"\((\d{3,6})\)\W*$")  # "Authentication failed. MFA required. (10001)"
_CREDENTIAL = re.compile(r"eyJ[\w-]{4,}(\.[\w-]*)*|\bbearer\s+\S+", re.IGNORECASE)  # an error page may echo a token


@dataclass(frozen=True)
class Reply:
    """Partner Center's answer. *retry_after_s* is None if the answer did not have one."""

    status: int
    body: bytes
    retry_after_s: float | None = None

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


def read_error(body: bytes) -> PartnerCenterError:
    """Return the error in *body*, wherever its code and its text stand.

    The documented forms are `{code, description}`, with the code as text or number, and the gateway's
    `{statusCode, message}`. Others were seen: `{errorCode, errorMessage}`, Entra's `{error, error_description}`,
    `{"error": {code, message}}`, OData's `{"odata.error": {code, "message": {value}}}`, lists of errors, plain text
    that may end in a code, nothing at all. What is found is cut, and cleaned of tokens.
    """
    parsed = parse_body(body)
    if isinstance(parsed, str):
        code = found[1] if (found := _CODE_IN_TEXT.search(parsed)) else None
        return PartnerCenterError(code, _clean(parsed, DESCRIPTION_SHOWN))
    objects = list(_objects(parsed))
    codes = (members[name] for name in _CODE_NAMES for members in objects if name in members)
    texts = (members[name] for name in _TEXT_NAMES for members in objects if name in members)
    return PartnerCenterError(
        code=_clean(next((code for value in codes if (code := _code(value))), None), CODE_SHOWN),
        description=_clean(next((text for value in texts if (text := to_text(value))), None), DESCRIPTION_SHOWN),
    )


def _objects(parsed: object) -> Iterator[dict[str, Any]]:
    """Yield the objects in *parsed*, the outer ones first, with their names in lower case."""
    level: list[object] = [parsed]
    for _ in range(DEPTH_READ):
        objects = [lower_names(value) for value in level if isinstance(value, dict)]
        yield from objects
        lists = [item for value in level if isinstance(value, list) for item in value[:ITEMS_READ]]
        level = [*lists, *(member for members in objects for member in list(members.values())[:ITEMS_READ])]


def _code(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        # CPython refuses to write integers of more than 4,300 digits as text.
        return str(value) if abs(value) < 10**CODE_SHOWN else "…"
    return to_text(value)


def _clean(text: str | None, limit: int) -> str | None:
    """Return *text* without tokens, cut to *limit* characters. All that Partner Center sends us as text comes here."""
    if text is None:
        return None
    cleaned = _CREDENTIAL.sub("…", text)
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1] + "…"


def parse_body(body: bytes) -> Any:  # noqa: ANN401  (JSON enters here)
    """Return JSON as JSON, other text as text without markup, None if nothing is readable.

    Bodies may start with a UTF-8 byte order mark, on which json.loads would fail.
    """
    text = body.decode("utf-8-sig", "replace").strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None if not text or text[0] in "<{[" else text


def lower_names(value: object) -> dict[str, Any]:
    """Return an object's members with their names in lower case; no members if *value* is no object."""
    return {name.lower(): member for name, member in value.items()} if isinstance(value, dict) else {}


def to_text(value: object) -> str | None:
    # Half surrogate pairs, which JSON can carry and UTF-8 cannot, become "?".
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def to_lower(value: object) -> str | None:
    text = to_text(value)
    return text.lower() if text else None


def to_integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if abs(value) < 2**63 and value == int(value) else None


def to_date(value: object) -> str | None:
    """Return a date as RFC 3339 in UTC, cut to microseconds. A date without an offset is taken as UTC."""
    try:
        date = datetime.fromisoformat(value if isinstance(value, str) else "")
        return rfc3339(date if date.tzinfo else date.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None
