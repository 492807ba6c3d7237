"""Reads JSON strictly, as RFC 8259 has it: no name twice in one object, no NaN and no Infinity.

Used for requests and for settings. Python's json keeps the last of two members with one name,
so `{"lineItems": [...], "lineItems": null}` would cancel a whole order.
"""

import json
from typing import Any, NoReturn


class RepeatedNameError(ValueError):
    """A JSON object has two members with one name."""


class NotANumberError(ValueError):
    """The text has NaN or Infinity, which JSON does not know."""


def loads(text: str) -> Any:  # noqa: ANN401  (JSON enters here)
    """Return what the JSON *text* says.

    Raises json.JSONDecodeError if it is no JSON, RepeatedNameError, NotANumberError, ValueError for a number of
    more than 4,300 digits (CPython's limit), RecursionError if it is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_unique_members, parse_constant=_refuse_constant)


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise RepeatedNameError("a name is repeated")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise NotANumberError(f"{name} is not JSON")
