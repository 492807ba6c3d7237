"""Partner Center's subscriptions: URLs, how one is read, and the PATCH bodies that cancel it.

No I/O, clock or randomness. Reading is tolerant, as with orders. A PATCH sends back the whole resource as it was read:
Partner Center resets what a body leaves out. So the text that was read is kept, and only values in it are replaced.

The end of the term needs two things in one PATCH: auto-renew off, and a scheduled action that cancels. Since 2026-05-04
auto-renew off alone moves a licence into a paid extended term. Sources spell the name of the action's time in two ways.

Source: Partner Center's "subscription-resources", "update-a-subscription-by-id",
"get-a-list-of-subscriptions-by-order", "cancel-an-azure-marketplace-subscription" and "extended-service-terms" pages
and their samples (read 2026-11-28).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import quote

from shared.replies.reply import (
    lower_names,
    parse_body,
    to_boolean,
    to_datetime,
    to_integer,
    to_lower,
    to_text,
)

DELETED = "deleted"
EXTENDED = "extended service term"  # the products of extended terms have it in their names
SPELLINGS = ("scheduleType", "scheduledType")  # of the member that tells when an action happens
NEXT_TERM = "schedulednextterminstructions"
NO_END = 9999  # the year in which a subscription ends that does not renew

_BLANK = re.compile(r"\s*")
_decode = json.JSONDecoder().raw_decode


class Kind(StrEnum):
    """The kind of product that a subscription is of."""

    LICENCE = "licence"
    SOFTWARE = "software subscription"
    SAAS = "SaaS"
    LEGACY_LICENCE = "legacy licence"
    AZURE_PLAN = "Azure plan"
    SAVINGS_PLAN = "savings plan"
    UNKNOWN = "unknown"


@dataclass(frozen=True, eq=False)  # two readings are never compared; each made method costs a cold start
class Subscription:
    """A subscription as far as it could be read.

    Attributes:
        subscription_id: its id, as Partner Center writes it.
        order_id: the order that began it.
        status: in lower case.
        term_ends: the end of its present term; None if it has none.
        cancellable_until: the end of its window to cancel, if Partner Center says so.
        refunds: the types of refund, in lower case, each with the moment at which it ends; None for never.
        removable: the seats that can still be taken away: how many, and until when.
        has_cancel_action: a scheduled action cancels it at the end of its term. It counts while auto-renew is off.
        spellings: those of SPELLINGS by which its actions name their time.
        read_at: seconds on the monotonic clock, from before it was asked for.
        text: the resource as it was read.
    """

    subscription_id: str
    order_id: str | None
    offer_id: str | None
    name: str | None
    quantity: int | None
    status: str | None
    kind: Kind
    is_trial: bool
    is_extended: bool
    auto_renew: bool | None
    term_duration: str | None
    created: datetime | None
    term_began: datetime | None
    term_ends: datetime | None
    cancellable_until: datetime | None
    refunds: tuple[tuple[str, datetime | None], ...]
    removable: tuple[tuple[int, datetime | None], ...]
    has_cancel_action: bool
    spellings: frozenset[str]
    read_at: float = 0.0
    text: str = field(default="", repr=False)

    @property
    def is_deleted(self) -> bool:
        return self.status == DELETED

    @property
    def needs_action(self) -> bool:
        """True if auto-renew off alone would move it into a paid extended term."""
        return self.kind is Kind.LICENCE and not self.is_trial

    @property
    def is_scheduled(self) -> bool:
        """True if it is set to end with its term. Others than these kinds do not end by auto-renew."""
        can_be = self.kind in {Kind.LICENCE, Kind.SOFTWARE, Kind.SAAS} and self.status in {"active", "suspended"}
        is_off = can_be and not self.is_extended and self.auto_renew is False
        return is_off and (self.has_cancel_action or not self.needs_action)


def subscription_url(api_root: str, customer_tenant_id: str, subscription_id: str) -> str:
    return f"{subscriptions_url(api_root, customer_tenant_id)}/{quote(subscription_id, safe='')}"


def subscriptions_url(api_root: str, customer_tenant_id: str, order_id: str | None = None) -> str:
    """Return the URL of a customer's subscriptions, or of those that an order began."""
    query = f"?order_id={quote(order_id, safe='')}" if order_id else ""
    return f"{api_root}/v1/customers/{quote(customer_tenant_id, safe='')}/subscriptions{query}"


def read_subscription(body: bytes, subscription_id: str, read_at: float = 0.0) -> Subscription | None:
    """Return the subscription in *body*, None if it is another one, or if it could not be sent back as it is."""
    try:
        text = body.decode(json.detect_encoding(body)).lstrip("\ufeff")
        _members(text)
    except (ValueError, IndexError, RecursionError):
        return None
    subscription = subscription_in(parse_body(body), read_at, text)
    is_asked_for = subscription and subscription.subscription_id.lower() == subscription_id.lower()
    return subscription if is_asked_for else None


