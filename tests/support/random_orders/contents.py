"""The order and the subscriptions of a plan, in the form of Partner Center."""

import itertools
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from infra.local.partner_center.entries import Behaviour, Entry, ProductKind, SubscriptionEntry, kind_of
from infra.local.partner_center.members import pascal_case
from infra.local.partner_center.resources import licence, line, link, order, saas, software, subscription
from infra.local.partner_center.subscription_cases import azure_plan, legacy_subscription
from infra.local.partner_center.subscription_terms import EXTENDED, term_members
from infra.local.values import Json
from tests.support.random_orders.plans import ACTIONS, LinePlan, Scenario

CUSTOMER = "45411344-b09d-47e7-9653-542006bf9766"
WITH_RENEWAL = {ProductKind.LICENCE, ProductKind.SOFTWARE_SUBSCRIPTION, ProductKind.SAAS}  # that a PATCH can change
ONE_OF_EACH = itertools.count(1)

KINDS: dict[str, str] = {
    "licence": ProductKind.LICENCE,
    "trial": ProductKind.LICENCE,
    "software": ProductKind.SOFTWARE,
    "software subscription": ProductKind.SOFTWARE_SUBSCRIPTION,
    "SaaS": ProductKind.SAAS,
    "legacy": ProductKind.LEGACY_LICENCE,
    "Azure plan": ProductKind.AZURE_PLAN,
    "savings plan": ProductKind.SAVINGS_PLAN,
    "unknown": "QuantumServices",
}


@dataclass(frozen=True)
class Contents:
    """An order, its lines, which it may not show, and its subscriptions.

    *own* has the id of each line's subscription, None for a line without one. *spellings* has the names by which a
    subscription knows the time of an action, if these are not all.
    """

    order: Entry
    lines: list[Json]
    subscriptions: list[SubscriptionEntry]
    own: list[str | None]
    spellings: dict[str, set[str]]
    order_id: str
    alternate_id: str | None

    @property
    def ids(self) -> list[str]:
        """All ids, in lower case."""
        subscriptions = [entry.subscription_id for entry in self.subscriptions]
        return [one_id.lower() for one_id in (self.order_id, self.alternate_id, *subscriptions) if one_id]


def make_contents(scenario: Scenario) -> Contents:
    """Return the order and subscriptions of *scenario*, with ids that no other call has returned."""
    number = next(ONE_OF_EACH)
    order_id = {
        "33 characters": f"random-order-{number:019}1",
        "12 digits": f"{number:012x}",
        "GUID": str(uuid.uuid5(uuid.NAMESPACE_URL, f"random/{number}")),
    }[scenario.id_form]
    alternate_id = f"{number:06x}ffffff" if scenario.has_alternate_id else None
    created = datetime.now(UTC) - timedelta(days=scenario.age_days)
    own: list[str | None] = []
    entries: list[SubscriptionEntry] = []
    lines: list[Json] = []
    spellings: dict[str, set[str]] = {}
    for place, plan in enumerate(scenario.lines):
        has_one = plan.kind != "software"
        is_shared = has_one and plan.shares and bool(own) and own[-1] is not None
        guid = own[-1] if is_shared else str(uuid.uuid5(uuid.NAMESPACE_URL, f"random/{number}/{place}"))
        own.append(guid if has_one else None)
        lines.append(_line(place, plan, guid, scenario))
        if has_one and not is_shared and guid:
            begun_by = {"id": order_id, "alternateId": alternate_id, "other": "ffffffffffff", "none": None}
            content = _subscription(plan, guid, begun_by[plan.begun_by], lines[-1] | {"quantity": plan.seats}, created)
            entries.append(SubscriptionEntry(content, CUSTOMER, "", plan.patch_answers))
            if plan.knows != "both":
                spellings[guid] = {str(plan.knows)} - {"none"}
    if scenario.has_stray:
        guid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"random/{number}/stray"))
        entries.append(SubscriptionEntry(licence(guid, CUSTOMER, order_id, _stray_line(), created), CUSTOMER, ""))
    content = order(order_id, CUSTOMER, created, lines) | {"alternateId": alternate_id, "status": scenario.order_status}
    if alternate_id is None:
        del content["alternateId"]
    if not scenario.shows_lines:
        del content["lineItems"]
    kinds = {place: KINDS[plan.kind] for place, plan in enumerate(scenario.lines)}
    entry = Entry(content, CUSTOMER, kinds[0], "", Behaviour.NO_LIMITS, line_kinds=kinds)
    return Contents(entry, lines, entries, own, spellings, order_id, alternate_id)


def _stray_line() -> Json:
    return line(0, "CFQ7TTC0LSTR:0001:CFQ7TTC0LSTR", "Stray", "P1Y")


