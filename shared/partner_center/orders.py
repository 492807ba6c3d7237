"""Partner Center's order protocol: paths, headers, bodies, and how an order reads.

No I/O, clock or randomness: every decision is a function of its arguments. Reading is tolerant
to the last: names match in any case, what is missing or odd becomes None, and no order that can
be cancelled fails because of a field that nobody needs.

Source: Partner Center's "cancel-software-purchases", "cancel-an-order-from-the-integration-sandbox",
"order-resources" and "headers" pages and their samples (read 2026-11-21).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import quote

from shared.contract import LineItem, LineItemRef
from shared.errors import CancelRefused, PartnerCenterError

CANCELLED = "cancelled"
DESCRIPTION_SHOWN = 1024  # characters; Partner Center's own limit for a description

_CODE_IN_TEXT = re.compile(r"\((\d{3,6})\)\W*$")  # "Authentication failed. MFA required. (10001)"
_CREDENTIAL = re.compile(r"eyJ[\w-]{4,}(\.[\w-]*)*|\bbearer\s+\S+", re.IGNORECASE)  # should an error page echo it


@dataclass(frozen=True)
class Reply:
    """Partner Center's answer as plain data. *retry_after_s* None: it did not say."""

    status: int
    body: bytes
    retry_after_s: float | None = None

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Order:
    """An order as far as it could be understood. *creation_date* is RFC 3339 in UTC."""

    order_id: str | None = None
    alternate_id: str | None = None
    status: str | None = None
    billing_cycle: str | None = None
    currency_code: str | None = None
    creation_date: str | None = None
    line_items: list[LineItem] = field(default_factory=list)

    @property
    def is_cancelled(self) -> bool:
        """True if no line lives on; with no lines the status alone decides."""
        return self.status == CANCELLED or (bool(self.line_items) and all(line.cancelled for line in self.line_items))


def order_url(api_root: str, customer_tenant_id: str, order_id: str) -> str:
    return f"{api_root}/v1/customers/{quote(customer_tenant_id, safe='')}/orders/{quote(order_id, safe='')}"


def request_headers(bearer: str, request_id: str, correlation_id: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {bearer}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",  # an order has 2 to 5 kB: unpacking it costs more than it saves
        "Content-Type": "application/json",
        "User-Agent": "cancel-order",
        "MS-Contract-Version": "v1",
        "MS-RequestId": request_id,
        "MS-CorrelationId": correlation_id,
    }


def cancel_body(order_id: str, lines: Sequence[LineItem] | None) -> bytes:
    """Return the PATCH body that cancels *lines*, or the whole order if None.

    The minimal body of the REST documentation; the SDKs' whole order would write back what was
    read and lose what they do not know.
    """
    body: dict[str, Any] = {"id": order_id, "status": CANCELLED}
    if lines is not None:
        body["lineItems"] = [
            {"lineItemNumber": line.line_item_number} | ({"offerId": line.offer_id} if line.offer_id else {})
            for line in lines
        ]
    return json.dumps(body).encode()


def read_order(body: bytes, order_id: str) -> Order | None:
    """Return the order in *body*, None if there is none or it is another than *order_id*.

    An order may answer to its `alternateId` too, and a GUID in upper case is answered in lower.
    """
    members = _members(parse_body(body))
    if not members.keys() & {"id", "status", "lineitems"}:
        return None
    ids = [found for name in ("id", "alternateid") if (found := _text(members.get(name)))]
    if ids and not any(_same_id(found, order_id) for found in ids):
        return None
    status = _lower(members.get("status"))
    lines = members.get("lineitems")
    return Order(
        order_id=_text(members.get("id")),
        alternate_id=_text(members.get("alternateid")),
        status=status,
        billing_cycle=_lower(members.get("billingcycle")),
        currency_code=_text(members.get("currencycode")),
        creation_date=_date(members.get("creationdate")),
        line_items=[_line_item(line, status) for line in lines or () if isinstance(line, dict)]
        if isinstance(lines, list)
        else [],
    )


