"""Values that several stand-ins pass around: JSON objects, whole HTTP answers, the reason for a 400."""

from collections.abc import Mapping
from typing import Any, NamedTuple

type Json = dict[str, Any]


def reason(field: str, message: str) -> Json:
    """Return the body of the control interface's 400: why *field* of a request cannot be taken."""
    return {"error": [{"field": [field], "message": message}]}


class HttpAnswer(NamedTuple):
    """A whole HTTP answer. The stand-ins' answers are small enough to hold in memory."""

    status: int
    headers: Mapping[str, str]
    body: bytes
