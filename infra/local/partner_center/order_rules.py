"""The effect of a PATCH on an order at Partner Center: which orders can be cancelled, and how they look afterwards.

No I/O and no clock. The rules follow Microsoft's documents. "Guess" marks the places that no document describes;
there the stand-in does the likeliest, and they are the places to try in a real sandbox.

Source: learn.microsoft.com/partner-center/developer/ cancel-an-order-from-the-integration-sandbox,
cancel-software-purchases, order-resources, error-codes; customers/new-commerce-cancellation-policy
(read 2026-11-21).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from infra.local.partner_center.entries import Behaviour, Entry, ProductKind
from infra.local.partner_center.members import date_member, id_key, member, set_member, status_of
from infra.local.partner_center.refusals import Refusal, Refused
from infra.local.values import Json

SANDBOX_DAYS = 60
PRODUCTION_DAYS: Mapping[str, int] = {ProductKind.SOFTWARE: 30, ProductKind.SOFTWARE_SUBSCRIPTION: 7}

STATUSES = frozenset(
    {"unknown", "completed", "pending", "pending_po_upload", "po_upload_complete", "cancelled"}
    | {"partial_success", "po_review_rejected", "suspended", "pending_review", "error"}
)

BY_SUBSCRIPTION = Refusal(400, "800063", "The order cannot be cancelled; PATCH its subscription instead.")
SOFTWARE_ONLY = Refusal(403, "800019", "A production tenant may cancel only software.")
SEAT_BASED = Refusal(403, "800077", "Seat-based SaaS is cancelled by its subscription.")
IN_AZURE_ONLY = Refusal(403, "900321", "A savings plan is managed in Azure only.")
NOT_SUPPORTED = Refusal(400, "900141", "Not supported for this product.")
ALREADY_CANCELLED = Refusal(400, "800061", "The order cannot be cancelled.")

# The refusals for each kind of product, in the sandbox and in production; None means that PATCH cancels it.
# Guess: legacy licences, which are in no table, are cancelled by their subscription.
# Guess: in production the specific codes come before the general 800019.
PRODUCTS: Mapping[str, tuple[Refusal | None, Refusal | None]] = {
    ProductKind.SOFTWARE: (None, None),
    ProductKind.SOFTWARE_SUBSCRIPTION: (None, None),
    ProductKind.RESERVATION: (None, SOFTWARE_ONLY),
    ProductKind.SAAS: (SEAT_BASED, SEAT_BASED),
    ProductKind.SAAS_2021: (None, SOFTWARE_ONLY),
    ProductKind.LICENCE: (BY_SUBSCRIPTION, BY_SUBSCRIPTION),
    ProductKind.LEGACY_LICENCE: (BY_SUBSCRIPTION, BY_SUBSCRIPTION),
    ProductKind.AZURE_PLAN: (BY_SUBSCRIPTION, BY_SUBSCRIPTION),
    ProductKind.SAVINGS_PLAN: (IN_AZURE_ONLY, IN_AZURE_ONLY),
}


@dataclass(frozen=True)
class Cancellation:
    """The content of a PATCH: it cancels *lines*, by their numbers, or the whole order if *lines* is None."""

    lines: frozenset[int] | None


def read_cancellation(body: bytes, order: Json) -> Cancellation | None:
    """Return what *body* cancels of *order*, or None if it cancels nothing. Raises Refused.

    Names match in upper and lower case, null counts as absent, unknown members are ignored.
    Guesses: all codes here except 0 and 800071; the id may be absent; an empty list of lines means the whole order.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(Refusal(400, "800002", "The body is not JSON.")) from None
    if not isinstance(request, dict):
        raise Refused(Refusal(400, "800002", "The body is not an order."))
    request_id = member(request, "id")
    own_ids = {id_key(str(value)) for name in ("id", "alternateId") if (value := member(order, name))}
    if request_id is not None and id_key(str(request_id)) not in own_ids:
        raise Refused(Refusal(400, "3000", "The id is not this order's."))
    status = member(request, "status")
    if status is not None and str(status).lower() not in STATUSES:
        raise Refused(Refusal(400, 0, f"The provided value '{status}' is not a valid OrderStatus."))
    lines = _read_lines(member(request, "lineItems"), order)
    # Guess: with another status, or none, the order stays unchanged. Other changes of an order are left out here.
    return Cancellation(lines) if str(status).lower() == "cancelled" else None


