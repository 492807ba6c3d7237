"""Partner Center's orders: URL, headers, the PATCH body that cancels, and how an order is read.

No I/O, clock or randomness. Reading is tolerant: a member that is missing or odd becomes None, so that no
cancellation fails because of a member that nobody needs.

Source: Partner Center's "cancel-software-purchases", "cancel-an-order-from-the-integration-sandbox",
"order-resources" and "headers" pages and their samples (read 2026-11-21).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import quote

from shared.contract import LineItem, LineItemRef
from shared.errors import CancelRefused
from shared.ids import GUID
from shared.replies.reply import lower_names, parse_body, to_date, to_integer, to_lower, to_text

CANCELLED = "cancelled"


class OrderLine(LineItem):
    """A line of an order. The further members are for decisions; the answer to the caller does not have them.

    Attributes:
        transaction_type: in lower case: `new`, or why the line exists otherwise.
        has_commitment: it is that of a savings plan.
        is_in_doubt: several subscriptions could be its own.
    """

    transaction_type: str | None = None
    has_commitment: bool = False
    is_in_doubt: bool = False


@dataclass(frozen=True)
class Order:
    """An order as far as it could be read. *creation_date* is RFC 3339 in UTC."""

    order_id: str | None = None
    alternate_id: str | None = None
    status: str | None = None
    billing_cycle: str | None = None
    currency_code: str | None = None
    creation_date: str | None = None
    line_items: list[OrderLine] = field(default_factory=list)

    @property
    def is_cancelled(self) -> bool:
        """True if every line is cancelled. For an order without lines its status decides."""
        return self.status == CANCELLED or (bool(self.line_items) and all(line.cancelled for line in self.line_items))


def order_url(api_root: str, customer_tenant_id: str, order_id: str) -> str:
    return f"{orders_url(api_root, customer_tenant_id)}/{quote(order_id, safe='')}"


def orders_url(api_root: str, customer_tenant_id: str) -> str:
    return f"{api_root}/v1/customers/{quote(customer_tenant_id, safe='')}/orders"


def request_headers(bearer: str, request_id: str, correlation_id: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {bearer}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",  # an order has 2 to 5 kB: decompression costs more than it saves
        "Content-Type": "application/json",
        "User-Agent": "cancel-order",
        "MS-Contract-Version": "v1",
        "MS-RequestId": request_id,
        "MS-CorrelationId": correlation_id,
    }


def cancel_body(order_id: str, lines: Sequence[OrderLine] | None) -> bytes:
    """Return the PATCH body that cancels *lines*, or the whole order if None.

    This is the minimal body of the REST documentation. Microsoft's SDKs send the whole order back as they
    read it, and lose the members that they do not know.
    """
    body: dict[str, Any] = {"id": order_id, "status": CANCELLED}
    if lines is not None:
        body["lineItems"] = [
            {"lineItemNumber": line.line_item_number} | ({"offerId": line.offer_id} if line.offer_id else {})
            for line in lines
        ]
    return json.dumps(body).encode()


def read_order(body: bytes, order_id: str) -> Order | None:
    """Return the order in *body*, None if there is none or if it is not the order *order_id*.

    *order_id* may be the order's `id` or its `alternateId`. Partner Center answers with a GUID in lower case,
    in whatever case it was asked for.
    """
    members = lower_names(parse_body(body))
    ids = [found for name in ("id", "alternateid") if (found := to_text(members.get(name)))]
    return None if ids and not any(_is_same_id(found, order_id) for found in ids) else order_in(members)


def order_in(content: object) -> Order | None:
    """Return the order in *content*; None if it is none."""
    members = lower_names(content)
    if not members.keys() & {"id", "status", "lineitems"}:
        return None
    status = _status(members.get("status"))
    lines = members.get("lineitems")
    return Order(
        order_id=to_text(members.get("id")),
        alternate_id=to_text(members.get("alternateid")),
        status=status,
        billing_cycle=to_lower(members.get("billingcycle")),
        currency_code=to_text(members.get("currencycode")),
        creation_date=to_date(members.get("creationdate")),
        line_items=[_line_item(line, status) for line in lines] if isinstance(lines, list) else [],
    )


def lines_to_cancel(order: Order, requested_lines: Sequence[LineItemRef]) -> list[OrderLine]:
    """Return those of the *requested_lines* that are not cancelled yet.

    Raises CancelRefused for a line that is not in the order, or that has another offer. Nobody could confirm
    what Partner Center does when number and offer disagree, and cancelling the wrong line loses money.
    """
    if order.status == CANCELLED and not order.line_items:
        return []
    found = []
    for requested in requested_lines:
        lines = [line for line in order.line_items if line.line_item_number == requested.line_item_number]
        if len(lines) != 1:
            _refuse_line(requested, "is not in the order")
        offer_id = lines[0].offer_id
        if requested.offer_id is not None and (
            offer_id is None or offer_id.casefold() != requested.offer_id.casefold()
        ):
            _refuse_line(requested, "has another offerId in the order")
        found.append(lines[0])
    return [line for line in found if not line.cancelled]


def _refuse_line(requested: LineItemRef, mistake: str) -> NoReturn:
    raise CancelRefused(
        "line_item_mismatch",
        f"Line {requested.line_item_number} {mistake}; nothing was changed. Send the request without lineItems and"
        " with dryRun: true to see the order's lines, then send the right lineItemNumber and offerId.",
    )


def _line_item(line: object, status: str | None) -> OrderLine:
    """Return a line. One that cannot be read is kept without members: an order with it is not wholly cancelled."""
    members = lower_names(line)
    quantity = to_integer(members.get("quantity"))
    return OrderLine(
        line_item_number=to_integer(members.get("lineitemnumber")),
        offer_id=to_text(members.get("offerid")),
        friendly_name=to_text(members.get("friendlyname")),
        quantity=quantity,
        term_duration=to_text(members.get("termduration")),
        subscription_id=to_text(members.get("subscriptionid")) or _linked_subscription(members),
        # Partner Center's samples show a cancellation in two ways: one keeps the quantity and sets the
        # order's status, the other keeps the status and sets the line's quantity to 0.
        cancelled=status == CANCELLED or quantity == 0,
        transaction_type=to_lower(members.get("transactiontype")),
        has_commitment=members.get("purchasecommitment") is not None,
    )


def _linked_subscription(line: Mapping[str, Any]) -> str | None:
    """Return the id at the end of `links.subscription.uri`, if *line*, with names in lower case, has that link."""
    link = lower_names(lower_names(line.get("links")).get("subscription"))
    subscription_id = (to_text(link.get("uri")) or "").rpartition("/")[2]
    return subscription_id if re.fullmatch(GUID, subscription_id) else None


def _status(value: object) -> str | None:
    status = (to_lower(value) or "").strip()
    # Partner Center writes "cancelled"; the American spelling is read too.
    return CANCELLED if status == "canceled" else status or None


def _is_same_id(found: str, order_id: str) -> bool:
    # Only GUIDs are compared without case. In a base64url id the case tells orders apart.
    is_guid = len(found) == 36 and found.count("-") == 4
    return found == order_id or (is_guid and found.lower() == order_id.lower())
