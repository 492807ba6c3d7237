"""The effect of a PATCH on a subscription at Partner Center: what it changes, and what is refused.

No I/O and no clock. The rules follow Microsoft's documents. "Guess" marks the places that no document describes;
there the stand-in does the likeliest, or what is harder for a client.

Source: learn.microsoft.com/partner-center/developer/ update-a-subscription-by-id, subscription-resources,
subscription-lifecycle, suspend-a-subscription, reactivate-a-suspended-subscription, change-the-quantity,
create-a-new-subscription, cancel-an-azure-marketplace-subscription, cancel-an-azure-subscription, error-codes;
customers/new-commerce-cancellation-policy, customers/extended-service-terms (read 2026-11-28).
"""

import base64
import json
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from infra.local.partner_center.entries import ProductKind, kind_of
from infra.local.partner_center.members import (
    camel_case,
    date_member,
    id_key,
    in_case_of,
    inner_member,
    member,
    read_date,
    read_json,
    remove_members,
    set_member,
    status_of,
)
from infra.local.partner_center.refusals import Refusal, Refused
from infra.local.partner_center.subscription_terms import (
    SAAS_WINDOW,
    WINDOW,
    cancellation_deadline,
    is_extended,
    term_end,
)
from infra.local.values import Json

STATUSES = frozenset({"none", "active", "pending", "suspended", "expired", "disabled", "deleted"})

# Guess: a value of these that differs from the subscription's own is refused, whatever the other members say. The
# documents mark members as read-only and do not tell what happens.
READ_ONLY = (
    *("id", "orderId", "offerId", "offerName", "productType", "entitlementId", "parentSubscriptionId", "publisherName"),
    *("creationDate", "effectiveStartDate", "commitmentEndDate", "commitmentEndDateTime", "isTrial", "unitType"),
    *("cancellationAllowedUntilDate", "isMicrosoftProduct", "billingType", "contractType", "termDuration"),
    *("renewalTermDuration", "hasPurchasableAddons"),
)

ALREADY_DELETED = Refusal(400, "2011", "A deleted subscription cannot be updated.")
STATUS_FIXED = Refusal(400, "800096", "The subscription's status cannot be updated.")
NOT_SUPPORTED = Refusal(400, "900141", "Not supported for this product.")
IN_AZURE_ONLY = Refusal(403, "900321", "A savings plan is managed in Azure only.")
NO_AUTO_RENEW = Refusal(400, "800093", "The subscription is not eligible for auto-renew.")
NO_MORE_UPDATES = Refusal(400, "900279", "No more updates are allowed.")
NOT_READY = Refusal(409, "800082", "The subscription is not ready for changes.")
PARENT_INACTIVE = Refusal(409, "27009", "The parent subscription is not active.")
SEATS_FIXED = Refusal(400, "800095", "The quantity of this subscription cannot be changed.")
NO_DECREASE = Refusal(400, 800090, "Subscription quantity cannot be decreased.")  # a number, as in Microsoft's sample
SEATS_WHILE_SUSPENDED = Refusal(400, "2001", "The subscription is suspended.")
WRONG_QUANTITY = Refusal(400, "2002", "The quantity is out of range.")
OTHER_BILLING_CYCLE = Refusal(400, "800097", "The billing cycle cannot be changed.")
LOCKED = Refusal(409, "", "A renewal is being processed; try again in 2 minutes.")
STALE_ETAG = Refusal(400, "2055", "The ETag is stale.")
FIXED_WHILE_SUSPENDED = Refusal(400, "800091", "The subscription is suspended.")

LOCK = timedelta(hours=24)  # from the end of a term, while its renewal is processed
SPELLINGS = ("scheduleType", "scheduledType")  # of the time of a scheduled action; sources disagree

INSTRUCTIONS = ("scheduledNextTermInstructions", "nextChargeInstructions", "scheduledActions")