def refusal_for(
    entry: Entry, order: Json, cancellation: Cancellation, *, production: bool, now: datetime
) -> Refusal | None:
    """Return why *cancellation* of *order*, the present state of *entry*, is refused at *now*; None if it is not."""
    if entry.refusal:
        return entry.refusal
    if status_of(order) == "cancelled":
        return ALREADY_CANCELLED  # Guess: no document says.
    # Guess: of several kinds in one order, the first one that cannot be cancelled decides for all lines requested.
    refusals = (_refusal_for_kind(kind, entry, order, production, now) for kind in _kinds(entry, order, cancellation))
    return next((refusal for refusal in refusals if refusal), None)


def _kinds(entry: Entry, order: Json, cancellation: Cancellation) -> list[str]:
    """Return the kinds of the lines that *cancellation* names; of an order without lines, its own kind."""
    numbers = cancellation.lines
    if numbers is None:
        numbers = frozenset(member(line, "lineItemNumber") for line in member(order, "lineItems") or [])
    return [entry.line_kinds.get(number, entry.kind) for number in sorted(numbers, key=str)] or [entry.kind]


def _refusal_for_kind(kind: str, entry: Entry, order: Json, production: bool, now: datetime) -> Refusal | None:
    # Guess: the code for product types that no source describes.
    refusal = PRODUCTS.get(kind, (NOT_SUPPORTED, NOT_SUPPORTED))[production]
    if refusal or entry.behaviour == Behaviour.NO_LIMITS:
        return refusal
    days = PRODUCTION_DAYS.get(kind) if production else SANDBOX_DAYS
    created = date_member(order, "creationDate")
    if days and created and now - created > timedelta(days=days):
        # Guess for the sandbox: its limit is documented, the code is not.
        return Refusal(400, "900117", f"The {days}-day cancellation window has passed.")
    return None


def cancel(order: Json, cancellation: Cancellation) -> None:
    """Cancel *order* or lines of it in place. Member names keep their upper and lower case.

    A whole order keeps its quantities. A single line gets the quantity 0, and the order is cancelled with the last
    of its lines (Microsoft's two samples). Guess: a line with the quantity 0 can be requested again.
    """
    if cancellation.lines is not None:
        lines = member(order, "lineItems") or []
        for line in lines:
            if member(line, "lineItemNumber") in cancellation.lines:
                set_member(line, "quantity", 0)
        if any(member(line, "quantity") != 0 for line in lines):
            return
    set_member(order, "status", "cancelled")


def _read_lines(requested_lines: object, order: Json) -> frozenset[int] | None:
    if not requested_lines:
        return None
    offers = {member(line, "lineItemNumber"): member(line, "offerId") for line in member(order, "lineItems") or []}
    if not isinstance(requested_lines, list):
        raise Refused(Refusal(400, "3000", "lineItems is not a list."))
    for line in requested_lines:
        number = member(line, "lineItemNumber") if isinstance(line, dict) else None
        if type(number) is not int:
            raise Refused(Refusal(400, "3000", "A line has no number."))
        if number not in offers:
            raise Refused(Refusal(400, "800071", f"There is no line {number}."))
        requested_offer, offer = member(line, "offerId"), offers[number]
        # Guess: no document says whether Partner Center refuses, or goes by only one of number and offer.
        if requested_offer is not None and offer is not None and str(requested_offer).lower() != str(offer).lower():
            raise Refused(Refusal(400, "800002", f"Line {number} has another offer."))
    return frozenset(member(line, "lineItemNumber") for line in requested_lines)
