"""JSON at Partner Center: members, whose names match in upper and lower case, the dates in them, and its limits."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from infra.local.values import Json

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
MAX_DEPTH = 100  # of objects and lists in each other; with a few hundred a copy reaches Python's recursion limit


def read_json(content: bytes) -> Any:  # noqa: ANN401  (JSON)
    """Return the JSON in *content*. Raises ValueError as `check_json`, too."""
    try:
        value = json.loads(content)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    check_json(value)
    return value


def check_json(value: object) -> None:
    """Raise ValueError if *value* cannot be sent again: NaN, half of a surrogate pair, or nested too deeply."""
    _check_depth(value, MAX_DEPTH)
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a text has half of a surrogate pair") from None


def _check_depth(value: object, levels: int) -> None:
    if isinstance(value, dict | list):
        if not levels:
            raise ValueError("JSON is nested too deeply")
        for inner in value.values() if isinstance(value, dict) else value:
            _check_depth(inner, levels - 1)


def member(json_object: Json, name: str) -> Any:  # noqa: ANN401  (JSON)
    """Return the member called *name* in upper or lower case, or None if there is none."""
    return next((value for key, value in json_object.items() if key.lower() == name.lower()), None)


def status_of(resource: Json) -> str:
    """Return the status of an order or a subscription in lower case; "none", which no rule names, if it has none."""
    return str(member(resource, "status")).lower()


def inner_member(json_object: Json, *names: str) -> Any:  # noqa: ANN401  (JSON)
    """Return the member of the member … called *names*, or None if there is no such object or member."""
    inner: Any = json_object
    for name in names:
        inner = member(inner, name) if isinstance(inner, dict) else None
    return inner


def set_member(json_object: Json, name: str, value: object) -> None:
    """Set the member called *name* in upper or lower case. A new member follows the case of the first one."""
    new_name = name[:1].upper() + name[1:] if is_pascal_case(json_object) else name
    json_object[next((key for key in json_object if key.lower() == name.lower()), new_name)] = value


def replace_members(json_object: Json, **values: object) -> None:
    """Set those members of *values* that *json_object* has already."""
    for name, value in values.items():
        if member(json_object, name) is not None:
            set_member(json_object, name, value)


def remove_members(json_object: Json, *names: str) -> None:
    """Remove the members called *names* in upper or lower case, if there are any."""
    removed = {name.lower() for name in names}
    for key in [key for key in json_object if key.lower() in removed]:
        del json_object[key]


def is_pascal_case(json_object: Json) -> bool:
    return next(iter(json_object), "")[:1].isupper()


def in_case_of(json_object: Json, value: Any) -> Any:  # noqa: ANN401  (JSON)
    """Return *value* with the names in it in camelCase or PascalCase, as in *json_object*."""
    return pascal_case(value) if is_pascal_case(json_object) else camel_case(value)


def pascal_case(value: Any) -> Any:  # noqa: ANN401  (JSON)
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: pascal_case(inner) for name, inner in value.items()}
    return [pascal_case(inner) for inner in value] if isinstance(value, list) else value


def camel_case(value: Any) -> Any:  # noqa: ANN401  (JSON)
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: camel_case(inner) for name, inner in value.items()}
    return [camel_case(inner) for inner in value] if isinstance(value, list) else value


def id_key(any_id: str) -> str:
    """Return the form in which *any_id* is compared: GUIDs in lower case, other ids unchanged."""
    return any_id.lower() if GUID.fullmatch(any_id) else any_id


def read_date(value: object) -> datetime | None:
    """Return the date in *value*, or None if it is none. Without an offset it is UTC.

    The older samples have blanks inside dates: `2015-11-25T06: 41: 12Z`.
    """
    try:
        date = datetime.fromisoformat(str(value).replace(" ", ""))
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def date_member(json_object: Mapping[str, Any], name: str) -> datetime | None:
    return read_date(member(dict(json_object), name))