@dataclass(frozen=True)
class Circumstances:
    """Decide on a PATCH beside the subscription itself.

    Attributes:
        now: the time of the PATCH.
        has_window: whether the kind's window to cancel counts.
        spellings: under which of SPELLINGS the time of a scheduled action is known; an action without is ignored.
        parent_status: of the subscription whose add-on it is.
    """

    now: datetime
    has_window: bool = True
    spellings: frozenset[str] = frozenset(SPELLINGS)
    parent_status: str | None = None


def patched(subscription: Json, body: bytes, circumstances: Circumstances) -> Json:
    """Return *subscription* as a PATCH with *body* leaves it. Raises Refused.

    Names match in upper and lower case, null counts as absent, unknown members are ignored. A body is the whole
    resource: auto-renew that is left out becomes false, and instructions that are left out are deleted
    (update-a-subscription-by-id). Guess: scheduledActions, too. Status, quantity and names that are left out stay.
    A cancellation and other seats delete the instructions for the next term (create-a-new-subscription); guess:
    scheduledActions, too, even those in the same body.
    """
    request = _read(body)
    kind = kind_of(subscription)
    old_status = status_of(subscription)
    if old_status == "deleted":
        raise Refused(ALREADY_DELETED)
    if old_status == "pending":
        raise Refused(NOT_READY)  # Guess: the status for which 800082 stands.
    _check_members(subscription, request, kind)
    new_status = _requested_status(request) or old_status
    if new_status != old_status and (refusal := _status_refusal(subscription, new_status, circumstances)):
        raise Refused(refusal)
    if old_status in {"expired", "disabled"}:
        raise Refused(NO_MORE_UPDATES)  # No way leads back (subscription-lifecycle). Guess: the code.

    result = deepcopy(subscription)
    _change_auto_renew(result, request, kind)
    _change_instructions(result, request, kind, circumstances.spellings)
    if (
        new_status != "deleted"
        and _is_locked(subscription, circumstances.now)
        and _is_renewed_otherwise(subscription, result, new_status)
    ):
        raise Refused(LOCKED)
    if new_status != "deleted":  # Guess: a cancellation goes by the status alone.
        _change_quantity(result, request, kind, circumstances.now)
    for name in ("friendlyName", "partnerId"):
        if isinstance(value := member(request, name), str):
            set_member(result, name, value)
    if new_status == old_status == "suspended" and result != subscription:
        raise Refused(FIXED_WHILE_SUSPENDED)  # Guess: nothing but the status can be changed.
    if new_status != old_status:
        set_member(result, "status", new_status)
        if new_status == "deleted":
            delete(result)
        if new_status == "suspended":
            suspend(result)
    renew_etag(result)
    return result


def shown(subscription: Json) -> Json:
    """Return *subscription* as Partner Center shows it: no seats can be refunded while it is suspended."""
    if status_of(subscription) != "suspended":
        return subscription
    return {name: value for name, value in subscription.items() if name.lower() != "refundablequantity"}


def delete(subscription: Json) -> None:
    """Write the effects of a cancellation: it deletes the scheduled changes (create-a-new-subscription)."""
    set_member(subscription, "status", "deleted")
    remove_members(subscription, "scheduledNextTermInstructions", "scheduledActions")


def suspend(subscription: Json) -> None:
    """Write the effects of a suspension.

    It turns auto-renew off and deletes the scheduled changes; nextChargeInstructions stay (subscription-lifecycle).
    Legacy subscriptions keep their auto-renew.
    """
    set_member(subscription, "status", "suspended")
    if kind_of(subscription) != ProductKind.LEGACY_LICENCE:
        set_member(subscription, "autoRenewEnabled", False)
    remove_members(subscription, "scheduledNextTermInstructions", "scheduledActions")


def _read(body: bytes) -> Json:
    """Return the body as an object. Guess: the code for any other content."""
    try:
        request = read_json(body)
    except ValueError:
        raise Refused(Refusal(400, "800002", "The body is not JSON.")) from None
    if not isinstance(request, dict):
        raise Refused(Refusal(400, "800002", "The body is not a subscription."))
    return request


