"""One answer of Partner Center as plain data, and tolerant reading of the JSON in it.

No I/O, clock or randomness. Nothing here raises: names match in any case, and a value that is missing or
of an unexpected type becomes None.

Source: Partner Center's "error-codes" page; error bodies as users reported them (read 2026-11-21).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from shared.errors import PartnerCenterError
from shared.outside_text import MARK, clean_text
from shared.rfc3339 import rfc3339

TEXT_SHOWN = 1024  # characters; Partner Center's own limit for a description
CODE_SHOWN = 40  # characters; its codes have 6 digits at most, a gateway's are short words
DEPTH_READ, OBJECTS_READ = 6, 200  # of an error body

# Names in lower case, letters alone: `error_code`, `errorCode` and `Error-Code` are one name. In order of preference.
_CODE_NAMES = ("code", "errorcode", "faultcode")
_TEXT_NAMES = (
    *("description", "errordescription", "errormessage", "message", "exceptionmessage", "faultstring"),
    *("detail", "details", "reason", "value", "title", "text"),
)

_CODE_IN_TEXT = re.compile(r"\((\d{3,6})\)\W*$")  # "Authentication failed. MFA required. (10001)"
# A token without dots, or a part of one that was broken into lines. No id in an error text is so long.
_LONG_RUN = re.compile(r"[A-Za-z0-9_+=-]{40,}")


@dataclass(frozen=True)
class Reply:
    """Partner Center's answer.

    *retry_after_s* is None if the answer did not have one. *asked_at* is when the request was sent, in seconds on the
    monotonic clock.
    """

    status: int
    body: bytes
    retry_after_s: float | None = None
    asked_at: float = 0.0

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @cached_property
    def own_code(self) -> str | None:
        """The code of the outer error. An inner one (`details`, `innererror`) may be about something else."""
        members = lower_names(parse_body(self.body))
        return _code((members | lower_names(members.get("error"))).get("code"))

    @cached_property
    def error(self) -> PartnerCenterError:
        """The error in the body; for an answer without success."""
        return read_error(self.body)


def read_error(body: bytes) -> PartnerCenterError:
    """Return the error in *body*, wherever its code and its text stand.

    The documented forms are `{code, description}`, with the code as text or number, and the gateway's
    `{statusCode, message}`. Others were seen: `{errorCode, errorMessage}`, Entra's `{error, error_description}`,
    `{"error": {code, message}}`, OData's `{"odata.error": {code, "message": {value}}}`, lists of errors, an error as
    JSON within a text, plain text that may end in a code, nothing at all.

    A code in digits, as Partner Center has them, is preferred to a gateway's words, an outer code to an inner one,
    and the text beside the code to other texts.
    """
    objects = list(_objects(parse_body(body)))
    named = [(code, members) for members in objects for name in _CODE_NAMES if (code := _code(members.get(name)))]
    named += [(code, members) for members in objects if (code := _code(members.get("error"))) and " " not in code]
    named.sort(key=lambda found: not found[0].isdecimal())
    code, beside = named[0] if named else (None, {})
    text = next((text for members in (beside, *objects) if (text := _text(members))), None)
    if code is None and (found := _CODE_IN_TEXT.search(text or "")):
        code = found[1]
    if code is None:
        code = next((status for members in objects if (status := _code(members.get("statuscode")))), None)
    return PartnerCenterError(
        code and clean_text(_LONG_RUN.sub(MARK, code), CODE_SHOWN), text and _LONG_RUN.sub(MARK, text)
    )


def _objects(parsed: object) -> Iterator[dict[str, Any]]:
    """Yield the objects in *parsed*, the outer ones first. A text that stands alone is yielded as `{"text": …}`."""
    level = [parsed]
    count = 0
    for _ in range(DEPTH_READ):
        next_level: list[object] = []
        for value in level:
            if count == OBJECTS_READ:
                return
            if isinstance(value, str):
                parsed_text = _json_in(value)
                if isinstance(parsed_text, str):
                    yield {"text": value}
                    count += 1
                else:
                    next_level.append(parsed_text)
            elif isinstance(value, dict):
                yield {re.sub("[^a-z]", "", name.lower()): member for name, member in value.items()}
                count += 1
                members = (_json_in(member) if isinstance(member, str) else member for member in value.values())
                next_level += (member for member in members if not isinstance(member, str))
            elif isinstance(value, list):
                next_level += value[:OBJECTS_READ]
        level = next_level


def _json_in(text: str) -> object:
    """Return the object or list that *text* is as JSON; *text* itself if it is neither."""
    if text.lstrip()[:1] not in {"{", "["}:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _code(value: object) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    # CPython refuses to write integers of more than 4,300 digits as text.
    return str(value) if abs(value) < 10**CODE_SHOWN else MARK


def _text(members: Mapping[str, Any]) -> str | None:
    texts = (to_text(members.get(name)) for name in _TEXT_NAMES)
    error = to_text(members.get("error"))  # a code, or a sentence
    return next(filter(None, texts), None) or (error if error and " " in error.strip() else None)


def parse_body(body: bytes) -> Any:  # noqa: ANN401  (JSON enters here)
    """Return JSON as JSON, other text as text without markup, None if nothing is readable.

    Bodies may start with a byte order mark, on which json.loads would fail. A gateway may write UTF-16.
    """
    text = body.decode(json.detect_encoding(body), "replace").strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None if not text or text[0] in "<{[" else text


def lower_names(value: object) -> dict[str, Any]:
    """Return an object's members with their names in lower case; no members if *value* is no object."""
    return {name.lower(): member for name, member in value.items()} if isinstance(value, dict) else {}


def to_text(value: object) -> str | None:
    """Return a text, cleaned and cut: all that Partner Center sends us as text comes here. None for another type."""
    return clean_text(value, TEXT_SHOWN) if isinstance(value, str) else None


def to_lower(value: object) -> str | None:
    text = to_text(value)
    return text.lower() if text else None


def to_integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if abs(value) < 2**63 and value == int(value) else None


def to_date(value: object) -> str | None:
    """Return a date as RFC 3339 in UTC, cut to microseconds. A date without an offset is taken as UTC."""
    date = to_datetime(value)
    return rfc3339(date) if date else None


def to_datetime(value: object) -> datetime | None:
    """Return a date in UTC, cut to microseconds. A date without an offset is taken as UTC.

    Some of Partner Center's dates have blanks in them: `2015-11-25T06: 41: 12Z`.
    """
    try:
        date = datetime.fromisoformat(value.replace(": ", ":") if isinstance(value, str) else "")
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def to_boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
