"""The terms of a subscription: their dates, and what Partner Center does at their end.

No I/O and no clock. "Guess" marks the places that no document describes.

Source: learn.microsoft.com/partner-center/ customers/new-commerce-cancellation-policy,
customers/extended-service-terms, developer/create-a-new-subscription, developer/subscription-lifecycle,
developer/subscription-resources; docs.cloudblue.com Microsoft_SaaS Extended-Service-Terms; softwareone CSP FAQs
(read 2026-11-28).
"""

import re
from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.local.partner_center.entries import ProductKind, kind_of
from infra.local.partner_center.members import (
    date_member,
    in_case_of,
    inner_member,
    member,
    remove_members,
    replace_members,
    set_member,
    status_of,
)
from infra.local.values import Json

WINDOW = timedelta(days=7)  # of licences and software, from purchase or renewal
SAAS_WINDOW = timedelta(hours=72)  # from purchase
EXPIRED_DAYS, DISABLED_DAYS = 30, 90  # after its term a subscription is expired, then disabled, then deleted

# Extended service terms: for licences bought or renewed since the first date whose term ends from the second one on.
EXTENDED_IF_BEGUN_SINCE = datetime(2025, 4, 1, tzinfo=UTC)
EXTENDED_FROM = datetime(2026, 5, 4, tzinfo=UTC)
EXTENDED = "Extended Service Term"  # their SKUs have ids of their own, and this in the name

FOREVER = 9999  # the year in which a subscription ends that does not renew
TERM = re.compile(r"P([1-9]\d?)([MY])", re.IGNORECASE)
DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(T.+)")


def term_members(started: datetime, term: str, quantity: object) -> Json:
    """Return the members of a licence that tell the dates of a term that began at *started*."""
    last_day = add_term(started, term) - timedelta(days=1)
    allowed_until = f"{started + WINDOW:%Y-%m-%dT%H:%M:%SZ}"
    return {
        "commitmentEndDate": f"{last_day:%Y-%m-%dT00:00:00Z}",
        "commitmentEndDateTime": f"{last_day:%Y-%m-%dT23:59:59Z}",
        "cancellationAllowedUntilDate": allowed_until,
        "refundOptions": [{"type": "Full", "expiresAt": f"{started + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"}],
        "refundableQuantity": {
            "totalQuantity": quantity,
            "details": [{"quantity": quantity, "allowedUntilDateTime": allowed_until}],
        },
    }


def add_term(date: datetime, term: object) -> datetime:
    """Return *date* and a term like P1M or P3Y later. Guess: a legacy licence, which names no term, has a year."""
    match = TERM.fullmatch(str(term or "P1Y"))
    count, unit = (int(match[1]), match[2].upper()) if match else (1, "Y")
    month = date.month - 1 + (count if unit == "M" else 12 * count)
    year, month = date.year + month // 12, month % 12 + 1
    return date.replace(year=year, month=month, day=min(date.day, monthrange(year, month)[1]))


def term_end(subscription: Json) -> datetime | None:
    """Return the moment at which the present term is over, or None if it has no end.

    commitmentEndDate is a day that still belongs to the term if it is printed as midnight (subscription-resources).
    """
    end = date_member(subscription, "commitmentEndDateTime") or date_member(subscription, "commitmentEndDate")
    if end is None or end.year >= FOREVER:
        return None
    if member(subscription, "commitmentEndDateTime"):
        return end + timedelta(seconds=1)
    return end + timedelta(days=1) if (end.hour, end.minute, end.second) == (0, 0, 0) else end


def cancellation_deadline(subscription: Json) -> datetime | None:
    """Return when the window to cancel closes, by the subscription's own word or else by its kind; None: never.

    Source: new-commerce-cancellation-policy. A trial of SaaS, and an extended term, can be cancelled at any time.
    """
    kind, is_trial = kind_of(subscription), member(subscription, "isTrial") is True
    if is_extended(subscription) or (kind == ProductKind.SAAS and is_trial):
        return None
    if own := date_member(subscription, "cancellationAllowedUntilDate"):
        return own
    began = date_member(subscription, "effectiveStartDate") or date_member(subscription, "creationDate")
    if began is None:
        return None
    return began + (SAAS_WINDOW if kind == ProductKind.SAAS else WINDOW)


def is_extended(subscription: Json) -> bool:
    return EXTENDED in str(member(subscription, "offerName"))


def age_dates(value: Any, days: int) -> Any:  # noqa: ANN401  (JSON)
    """Return *value* with all dates in it so many *days* further back, each in the form that it has.

    A date that does not exist stays as it is.
    """
    if isinstance(value, dict):
        return {name: age_dates(inner, days) for name, inner in value.items()}
    if isinstance(value, list):
        return [age_dates(inner, days) for inner in value]
    match = DATE.fullmatch(value) if isinstance(value, str) else None
    if not match or match[1] >= str(FOREVER):
        return value
    try:
        day = (datetime.fromisoformat(match[1]) - timedelta(days=days)).date()
    except (ValueError, OverflowError):  # no such day, or none so far back
        return value
    return f"{day}{match[2]}"