def _check_members(subscription: Json, request: Json, kind: str) -> None:
    """Refuse what no PATCH can change. Raises Refused.

    Guess: links, attributes without a stale ETag, refundOptions, refundableQuantity and all members that are not in
    READ_ONLY are ignored. Microsoft's own clients change or empty them on the way through their models.
    """
    for name in READ_ONLY:
        requested = member(request, name)
        if requested is not None and _comparable(requested) != _comparable(member(subscription, name)):
            raise Refused(Refusal(400, "3000", f"The property {name} is invalid."))
    cycle = member(request, "billingCycle")
    if cycle is not None and _comparable(cycle) != _comparable(member(subscription, "billingCycle")):
        raise Refused(OTHER_BILLING_CYCLE)
    # Guess: legacy subscriptions compare an ETag in the body, and one that is left out is not compared.
    etag, requested_etag = (inner_member(content, "attributes", "etag") for content in (subscription, request))
    if etag and requested_etag and etag != requested_etag:
        raise Refused(STALE_ETAG)
    if kind == ProductKind.SAVINGS_PLAN:
        raise Refused(IN_AZURE_ONLY)


def _requested_status(request: Json) -> str | None:
    status = member(request, "status")
    if status is None:
        return None
    if not isinstance(status, str) or status.lower() not in STATUSES:
        raise Refused(Refusal(400, "900126", f"The value '{status}' is not a status."))
    return status.lower()


def _status_refusal(subscription: Json, new: str, circumstances: Circumstances) -> Refusal | None:
    """Return the reason why the status cannot become *new*, or None if it can."""
    kind, old = kind_of(subscription), status_of(subscription)
    if kind not in ProductKind:
        return NOT_SUPPORTED  # Guess: for product types that no source describes.
    if kind == ProductKind.LICENCE and member(subscription, "isTrial") is True:
        return STATUS_FIXED  # create-a-new-subscription. Guess: the code.
    match (old, new):
        case ("active" | "suspended", "deleted"):
            return _deletion_refusal(subscription, kind, circumstances)
        case ("active", "suspended"):
            # Guess: SaaS, software and extended terms cannot be suspended, and the code.
            can_be_suspended = kind in {ProductKind.LICENCE, ProductKind.LEGACY_LICENCE, ProductKind.AZURE_PLAN}
            return None if can_be_suspended and not is_extended(subscription) else STATUS_FIXED
        case ("suspended", "active"):
            return _reactivation_refusal(subscription, circumstances)
        case _:
            return Refusal(400, "800040", f"The asset cannot go from {old} to {new}.")


def _reactivation_refusal(subscription: Json, circumstances: Circumstances) -> Refusal | None:
    """Return the reason why a suspended subscription cannot become active, or None if it can."""
    if member(subscription, "suspensionReasons"):
        return STATUS_FIXED  # Microsoft's own suspension is not lifted by a PATCH. Guess: the code.
    if circumstances.parent_status not in {None, "active"}:
        return PARENT_INACTIVE
    # It can before the end of its term (subscription-lifecycle). Guess: the code.
    end = term_end(subscription)
    return NO_MORE_UPDATES if end and end <= circumstances.now else None


def _deletion_refusal(subscription: Json, kind: str, circumstances: Circumstances) -> Refusal | None:
    """Return the reason why an active or suspended subscription cannot be deleted, or None if it can."""
    if kind == ProductKind.LEGACY_LICENCE:
        # Only suspending is documented for it. Guess: the code.
        return Refusal(400, "800040", "A legacy subscription can be suspended, not deleted.")
    if kind == ProductKind.AZURE_PLAN:
        return STATUS_FIXED  # Guess: one page has the plan suspended only, a table has it cancelled by this PATCH.
    deadline = cancellation_deadline(subscription)
    has_window = circumstances.has_window or member(subscription, "cancellationAllowedUntilDate") is not None
    if not has_window or deadline is None or circumstances.now <= deadline:
        return None
    if kind == ProductKind.SAAS:
        hours = int(SAAS_WINDOW / timedelta(hours=1))
        return Refusal(400, "900213", f"The {hours}-hour cancellation window has passed.")
    return Refusal(400, "900117", f"The {WINDOW.days}-day cancellation window has passed.")


