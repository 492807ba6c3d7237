"""What a caller sends and what comes back: the strict request, the fixed answer.

No I/O. Cancelling a whole order when only a line was meant loses money, so nothing is guessed
here: unknown members, repeated names, null where it could mean two things and values of the
wrong type are all refused, every fault at once.

Source: RFC 8259 (JSON), RFC 6901 (JSON Pointer), RFC 7240 (Prefer); order ids as Partner Center
has issued them: base64url of 33 characters, 11 or 12 hex digits, GUIDs (never change their case).
"""

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, field_validator
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from shared.errors import FieldError, InvalidRequest

BODY_LIMIT_BYTES = 64 * 1024
ERRORS_SHOWN = 50
POINTER_SHOWN = 200  # characters: a name can be as long as the body
GUID = r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$"
ORDER_ID = r"^[A-Za-z0-9_-]{8,64}$"

type Guid = Annotated[str, StringConstraints(pattern=GUID, to_lower=True)]

_JSON_TYPE = re.compile(r"application/(json|[\w.-]+\+json)", re.IGNORECASE)
_CURES = (
    # What people paste: the documentation's own samples, a script's literals, a template that
    # was not filled in. Matched against the text from the fault's position on.
    (re.compile(r"[“”„‟‘’]"), "Replace curly quotes by straight ones."),
    (re.compile(r"'"), "JSON takes double quotes, not single ones."),
    (re.compile(r"[{%$<]"), "A placeholder was not filled in; check the template."),
    (re.compile(r"True|False|None|undefined"), "JSON writes true, false and null."),
)


def _refuse_null(value: object) -> object:
    if value is None:
        raise ValueError("must not be null; leave it out instead")
    return value


_NotNull = BeforeValidator(_refuse_null)


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel)


class LineItemRef(_Strict):
    """A line to cancel. *offer_id*, where given, must be the line's, compared without case."""

    line_item_number: int = Field(ge=0, le=2**31 - 1)
    offer_id: Annotated[str | None, _NotNull] = Field(None, min_length=1, max_length=200)


class CancelRequest(_Strict):
    """One cancel request, validated. *line_items* None means the whole order."""

    customer_tenant_id: Guid
    order_id: str = Field(pattern=ORDER_ID)
    line_items: Annotated[list[LineItemRef] | None, _NotNull] = Field(None, min_length=1)
    account: Annotated[str | None, _NotNull] = Field(None, min_length=1, max_length=64)
    ticket_id: str | None = Field(None, max_length=100)
    reason: str | None = Field(None, max_length=1000)
    dry_run: Annotated[bool, _NotNull] = False

    @field_validator("line_items")
    @classmethod
    def _each_line_once(cls, lines: list[LineItemRef] | None) -> list[LineItemRef] | None:
        if lines and len({line.line_item_number for line in lines}) < len(lines):
            raise ValueError("a lineItemNumber is repeated")
        return lines


class Outcome(StrEnum):
    """What happened to the order; a flow branches on it."""

    CANCELLED = "cancelled"
    PARTIALLY_CANCELLED = "partially_cancelled"
    ALREADY_CANCELLED = "already_cancelled"
    PENDING = "pending"
    DRY_RUN = "dry_run"


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class LineItem(_Answer):
    """A line as it is now; None where Partner Center said nothing. A *quantity* of None is not 0."""

    line_item_number: int | None
    offer_id: str | None
    friendly_name: str | None
    quantity: int | None
    term_duration: str | None
    subscription_id: str | None
    cancelled: bool


class CancelResult(_Answer):
    """The normalized order. Every member is always there; None where Partner Center said nothing.

    *cancelled_line_items* are all lines that are cancelled, in a dry run those that would be.
    *creation_date* is RFC 3339 in UTC. *status* and *billing_cycle* are in lower case.
    """

    outcome: Outcome
    order_id: str
    alternate_id: str | None
    customer_tenant_id: str
    status: str | None
    billing_cycle: str | None
    currency_code: str | None
    creation_date: str | None
    dry_run: bool
    cancelled_line_items: list[int]
    line_items: list[LineItem]
    account: str
    ticket_id: str | None
    request_id: str
    correlation_id: str