def lines_to_cancel(order: Order, asked: Sequence[LineItemRef]) -> list[LineItem]:
    """Return those of the *asked* lines that are still to be cancelled.

    Raises CancelRefused for a line that is not in the order, or whose offer differs: what Partner
    Center does when number and offer disagree nobody could confirm, and the wrong line is money lost.
    """
    if order.status == CANCELLED and not order.line_items:
        return []
    found = []
    for ref in asked:
        lines = [line for line in order.line_items if line.line_item_number == ref.line_item_number]
        if len(lines) != 1:
            _refuse_line(ref, "is not in the order")
        offer_id = lines[0].offer_id
        if ref.offer_id is not None and (offer_id is None or offer_id.casefold() != ref.offer_id.casefold()):
            _refuse_line(ref, "has another offerId in the order")
        found.append(lines[0])
    return [line for line in found if not line.cancelled]


def shows_cancellation(order: Order, asked: Sequence[LineItemRef] | None) -> bool:
    """True if everything *asked* for is cancelled in *order*; None means the whole order."""
    if asked is None or order.is_cancelled:
        return order.is_cancelled
    cancelled = {line.line_item_number for line in order.line_items if line.cancelled}
    living = {line.line_item_number for line in order.line_items if not line.cancelled}
    numbers = {ref.line_item_number for ref in asked}
    return numbers <= cancelled and not numbers & living


def read_error(body: bytes) -> PartnerCenterError:
    """Return what an error body says, in any of its documented and observed forms.

    `{code, description}` with the code as text or number, the gateway's `{statusCode, message}`,
    Entra's `{error, error_description}`, plain text that may end in a code, nothing at all.
    """
    parsed = parse_body(body)
    members = _members(parsed)
    members |= _members(members.get("error"))  # Azure's own `{"error": {"code", "message"}}`
    code = next((members[name] for name in ("code", "statuscode", "error") if name in members), None)
    said = next((members[name] for name in ("description", "message", "error_description") if name in members), None)
    if isinstance(parsed, str):
        said = parsed
        code = found[1] if (found := _CODE_IN_TEXT.search(parsed)) else None
    description = _text(said)
    return PartnerCenterError(
        code=str(code) if isinstance(code, int) and not isinstance(code, bool) else _text(code),
        description=description and _CREDENTIAL.sub("…", description)[:DESCRIPTION_SHOWN],
    )


def parse_body(body: bytes) -> Any:  # noqa: ANN401  (JSON enters here)
    """Return JSON as JSON, other text as text without markup, None for nothing readable.

    Bodies may start with a UTF-8 byte order mark, on which json.loads would fail.
    """
    text = body.decode("utf-8-sig", "replace").strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None if not text or text[0] in "<{[" else text


def _refuse_line(ref: LineItemRef, fault: str) -> NoReturn:
    raise CancelRefused(
        "line_item_mismatch",
        f"Line {ref.line_item_number} {fault}; nothing was changed. Read the order (dryRun without lineItems"
        " lists its lines) and send the right lineItemNumber and offerId.",
    )


def _line_item(line: Mapping[str, Any], status: str | None) -> LineItem:
    members = _members(line)
    quantity = _integer(members.get("quantity"))
    return LineItem(
        line_item_number=_integer(members.get("lineitemnumber")),
        offer_id=_text(members.get("offerid")),
        friendly_name=_text(members.get("friendlyname")),
        quantity=quantity,
        term_duration=_text(members.get("termduration")),
        subscription_id=_text(members.get("subscriptionid")),
        # Either shows it: one sample keeps the quantity, the other the order's status.
        cancelled=status == CANCELLED or quantity == 0,
    )


def _members(value: object) -> dict[str, Any]:
    return {name.lower(): member for name, member in value.items()} if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    # Half surrogate pairs, which JSON can carry and UTF-8 cannot, become "?".
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _lower(value: object) -> str | None:
    text = _text(value)
    return text.lower() if text else None


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if abs(value) < 2**63 and value == int(value) else None


def _date(value: object) -> str | None:
    try:
        date = datetime.fromisoformat(value if isinstance(value, str) else "")  # cuts to microseconds
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return None


def _same_id(found: str, order_id: str) -> bool:
    # Only GUIDs are compared without case; in the base64url family it tells orders apart.
    is_guid = len(found) == 36 and found.count("-") == 4
    return found == order_id or (is_guid and found.lower() == order_id.lower())