def _change_auto_renew(subscription: Json, request: Json, kind: str) -> None:
    """Turn auto-renew on or off; off if it is left out. Off deletes the instructions for the next term."""
    requested = member(request, "autoRenewEnabled")
    old = member(subscription, "autoRenewEnabled") is True
    if requested is not None and not isinstance(requested, bool):
        raise Refused(Refusal(400, "3000", "The property autoRenewEnabled is invalid."))
    if kind == ProductKind.LEGACY_LICENCE:
        return  # The flag stays true, as users of Microsoft's PowerShell module reported.
    if is_extended(subscription):
        # An extended term can only be cancelled or converted. Guess: the code, and that it stays if left out.
        if requested is not None and requested != old:
            raise Refused(NO_MORE_UPDATES)
        return
    if kind not in {ProductKind.LICENCE, ProductKind.SOFTWARE_SUBSCRIPTION, ProductKind.SAAS} and requested and not old:
        raise Refused(NO_AUTO_RENEW)
    if bool(requested) != old:
        set_member(subscription, "autoRenewEnabled", bool(requested))


def _is_locked(subscription: Json, now: datetime) -> bool:
    """Tell whether the renewal of *subscription* is being processed: for a day from the end of its term.

    Source: create-a-new-subscription. A cancellation, other seats and another name may be tried all the same.
    """
    end = term_end(subscription)
    return end is not None and status_of(subscription) in {"active", "suspended"} and end <= now < end + LOCK


def _is_renewed_otherwise(old: Json, new: Json, new_status: str) -> bool:
    """Tell whether a PATCH that leaves *new* changes the renewal of *old*, or suspends or reactivates it."""
    members = ("autoRenewEnabled", "scheduledNextTermInstructions", "scheduledActions")
    changed = any(_comparable(member(old, name)) != _comparable(member(new, name)) for name in members)
    return changed or new_status != status_of(old)


def _change_instructions(subscription: Json, request: Json, kind: str, spellings: frozenset[str]) -> None:
    """Store the instructions that *request* has, and delete the others.

    If scheduledActions are there, scheduledNextTermInstructions do not count. Guess: they are then deleted, an
    explicit null deletes, and products without extended terms ignore scheduledActions.
    """
    if is_extended(subscription):
        # An extended term can only be cancelled or converted. Guess: the code, and that they stay if left out.
        for name in INSTRUCTIONS:
            requested, old = member(request, name), member(subscription, name)
            if requested is not None and _comparable(requested or None) != _comparable(old or None):
                raise Refused(NO_MORE_UPDATES)
        return
    actions = member(request, "scheduledActions")
    if actions is not None:
        _check_actions(actions)
        known = [action for action in actions if any(member(action, name) is not None for name in spellings)]
        actions = known if known or not actions else None
    if kind != ProductKind.LICENCE or member(subscription, "isTrial") is True:
        actions = None
    next_term, next_charge = (member(request, name) for name in INSTRUCTIONS[:2])
    if actions or member(subscription, "autoRenewEnabled") is not True:
        next_term = None
    for name, value in zip(INSTRUCTIONS, (next_term, next_charge, actions), strict=True):
        if value is None:
            remove_members(subscription, name)
        elif not isinstance(value, list if name == "scheduledActions" else dict):
            raise Refused(Refusal(400, "3000", f"The property {name} is invalid."))
        else:
            set_member(subscription, name, in_case_of(subscription, camel_case(value)))


