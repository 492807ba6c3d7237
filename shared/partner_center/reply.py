"""One answer of Partner Center as plain data, and tolerant reading of the JSON in it.

No I/O, clock or randomness. Nothing here raises: names match in any case, and a value that is missing or
of an unexpected type becomes None.

Source: Partner Center's "error-codes" page; error bodies as users reported them (read 2026-11-21).
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.errors import PartnerCenterError
from shared.rfc3339 import rfc3339

DESCRIPTION_SHOWN = 1024  # characters; Partner Center's own limit for a description

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
    """Return the error in *body*, in any of its documented and observed forms.

    `{code, description}` with the code as text or number, the gateway's `{statusCode, message}`,
    Entra's `{error, error_description}`, plain text that may end in a code, or nothing at all.
    """
    parsed = parse_body(body)
    members = lower_names(parsed)
    members |= lower_names(members.get("error"))  # Azure's own `{"error": {"code", "message"}}`
    code = next((members[name] for name in ("code", "statuscode", "error") if name in members), None)
    text = next((members[name] for name in ("description", "message", "error_description") if name in members), None)
    if isinstance(parsed, str):
        text = parsed
        code = found[1] if (found := _CODE_IN_TEXT.search(parsed)) else None
    description = to_text(text)
    return PartnerCenterError(
        code=str(code) if isinstance(code, int) and not isinstance(code, bool) else to_text(code),
        description=description and _CREDENTIAL.sub("…", description)[:DESCRIPTION_SHOWN],
    )


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
