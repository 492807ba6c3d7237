"""What a PATCH does to an order at Partner Center: which may be cancelled, and how it looks then.

No I/O and no clock. Where Microsoft's documents say what happens, this does the same. Where nobody
could tell, it does what seems likeliest and says "guess": those are the places to try in a real
sandbox.

Source: learn.microsoft.com/partner-center/developer/ cancel-an-order-from-the-integration-sandbox,
cancel-software-purchases, order-resources, error-codes; customers/new-commerce-cancellation-policy
(read 2026-11-21).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from infra.local.partner_center.catalogue import Condition, Entry, Kind, member
from infra.local.partner_center.refusals import Refusal
from infra.local.values import Json

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

SANDBOX_DAYS = 60
PRODUCTION_DAYS: Mapping[str, int] = {Kind.SOFTWARE: 30, Kind.SOFTWARE_SUBSCRIPTION: 7}

STATUSES = frozenset(
    {"unknown", "completed", "pending", "pending_po_upload", "po_upload_complete", "cancelled"}
    | {"partial_success", "po_review_rejected", "suspended", "pending_review", "error"}
)

BY_SUBSCRIPTION = Refusal(400, "800063", "The order cannot be cancelled; PATCH its subscription instead.")
SOFTWARE_ONLY = Refusal(403, "800019", "A production tenant may cancel only software.")
SEAT_BASED = Refusal(403, "800077", "Seat-based SaaS is cancelled by its subscription.")
IN_AZURE_ONLY = Refusal(403, "900321", "A savings plan is managed in Azure only.")
CANCELLED_ALREADY = Refusal(400, "800061", "The order cannot be cancelled.")

# Why PATCH does not cancel an order of this kind, in the sandbox and in production; None: it does.
# Guesses: legacy licences, in no table, go by their subscription; and in production the particular
# codes come before the general 800019.
PRODUCTS: Mapping[str, tuple[Refusal | None, Refusal | None]] = {
    Kind.SOFTWARE: (None, None),
    Kind.SOFTWARE_SUBSCRIPTION: (None, None),
    Kind.RESERVATION: (None, SOFTWARE_ONLY),
    Kind.SAAS: (SEAT_BASED, SEAT_BASED),
    Kind.SAAS_2021: (None, SOFTWARE_ONLY),
    Kind.LICENCE: (BY_SUBSCRIPTION, BY_SUBSCRIPTION),
    Kind.LEGACY_LICENCE: (BY_SUBSCRIPTION, BY_SUBSCRIPTION),
    Kind.AZURE_PLAN: (BY_SUBSCRIPTION, BY_SUBSCRIPTION),
    Kind.SAVINGS_PLAN: (IN_AZURE_ONLY, IN_AZURE_ONLY),
}


class Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


@dataclass(frozen=True)
class Change:
    """What a PATCH asks for: to cancel *lines*, or with None the whole order."""

    lines: frozenset[int] | None


def order_key(order_id: str) -> str:
    """Return *order_id* as it is compared: GUIDs in any case, the other families to the letter."""
    return order_id.lower() if GUID.fullmatch(order_id) else order_id


def read_change(body: bytes, order: Json) -> Change | None:
    """Return what *body* asks of *order*, None if it is not to be cancelled. Raises Refused.

    Names match in any case, a null member is like an absent one, unknown members are ignored.
    Guesses: all codes here but 0 and 800071; that the id may be left out; and that an empty list
    of lines means the whole order.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(Refusal(400, "800002", "The body is not JSON.")) from None
    if not isinstance(request, dict):
        raise Refused(Refusal(400, "800002", "The body is not an order."))
    identity = member(request, "id")
    own = {order_key(str(value)) for name in ("id", "alternateId") if (value := member(order, name))}
    if identity is not None and order_key(str(identity)) not in own:
        raise Refused(Refusal(400, "3000", "The id is not this order's."))
    status = member(request, "status")
    if status is not None and str(status).lower() not in STATUSES:
        raise Refused(Refusal(400, 0, f"The provided value '{status}' is not a valid OrderStatus."))
    lines = _read_lines(member(request, "lineItems"), order)
    # Guess: with another status, or none, the order stays as it is. Other changes are not played here.
    return Change(lines) if str(status).lower() == "cancelled" else None


def why_not(entry: Entry, order: Json, *, production: bool, now: datetime) -> Refusal | None:
    """Return why *order*, as it stands, cannot be cancelled *now*, or None."""
    if entry.refusal:
        return entry.refusal
    if str(member(order, "status")).lower() == "cancelled":
        return CANCELLED_ALREADY  # Guess: no document tells.
    refusal = PRODUCTS[entry.kind][production]
    if refusal or entry.condition == Condition.NO_LIMITS:
        return refusal
    days = PRODUCTION_DAYS.get(entry.kind) if production else SANDBOX_DAYS
    created = _created(order)
    if days and created and now - created > timedelta(days=days):
        # Guess for the sandbox: the limit is documented, its code is not.
        return Refusal(400, "900117", f"The {days}-day cancellation window has passed.")
    return None


def cancel(order: Json, change: Change) -> None:
    """Cancel *order* or lines of it in place, keeping the casing of its names.

    A whole order keeps its quantities; of single lines the quantity becomes 0, and the order is
    cancelled with the last of them (Microsoft's two samples). Lines at 0 may be asked for again
    (guess).
    """
    if change.lines is not None:
        lines = member(order, "lineItems") or []
        for line in lines:
            if member(line, "lineItemNumber") in change.lines:
                _set(line, "quantity", 0)
        if any(member(line, "quantity") != 0 for line in lines):
            return
    _set(order, "status", "cancelled")


def _read_lines(asked: object, order: Json) -> frozenset[int] | None:
    if not asked:
        return None
    offers = {member(line, "lineItemNumber"): member(line, "offerId") for line in member(order, "lineItems") or []}
    if not isinstance(asked, list):
        raise Refused(Refusal(400, "3000", "lineItems is not a list."))
    for line in asked:
        number = member(line, "lineItemNumber") if isinstance(line, dict) else None
        if type(number) is not int:
            raise Refused(Refusal(400, "3000", "A line has no number."))
        if number not in offers:
            raise Refused(Refusal(400, "800071", f"There is no line {number}."))
        offer, own = member(line, "offerId"), offers[number]
        # Guess: nobody could tell whether Partner Center refuses, or goes by one of the two.
        if offer is not None and own is not None and str(offer).lower() != str(own).lower():
            raise Refused(Refusal(400, "800002", f"Line {number} has another offer."))
    return frozenset(member(line, "lineItemNumber") for line in asked)


def _created(order: Json) -> datetime | None:
    try:
        created = datetime.fromisoformat(str(member(order, "creationDate")))
    except ValueError:
        return None
    return created if created.tzinfo else created.replace(tzinfo=UTC)


def _set(thing: Json, name: str, value: object) -> None:
    """Set the member called *name*, whatever its casing; a new one is cased like its neighbours."""
    pascal = next(iter(thing), "")[:1].isupper()
    own = next((key for key in thing if key.lower() == name.lower()), name[:1].upper() + name[1:] if pascal else name)
    thing[own] = value
