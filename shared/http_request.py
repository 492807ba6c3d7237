"""Strict reading of a request: its size, media type, JSON, members, and the header Prefer.

No I/O. Cancelling a whole order when only a line was meant loses money, so nothing is guessed here: a
body with a mistake is refused, and one answer lists all mistakes.

Source: RFC 8259 (JSON), RFC 6901 (JSON Pointer), RFC 7240 (Prefer).
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared import strict_json
from shared.errors import FieldError, InvalidRequest

BODY_LIMIT_BYTES = 64 * 1024
ERRORS_SHOWN = 50
POINTER_SHOWN = 200  # characters: a name can be as long as the body

HOST_PARAMETERS = frozenset({"code", "clientId"})  # of a query: the function key and its name are for the host

_JSON_TYPE = re.compile(r"application/(json|[\w.-]+\+json)", re.IGNORECASE)
_ADVICE = (
    # Mistakes that people paste: Microsoft's own samples, a script's literals, a template that was
    # not filled in. Each pattern is matched from the position of the mistake.
    (re.compile(r"[“”„‟‘’]"), "Replace curly quotes by straight quotes."),
    (re.compile(r"'"), "JSON has double quotes, not single quotes."),
    (re.compile(r"[{%$<]"), "A placeholder was not filled in; check the template."),
    (re.compile(r"True|False|None|undefined"), "JSON writes true, false and null."),
)


def check_size(body: bytes) -> None:
    """Raise InvalidRequest if *body* is larger than 64 KiB."""
    if len(body) > BODY_LIMIT_BYTES:
        raise InvalidRequest(
            "body_too_large", f"The body is larger than {BODY_LIMIT_BYTES} bytes; nothing was changed. Send less."
        )


def parse_request[Model: BaseModel](model: type[Model], body: bytes, headers: Mapping[str, str]) -> Model:
    """Return the request in *body*, or raise InvalidRequest with every mistake in it.

    *headers* have lower-case names. The body's size is checked before, by `check_size`.
    """
    _check_media_type(headers)
    parsed = _parse_json(body)
    if not isinstance(parsed, dict):
        _invalid("invalid_request", "The body must be one JSON object.", "must be an object")
    return _validated(model, parsed)


def _validated[Model: BaseModel](model: type[Model], members: Mapping[str, Any]) -> Model:
    try:
        return model.model_validate(members)
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_input=False, include_context=False)
        raise InvalidRequest(
            "invalid_request",
            "The request has mistakes; nothing was changed. errors lists each mistake.",
            errors=[_field_error(model, mistake) for mistake in mistakes[:ERRORS_SHOWN]],
        ) from None


def parse_query[Model: BaseModel](model: type[Model], query: Mapping[str, str]) -> Model:
    """Return the request in a *query*, or raise InvalidRequest with every mistake in it.

    Booleans are true or false, in any case: .NET, on which flows run, writes True.
    """
    booleans = {field.alias for field in model.model_fields.values() if field.annotation is bool}
    values: dict[str, object] = {"true": True, "false": False}
    given = {
        name: values.get(value.lower(), value) if name in booleans else value
        for name, value in query.items()
        if name not in HOST_PARAMETERS
    }
    return _validated(model, given)


def preferred_wait_s(prefer: str | None) -> int | None:
    """Return the seconds of `Prefer: wait=SECONDS`, None if absent or malformed (RFC 7240)."""
    for preference in (prefer or "").split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            seconds = value.strip().strip('"')
            return int(seconds) if re.fullmatch(r"[0-9]{1,9}", seconds) else None
    return None


def _check_media_type(headers: Mapping[str, str]) -> None:
    # Azure's host and some ticketing systems send no Content-Type: then the body is taken as JSON. Azure's host
    # joins a header that arrives twice, as it does where a flow or a proxy adds one of its own: each must be JSON.
    types = _listed(headers.get("content-type", "application/json"))
    encodings = _listed(headers.get("content-encoding", "identity"))
    if not types or not all(map(_is_json, types)) or {encoding.lower() for encoding in encodings} != {"identity"}:
        raise InvalidRequest(
            "unsupported_media_type",
            "Nothing was changed. Send the body as Content-Type: application/json, in UTF-8 and not compressed.",
        )


def _is_json(content_type: str) -> bool:
    media_type, _, parameters = content_type.partition(";")
    charset = re.search(r"charset\s*=\s*\"?([\w.:-]+)", parameters, re.IGNORECASE)
    is_utf_8 = charset is None or charset[1].lower() in {"utf-8", "utf8", "us-ascii"}
    return is_utf_8 and _JSON_TYPE.fullmatch(media_type.strip()) is not None


def _listed(value: str) -> list[str]:
    """Return the elements of a header's comma-separated *value*, without empty ones (RFC 9110)."""
    return [part.strip() for part in value.split(",") if part.strip()]


def _parse_json(body: bytes) -> Any:  # noqa: ANN401  (JSON enters here)
    if not body:
        # Azure's host passes on an empty body in place of a chunked one, which has no Content-Length.
        detail = "The body is empty. Send JSON with a Content-Length; a chunked body does not arrive."
        _invalid("invalid_json", detail, "must not be empty")
    if body.startswith(b"\xef\xbb\xbf"):
        _invalid("invalid_json", "The body starts with a byte order mark; send UTF-8 without one.", "byte order mark")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        _invalid("invalid_json", f"The body is not UTF-8 (byte {error.start}).", "is not UTF-8")
    try:
        return strict_json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        _invalid("invalid_json", f"The body is not JSON: {error.msg}, {where}. {_advice(error)}".strip(), where)
    except strict_json.RepeatedNameError:
        _invalid("invalid_json", "One object has a name twice; send each name once.", "a name is repeated")
    except strict_json.NotANumberError:
        _invalid("invalid_json", "NaN and Infinity are not JSON.", "has NaN or Infinity")
    except RecursionError:
        _invalid("invalid_json", "The body is nested too deeply.", "is nested too deeply")
    except ValueError:
        _invalid("invalid_json", "A number in the body is too long.", "has a number that is too long")


def _advice(error: json.JSONDecodeError) -> str:
    if "trailing comma" in error.msg:
        return "Remove the comma before the closing bracket."
    if "control character" in error.msg:
        return "Escape line breaks and tabs inside texts; most ticketing systems have a JSON filter for it."
    rest = error.doc[error.pos :]
    return next((advice for pattern, advice in _ADVICE if pattern.match(rest)), "")


def _invalid(code: str, detail: str, message: str) -> NoReturn:
    raise InvalidRequest(code, f"{detail} Nothing was changed.", errors=[FieldError("", message)])


def _field_error(model: type[BaseModel], mistake: ErrorDetails) -> FieldError:
    # pydantic names a member that is left out by its Python name, if a validator finds that it is needed.
    first, *rest = mistake["loc"] or ("",)
    field = None if mistake["type"] == "extra_forbidden" else model.model_fields.get(str(first))
    names = [field.alias if field and field.alias else first, *rest] if mistake["loc"] else []
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in names)
    message = {
        "extra_forbidden": "is not a known field",
        "missing": "is required",
        "string_unicode": "holds half of a surrogate pair, which is no character",
    }.get(mistake["type"], mistake["msg"].removeprefix("Value error, "))
    return FieldError(pointer[:POINTER_SHOWN], message)