def cancel_body(subscription: Subscription) -> bytes:
    """Return the PATCH body that cancels *subscription*: the resource as it was read, with the status `deleted`.

    Every other value is sent back as it was written, whether it is known here or not.
    """
    status = _members(subscription.text)["status"]
    return f'{subscription.text[: status.start]}"{DELETED}"{subscription.text[status.end :]}'.encode()


def term_end_body(subscription: Subscription, spelling: str) -> bytes:
    """Return the PATCH body that lets *subscription* end with its term; *spelling* is one of SPELLINGS.

    Auto-renew is off, instructions for the next term are out, and for a licence the action that cancels takes the place
    of other actions for the end of the term. Every other value is sent back as it was written.
    """
    text, members = subscription.text, _members(subscription.text)
    is_pascal = next(iter(members.values())).name[:1].isupper()

    def cased(name: str) -> str:
        return name[:1].upper() + name[1:] if is_pascal else name

    values = {member.written: text[member.start : member.end] for member in members.values()}
    changes = {"autoRenewEnabled": "false"}
    if subscription.needs_action:
        actions = members.get("scheduledactions")
        elements = _elements(text, actions) if actions else []
        kept = [action for action in elements if not _is_for_term_end(json.loads(action))]
        cancel = json.dumps({cased(spelling): "TermEnd", cased("actionType"): "Cancel"})
        changes["scheduledActions"] = f"[{', '.join([*kept, cancel])}]"
    for name, value in changes.items():
        known = members.get(name.lower())
        values[known.written if known else json.dumps(cased(name))] = value
    if next_term := members.get(NEXT_TERM):
        del values[next_term.written]
    return f"{{{', '.join(f'{name}: {value}' for name, value in values.items())}}}".encode()


def replaced_by_term_end(subscription: Subscription) -> str | None:
    """Return what `term_end_body` takes out of *subscription*, as JSON; None if that is nothing."""
    text, members = subscription.text, _members(subscription.text)
    replaced = {}
    if subscription.auto_renew:
        replaced["autoRenewEnabled"] = "true"
    if (next_term := members.get(NEXT_TERM)) and text[next_term.start : next_term.end] != "null":
        replaced["scheduledNextTermInstructions"] = text[next_term.start : next_term.end]
    if subscription.needs_action and (actions := members.get("scheduledactions")):
        written = text[actions.start : actions.end]
        out = [action for action in _elements(text, actions) if _is_other_end(json.loads(action))]
        if out:
            replaced["scheduledActions"] = f"[{', '.join(out)}]"
        elif written != "null" and not written.startswith("["):  # what it means nobody knows
            replaced["scheduledActions"] = written
    return f"{{{', '.join(f'"{name}": {value}' for name, value in replaced.items())}}}" if replaced else None


def spelling_of(subscription: Subscription) -> str:
    """Return the name by which *subscription* spells the time of its actions; the likelier one if it has none."""
    return SPELLINGS[1] if subscription.spellings == {SPELLINGS[1]} else SPELLINGS[0]


def subscription_in(content: object, read_at: float = 0.0, text: str = "") -> Subscription | None:
    """Return the subscription in *content*; None if it has no id."""
    members = lower_names(content)
    subscription_id = to_text(members.get("id"))
    if not subscription_id:
        return None
    name = to_text(members.get("offername")) or to_text(members.get("friendlyname"))
    actions = members.get("scheduledactions")
    actions = [lower_names(action) for action in actions] if isinstance(actions, list) else []
    return Subscription(
        subscription_id=subscription_id,
        order_id=to_text(members.get("orderid")),
        offer_id=to_text(members.get("offerid")),
        name=name,
        quantity=to_integer(members.get("quantity")),
        status=to_lower(members.get("status")),
        kind=_kind(members),
        is_trial=members.get("istrial") is True,
        is_extended=EXTENDED in (name or "").lower(),
        auto_renew=to_boolean(members.get("autorenewenabled")),
        term_duration=to_text(members.get("termduration")),
        created=to_datetime(members.get("creationdate")),
        term_began=to_datetime(members.get("effectivestartdate")) or to_datetime(members.get("creationdate")),
        term_ends=_term_ends(members),
        cancellable_until=to_datetime(members.get("cancellationalloweduntildate")),
        refunds=_refunds(members.get("refundoptions")),
        removable=_removable(members.get("refundablequantity")),
        has_cancel_action=_has_cancel_action(actions),
        spellings=frozenset(name for action in actions for name in SPELLINGS if action.get(name.lower()) is not None),
        read_at=read_at,
        text=text,
    )