def _line(number: int, plan: LinePlan, guid: str | None, scenario: Scenario) -> Json:
    offer = f"{plan.kind.upper().replace(' ', '-')}:{plan.offer:04}:OFFER"
    content = line(number, offer, f"{plan.kind} {plan.offer}", scenario.term, quantity=plan.seats)
    content["transactionType"] = plan.transaction
    if plan.transaction is None:
        del content["transactionType"]
    if plan.is_cancelled:
        content["quantity"] = 0
    if plan.kind == "savings plan":
        content["purchaseCommitment"] = {"amount": 1.5, "currency": "USD", "grain": "hourly"}
    if plan.kind != "software" and plan.names == "member":
        content["subscriptionId"] = guid.upper() if plan.is_odd and guid else guid
    elif plan.kind != "software" and plan.names == "link":
        content["links"]["subscription"] = link(f"/customers/{CUSTOMER}/subscriptions/{guid}")
    return content


def _subscription(plan: LinePlan, guid: str, order_id: str | None, order_line: Json, created: datetime) -> Json:
    content = _of_kind(plan.kind, guid, order_id or "", {**order_line, "subscriptionId": guid}, created)
    content["status"] = plan.status
    content["orderId"] = order_id
    content["autoRenewEnabled"] = content["autoRenewEnabled"] and plan.auto_renew
    if content["autoRenewEnabled"] and KINDS[plan.kind] in WITH_RENEWAL:
        content["scheduledNextTermInstructions"] = {"quantity": 9}
    if plan.action in ACTIONS and KINDS[plan.kind] in WITH_RENEWAL:
        content["scheduledActions"] = [ACTIONS[plan.action]]
    content["quantity"] = None if plan.added_seats is None else order_line["quantity"] + plan.added_seats
    absent = {
        "first, by day": {"commitmentEndDateTime"},
        "missing": {"commitmentEndDate", "commitmentEndDateTime"},
    }.get(plan.term, set())
    if plan.term in {"renewed", "extended"}:
        content |= renewal(content)
    if plan.term == "extended":
        content["offerName"] = f"{content['offerName']} ({EXTENDED})"
    content = {name: value for name, value in content.items() if value is not None and name not in absent}
    if not plan.is_odd:
        return content
    odd: Json = {"futureMember": {"deep": [1, 2.50, "é", None]}, "scheduledNextTermInstructions": {"quantity": 3}}
    in_pascal_case: Json = pascal_case(content | odd)
    return in_pascal_case


def _of_kind(kind: str, guid: str, order_id: str, order_line: Json, created: datetime) -> Json:
    of_line = (guid, CUSTOMER, order_id, order_line, created)
    with_term = (*of_line[:3], order_line | {"termDuration": order_line["termDuration"] or "P1Y"}, created)
    match kind:
        case "software subscription":
            content = software(*with_term)
        case "SaaS":
            content = saas(*of_line)
        case "legacy":
            content = legacy_subscription(*of_line[1:])
        case "Azure plan":
            content = azure_plan(*of_line[1:])
        case "savings plan":
            sub_type = {"id": "SavingsPlan", "displayName": "SavingsPlan"}
            content = subscription(*of_line) | {"productType": {"id": "Azure", "subType": sub_type}}
        case _:
            of_kind: Json = {"trial": {"isTrial": True}, "unknown": {"productType": {"id": "QuantumServices"}}}
            content = licence(*with_term) | of_kind.get(kind, {})
    return content


def renewal(content: Json) -> Json:
    """Return the members of *content*, a subscription, that differ after a renewal yesterday for three years."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return {
        "effectiveStartDate": f"{yesterday:%Y-%m-%dT%H:%M:%SZ}",
        **term_members(yesterday, "P3Y", content.get("quantity")),
        "termDuration": "P3Y",
    }


def changed(content: Json, change: str) -> Json:
    """Return *content*, a subscription, after a *change* by somebody else."""
    names = {name.lower(): name for name in content}

    def named(**members: object) -> Json:
        return {names.get(name.lower(), name): value for name, value in members.items()}

    match change:
        case "more seats":
            return content | named(quantity=(content.get(names.get("quantity", ""), 0) or 0) + 3)
        case "renewed":
            return content | named(**renewal({}))
        case "deleted":
            return content | named(status="deleted")
        case "suspended":
            return content | named(status="suspended", autoRenewEnabled=False)
        case "scheduled" if kind_of(content) in WITH_RENEWAL:
            return content | named(autoRenewEnabled=False, scheduledActions=[ACTIONS["cancel"]])
        case _:
            return content | named(friendlyName="renamed by somebody else")