def let_time_pass(subscription: Json, now: datetime) -> None:
    """Do to *subscription*, in place, what Partner Center has done at the ends of its terms until *now*.

    Guess: a renewal keeps id, orderId and creationDate, and effectiveStartDate becomes the new term's start.
    """
    while (end := term_end(subscription)) and end <= now and status_of(subscription) == "active":
        outcome = _outcome_at_term_end(subscription, end)
        if outcome == "renew":
            _renew(subscription, end)
        elif outcome == "extend":
            _extend(subscription, end)
        else:
            # Guess: the status after a cancellation at the end of the term, whose service stops at once.
            set_member(subscription, "status", "deleted" if outcome == "cancel" else "expired")
    if end and end <= now and status_of(subscription) in {"suspended", "expired", "disabled"}:
        _wear_out(subscription, now - end)


def end_action(subscription: Json) -> Json | None:
    """Return the scheduled action for the end of the term, whose type stands under either spelling of its name."""
    actions = member(subscription, "scheduledActions")
    for action in actions if isinstance(actions, list) else []:
        spellings = (inner_member(action, name) for name in ("scheduleType", "scheduledType"))
        if any(str(schedule).lower() == "termend" for schedule in spellings):
            return dict(action)
    return None


def _outcome_at_term_end(subscription: Json, end: datetime) -> str:
    """Return what happens at *end*: `renew`, `cancel`, `extend` or `expire`.

    Source: extended-service-terms. Guess: an action that disagrees with auto-renew on has no effect.
    """
    if member(subscription, "autoRenewEnabled") is True:
        return "renew"
    can_be_extended = (
        kind_of(subscription) == ProductKind.LICENCE
        and member(subscription, "isTrial") is not True
        and end >= EXTENDED_FROM
        and (date_member(subscription, "effectiveStartDate") or end) >= EXTENDED_IF_BEGUN_SINCE
    )
    action = end_action(subscription)
    if action and str(member(action, "actionType")).lower() == "cancel":
        return "cancel"
    return "extend" if can_be_extended else "expire"


def _renew(subscription: Json, start: datetime) -> None:
    """Begin the next term, with the instructions for it. A trial becomes paid, that of a licence for a year."""
    action = end_action(subscription)
    instructions = member(subscription, "scheduledNextTermInstructions") or (action and member(action, "instructions"))
    if member(subscription, "isTrial") is True:
        set_member(subscription, "isTrial", False)
        if kind_of(subscription) == ProductKind.LICENCE:
            replace_members(subscription, termDuration="P1Y", billingCycle="annual")
    if isinstance(instructions, dict):
        _follow(subscription, instructions)
    _begin_term(subscription, start)


def _extend(subscription: Json, start: datetime) -> None:
    """Begin an extended term: monthly, with auto-renew on. Guess: the SKU's id."""
    product = str(member(subscription, "offerId")).partition(":")[0]
    name = f"{member(subscription, 'offerName')} ({EXTENDED})"
    set_member(subscription, "offerName", name)
    replace_members(subscription, offerId=f"{product}:00ES:{product}", billingCycle="monthly")
    set_member(subscription, "termDuration", "P1M")
    set_member(subscription, "autoRenewEnabled", True)
    _begin_term(subscription, start)


def _begin_term(subscription: Json, start: datetime) -> None:
    """Write the dates of a term that begins at *start*, and drop the instructions for it.

    Only members that the subscription has already are written. The window of SaaS is counted from the purchase, so
    that it does not open again.
    """
    remove_members(subscription, "scheduledNextTermInstructions", "scheduledActions", "nextChargeInstructions")
    term, quantity = member(subscription, "termDuration"), member(subscription, "quantity")
    if kind_of(subscription) == ProductKind.SAAS:
        end = f"{add_term(start, term):%Y-%m-%dT%H:%M:%SZ}"
        replace_members(subscription, commitmentEndDate=end, commitmentEndDateTime=end)
        return
    dates = term_members(start, term, quantity)
    replace_members(subscription, effectiveStartDate=f"{start:%Y-%m-%dT%H:%M:%SZ}")
    replace_members(subscription, **in_case_of(subscription, dates))


def _follow(subscription: Json, instructions: Mapping[str, Any]) -> None:
    """Apply *instructions* for the next term to *subscription*."""
    instructions = dict(instructions)
    if type(quantity := member(instructions, "quantity")) is int:
        set_member(subscription, "quantity", quantity)
    ids = [inner_member(instructions, "product", name) for name in ("productId", "skuId", "availabilityId")]
    if all(ids):
        set_member(subscription, "offerId", ":".join(map(str, ids)))
    if term := inner_member(instructions, "product", "termDuration"):
        set_member(subscription, "termDuration", term)
    if cycle := inner_member(instructions, "product", "billingCycle"):
        set_member(subscription, "billingCycle", str(cycle).lower())


def _wear_out(subscription: Json, since_end: timedelta) -> None:
    """Write the status so long after the end of the term: expired, then disabled, then deleted.

    A legacy one that is suspended is deleted at once (subscription-lifecycle). Guess: any other that is suspended is
    disabled at once. One page says so, and another one that it expires.
    """
    is_suspended = status_of(subscription) == "suspended"
    is_deleted_at_once = is_suspended and kind_of(subscription) == ProductKind.LEGACY_LICENCE
    if is_deleted_at_once or since_end > timedelta(days=EXPIRED_DAYS + DISABLED_DAYS):
        set_member(subscription, "status", "deleted")
    elif since_end > timedelta(days=EXPIRED_DAYS) or is_suspended:
        set_member(subscription, "status", "disabled")