def _check_actions(actions: object) -> None:
    """Check the types in scheduledActions. Guess: all of it. Sources disagree: scheduleType or scheduledType."""
    if not isinstance(actions, list) or not all(isinstance(action, dict) for action in actions):
        raise Refused(Refusal(400, "3000", "The property scheduledActions is invalid."))
    for action in actions:
        schedule = member(action, "scheduleType") or member(action, "scheduledType")
        if str(schedule).lower() not in {"termend", "customdate"}:
            raise Refused(Refusal(400, "900126", f"The value '{schedule}' is not a schedule."))
        known = {"cancel", "renewtonewterm", "renewtoextendedserviceterm", "transition"}
        if str(member(action, "actionType")).lower() not in known:
            raise Refused(Refusal(400, "900126", f"The value '{member(action, 'actionType')}' is not an action."))


def _change_quantity(subscription: Json, request: Json, kind: str, now: datetime) -> None:
    """Add or take away seats. Only licences can lose seats, as many as their refundableQuantity still allows."""
    requested, old = member(request, "quantity"), member(subscription, "quantity")
    if requested is None or requested == old:
        return
    if type(requested) is not int or requested < 1:
        raise Refused(WRONG_QUANTITY)
    if status_of(subscription) == "suspended":
        raise Refused(SEATS_WHILE_SUSPENDED)
    if member(subscription, "isTrial") is True or kind == ProductKind.SOFTWARE_SUBSCRIPTION:
        raise Refused(SEATS_FIXED)
    if is_extended(subscription):
        raise Refused(NO_MORE_UPDATES)
    batches = _open_batches(subscription, now)
    change = requested - (old if type(old) is int else 0)
    if change > 0:
        batches.append({"quantity": change, "allowedUntilDateTime": f"{now + WINDOW:%Y-%m-%dT%H:%M:%SZ}"})
    while change < 0 and batches:  # Guess: the newest seats go first.
        taken = min(-change, batches[-1]["quantity"])
        batches[-1]["quantity"] -= taken
        change += taken
        if not batches[-1]["quantity"]:
            batches.pop()
    if change < 0:
        raise Refused(NO_DECREASE)
    set_member(subscription, "quantity", requested)
    remove_members(subscription, "scheduledNextTermInstructions", "scheduledActions")
    if kind == ProductKind.LICENCE:
        refundable = {"totalQuantity": sum(batch["quantity"] for batch in batches), "details": batches}
        set_member(subscription, "refundableQuantity", in_case_of(subscription, refundable))


def _open_batches(subscription: Json, now: datetime) -> list[Json]:
    """Return the seats that can still be taken away, the oldest first."""
    details = inner_member(subscription, "refundableQuantity", "details")
    batches = [camel_case(detail) for detail in details] if isinstance(details, list) else []
    return [
        batch
        for batch in batches
        if type(inner_member(batch, "quantity")) is int
        and (until := date_member(batch, "allowedUntilDateTime"))
        and until >= now
    ]


def renew_etag(subscription: Json) -> None:
    """Count up the version in the ETag of a legacy subscription: base64 of `{"id":…,"version":n}`."""
    etag = inner_member(subscription, "attributes", "etag")
    try:
        version = read_json(base64.b64decode(etag or ""))
        content = json.dumps(version | {"version": version["version"] + 1}, separators=(",", ":"))
    except (ValueError, TypeError, KeyError):
        return
    set_member(member(subscription, "attributes"), "etag", base64.b64encode(content.encode()).decode())


def _comparable(value: Any) -> Any:  # noqa: ANN401  (JSON)
    """Return *value* in a form in which spelling does not count: dates as instants, null as absent, no case.

    Microsoft's SDKs write dates in another zone or to the microsecond, and add members with null.
    """
    if isinstance(value, dict):
        return {name.lower(): _comparable(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, str):
        return read_date(value) or id_key(value).lower()
    return value
