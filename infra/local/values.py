"""Values that several stand-ins pass around: JSON objects and whole HTTP answers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

type Json = dict[str, Any]


class HttpAnswer(NamedTuple):
    """A whole HTTP answer. The stand-ins' answers are small enough to hold in memory."""

    status: int
    headers: Mapping[str, str]
    body: bytes