def _kind(members: Mapping[str, Any]) -> Kind:
    """Return the kind. SaaS of the marketplace has no product type in samples, and says that it is not Microsoft's."""
    product_type = lower_names(members.get("producttype"))
    type_id = to_lower(product_type.get("id"))
    sub_type = to_lower(lower_names(product_type.get("subtype")).get("id"))
    if sub_type == "savingsplan":
        return Kind.SAVINGS_PLAN
    known = {"onlineservicesnce": Kind.LICENCE, "software": Kind.SOFTWARE}
    if type_id in known:
        return known[type_id]
    if members.get("ismicrosoftproduct") is False or (type_id == "azure" and sub_type == "saas"):
        return Kind.SAAS
    if type_id == "azure":
        return Kind.AZURE_PLAN
    return Kind.UNKNOWN if type_id else Kind.LEGACY_LICENCE


def _term_ends(members: Mapping[str, Any]) -> datetime | None:
    """Return the end of the present term. `commitmentEndDate` is a day that still belongs to it, as midnight."""
    end = to_datetime(members.get("commitmentenddatetime"))
    if end is None and (end := to_datetime(members.get("commitmentenddate"))):
        is_midnight = (end.hour, end.minute, end.second) == (0, 0, 0)
        end = end + timedelta(days=1, seconds=-1) if is_midnight and end.year < NO_END else end
    return end if end and end.year < NO_END else None


def _refunds(options: object) -> tuple[tuple[str, datetime | None], ...]:
    """Return the refund options. Samples call the moment `expiresAt`, a table of the documentation `expiresAfter`.

    An option whose moment cannot be read is left out.
    """
    found = []
    for option in map(lower_names, options if isinstance(options, list) else []):
        value = option.get("expiresat") if option.get("expiresat") is not None else option.get("expiresafter")
        kind, expires = to_lower(option.get("type")), to_datetime(value)
        if kind and (value is None or expires):
            found.append((kind, expires))
    return tuple(found)


def _removable(quantity: object) -> tuple[tuple[int, datetime | None], ...]:
    details = lower_names(quantity).get("details")
    batches = map(lower_names, details if isinstance(details, list) else [])
    return tuple(
        (seats, to_datetime(batch.get("alloweduntildatetime")))
        for batch in batches
        if (seats := to_integer(batch.get("quantity")))
    )


def _has_cancel_action(actions: list[dict[str, Any]]) -> bool:
    """True if an action ends the subscription with its term, and none prolongs it."""
    at_end = [to_lower(action.get("actiontype")) for action in actions if _is_for_term_end(action)]
    return bool(at_end) and set(at_end) == {"cancel"}


def _is_for_term_end(action: object) -> bool:
    """True if *action* is for the end of the term, by each of the names that it has for its time."""
    members = lower_names(action)
    times = [members.get(name.lower()) for name in SPELLINGS]
    return {to_lower(time) for time in times if time is not None} == {"termend"}


def _is_other_end(action: object) -> bool:
    """True if *action* is one for the end of the term other than a cancellation."""
    return _is_for_term_end(action) and to_lower(lower_names(action).get("actiontype")) != "cancel"


class _Member(NamedTuple):
    """A member of the outermost object: its *name*, that as it is *written*, and where its value stands."""

    name: str
    written: str
    start: int
    end: int


def _members(text: str) -> dict[str, _Member]:
    """Return the members of the outermost object in *text*, by their names in lower case.

    Raises ValueError, IndexError or RecursionError if *text* is no JSON object, or has a name twice in any case.
    """
    members: dict[str, _Member] = {}
    position = _skip_blanks(text, 0)
    if text[position] != "{":
        raise ValueError("no object")
    position = _skip_blanks(text, position + 1)
    while text[position] != "}":
        name, name_end = _decode(text, position)
        written, position = text[position:name_end], name_end
        start = _skip_blanks(text, _skip_blanks(text, position) + 1)  # past the colon
        _, end = _decode(text, start)
        if name.lower() in members:
            raise ValueError("a name is there twice")
        members[name.lower()] = _Member(name, written, start, end)
        position = _skip_blanks(text, end)
        if text[position] == ",":
            position = _skip_blanks(text, position + 1)
    return members


def _elements(text: str, member: _Member) -> list[str]:
    """Return the texts of the elements of the list that *member* is; none if it is no list."""
    if text[member.start] != "[":
        return []
    elements = []
    position = _skip_blanks(text, member.start + 1)
    while text[position] != "]":
        _, end = _decode(text, position)
        elements.append(text[position:end])
        position = _skip_blanks(text, end)
        if text[position] == ",":
            position = _skip_blanks(text, position + 1)
    return elements


def _skip_blanks(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position
