"""The subscriptions that exist at the start: those of `subscription_cases`, and those of the orders in `catalogue`.

Source: learn.microsoft.com/partner-center/developer/ subscription-resources, cancel-an-azure-subscription, and the
samples of get-a-subscription-by-id (read 2026-11-28).
"""

from datetime import UTC, datetime

from infra.local.partner_center.catalogue import orders_of_kinds
from infra.local.partner_center.entries import Entry, ProductKind, SubscriptionEntry
from infra.local.partner_center.members import date_member, member
from infra.local.partner_center.refusals import Refusal
from infra.local.partner_center.resources import licence, saas, software, subscription, subscription_guid
from infra.local.partner_center.subscription_cases import (
    azure_plan,
    legacy_subscription,
    subscription_cases,
)
from infra.local.partner_center.subscription_terms import WINDOW, add_term
from infra.local.values import Json

ACTIVE_AZURE_SUBSCRIPTIONS = Refusal(403, "900115", "The Azure plan has active Azure subscriptions.")


def built_in_subscriptions(now: datetime) -> list[SubscriptionEntry]:
    """Return a subscription for each kind and condition, with dates relative to *now* (aware)."""
    of_orders = [entry for order in orders_of_kinds(now) if (entry := _subscription_of(order, now))]
    return [*of_orders, *(entry for case in subscription_cases(now) for entry in case.subscriptions)]


def _subscription_of(entry: Entry, now: datetime) -> SubscriptionEntry | None:
    """Return the subscription that an order of the catalogue began, or None for kinds that have none.

    Guess: an order that can be cancelled as SaaS of 2021 has a subscription like any other SaaS.
    """
    created = date_member(entry.order, "creationDate") or now
    customer, order_id = entry.customer_tenant_id, entry.order_id
    lines: list[Json] = member(entry.order, "lineItems") or []
    if not lines or entry.refusal:
        return None
    order_line = lines[0]
    guid = member(order_line, "subscriptionId") or subscription_guid(order_id)
    refusal = None
    match entry.kind:
        case ProductKind.LICENCE:
            content = licence(guid, customer, order_id, order_line, created) | {"billingCycle": "monthly"}
            note = "in its window of 7 days, which began 2 days ago"
        case ProductKind.SOFTWARE_SUBSCRIPTION:
            content = software(guid, customer, order_id, order_line, created)
            is_open = now - created < WINDOW
            note = "in its window of 7 days" if is_open else "too old: its window of 7 days has passed"
        case ProductKind.SAAS | ProductKind.SAAS_2021:
            content = saas(guid, customer, order_id, order_line, created)
            note = "in its window of 72 hours, which began 2 days ago"
        case ProductKind.AZURE_PLAN:
            content = azure_plan(customer, order_id, order_line | {"subscriptionId": guid}, created)
            note, refusal = "has active Azure subscriptions, so that it cannot be changed", ACTIVE_AZURE_SUBSCRIPTIONS
        case ProductKind.SAVINGS_PLAN:
            content = _savings_plan(guid, entry, order_line, created)
            note = "managed in Azure only"
        case ProductKind.LEGACY_LICENCE:
            content = _renewed_every_year(order_line, entry, created.astimezone(UTC), now)
            note = "a legacy licence with an ETag: it can be suspended, not cancelled"
        case _:
            return None
    return SubscriptionEntry(content, customer, note, refusal=refusal)


def _renewed_every_year(order_line: Json, entry: Entry, created: datetime, now: datetime) -> Json:
    """Return the legacy subscription of an order that is older than a year."""
    years = now.year - created.year - (created.replace(year=now.year) > now)
    term = created.replace(year=created.year + years)
    content = legacy_subscription(entry.customer_tenant_id, entry.order_id, order_line, term)
    return content | {"creationDate": f"{created:%Y-%m-%dT%H:%M:%S}.253Z"}


def _savings_plan(guid: str, entry: Entry, order_line: Json, created: datetime) -> Json:
    sub_type = {"id": "SavingsPlan", "displayName": "SavingsPlan"}
    last_day = add_term(created, order_line["termDuration"])
    plan_line = {
        "id": subscription_guid(f"{entry.order_id}/line"),
        "friendlyName": order_line["friendlyName"],
        "autoRenewEnabled": True,
        "status": "active",
        "purchaseCommitment": order_line["purchaseCommitment"],
    }
    own = {
        "productType": {"id": "Azure", "displayName": "Azure", "subType": sub_type},
        "unitType": "Benefit",
        "billingType": "benefit",
        "billingCycle": "one_time",
        "commitmentEndDate": f"{last_day:%Y-%m-%dT00:00:00Z}",
        "lineItems": [plan_line],
    }
    return subscription(guid, entry.customer_tenant_id, entry.order_id, order_line, created) | own