class RepeatedNameError(ValueError):
    """A JSON object has two members of one name."""


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return *pairs* as a dict, or raise RepeatedNameError: an `object_pairs_hook`.

    json would keep the last of two: `{"lineItems": [...], "lineItems": null}` must not slip through.
    """
    members = dict(pairs)
    if len(members) < len(pairs):
        raise RepeatedNameError("a name is repeated")
    return members


def parse_cancel_request(body: bytes, headers: Mapping[str, str]) -> CancelRequest:
    """Return the request in *body*, or raise InvalidRequest with every fault in it.

    *headers* have lower-case names. A missing Content-Type is taken as JSON: Azure's host and
    some ticketing systems send none.
    """
    _check_media_type(headers)
    check_size(body)
    parsed = _parse_json(body)
    if not isinstance(parsed, dict):
        _invalid("invalid_request", "The body must be one JSON object.", "must be an object")
    try:
        return CancelRequest.model_validate(parsed)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        raise InvalidRequest(
            "invalid_request",
            "The request has faults; errors lists them. Nothing was changed.",
            errors=[_field_error(fault) for fault in faults[:ERRORS_SHOWN]],
        ) from None


def check_size(body: bytes) -> None:
    """Raise InvalidRequest if *body* is larger than 64 KiB."""
    if len(body) > BODY_LIMIT_BYTES:
        raise InvalidRequest("body_too_large", f"The body is larger than {BODY_LIMIT_BYTES} bytes; send less.")


def preferred_wait_s(prefer: str | None) -> int | None:
    """Return the seconds of `Prefer: wait=SECONDS`, None if absent or malformed (RFC 7240)."""
    for preference in (prefer or "").split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            seconds = value.strip().strip('"')
            return int(seconds) if re.fullmatch(r"[0-9]{1,9}", seconds) else None
    return None


def _check_media_type(headers: Mapping[str, str]) -> None:
    media_type, _, parameters = headers.get("content-type", "application/json").partition(";")
    charset = re.search(r"charset\s*=\s*\"?([\w.:-]+)", parameters, re.IGNORECASE)
    if (
        not _JSON_TYPE.fullmatch(media_type.strip())
        or (charset and charset[1].lower() not in {"utf-8", "utf8", "us-ascii"})
        or headers.get("content-encoding", "identity").strip().lower() != "identity"
    ):
        raise InvalidRequest(
            "unsupported_media_type",
            "Send the body as Content-Type: application/json, in UTF-8 and not compressed.",
        )


def _parse_json(body: bytes) -> Any:  # noqa: ANN401  (JSON enters here)
    if not body:
        # Azure's host hands over chunked bodies, which carry no Content-Length, as empty ones.
        detail = "The body is empty. Send JSON with a Content-Length; a chunked body does not arrive."
        _invalid("invalid_json", detail, "must not be empty")
    if body.startswith(b"\xef\xbb\xbf"):
        _invalid("invalid_json", "The body starts with a byte order mark; send UTF-8 without one.", "byte order mark")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        _invalid("invalid_json", f"The body is not UTF-8 (byte {error.start}).", "is not UTF-8")
    try:
        return json.loads(text, object_pairs_hook=unique_members, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        _invalid("invalid_json", f"The body is not JSON: {error.msg}, {where}. {_cure(error)}".strip(), where)
    except RepeatedNameError:
        _invalid("invalid_json", "A name stands twice in one object; which is meant?", "a name is repeated")
    except RecursionError:
        _invalid("invalid_json", "The body is nested too deeply.", "is nested too deeply")
    except ValueError:  # CPython refuses integers of more than 4,300 digits
        _invalid("invalid_json", "A number in the body is too long.", "has a number that is too long")


def _cure(error: json.JSONDecodeError) -> str:
    if "trailing comma" in error.msg:
        return "Remove the comma before the closing bracket."
    if "control character" in error.msg:
        return "Escape line breaks and tabs inside texts; most ticketing systems have a JSON filter for it."
    rest = error.doc[error.pos :]
    return next((cure for pattern, cure in _CURES if pattern.match(rest)), "")


def _refuse_constant(_name: str) -> NoReturn:
    _invalid("invalid_json", "NaN and Infinity are not JSON.", "has NaN or Infinity")


def _invalid(code: str, detail: str, message: str) -> NoReturn:
    raise InvalidRequest(code, detail, errors=[FieldError("", message)])


def _field_error(fault: ErrorDetails) -> FieldError:
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in fault["loc"])
    message = {
        "extra_forbidden": "is not a known field",
        "missing": "is required",
        "string_unicode": "holds half of a surrogate pair, which is no character",
    }.get(fault["type"], fault["msg"].removeprefix("Value error, "))
    return FieldError(pointer[:POINTER_SHOWN], message)
