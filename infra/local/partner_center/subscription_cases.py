"""The orders that exist at the start for the sake of their subscriptions, each with the subscriptions that it began.

They cover the kinds and conditions of a subscription that a client can tell apart; those of licences are in
`licence_cases`. Ids are made from the names, so they stay the same over restarts; dates are relative to the start.
An id of twelve hexadecimal digits cannot say what it shows, so the notes do: what Partner Center answers to a
cancellation, and why.

Source: learn.microsoft.com/partner-center/developer/ subscription-resources, purchase-an-add-on-to-a-subscription,
get-a-subscription-by-id; customers/new-commerce-cancellation-policy (read 2026-11-28).
"""

import base64
import json
import uuid
from datetime import datetime, timedelta

from infra.local.partner_center.entries import Case, Entry, ProductKind, SubscriptionEntry
from infra.local.partner_center.licence_cases import licence_cases
from infra.local.partner_center.refusals import Refusal
from infra.local.partner_center.resources import (
    AZURE_CUSTOMER,
    MARKETPLACE_CUSTOMER,
    SOFTWARE_CUSTOMER,
    line,
    link,
    order,
    saas,
    short_id,
    software,
    subscription,
    subscription_guid,
)
from infra.local.partner_center.subscription_rules import STATUS_FIXED
from infra.local.partner_center.subscription_terms import add_term
from infra.local.values import Json

NOT_ACTIVATED = Refusal(400, "800081", "The subscription is not activated yet.")
ORDER_FIXED = Refusal(400, "800061", "The order cannot be cancelled.")


def subscription_cases(now: datetime) -> list[Case]:
    """Return all cases, with dates relative to *now* (aware)."""
    days_2, days_10 = now - timedelta(days=2), now - timedelta(days=10)
    return [
        *licence_cases(now),
        _legacy_add_on(now - timedelta(days=100)),
        _marketplace("saas-10-days-old", "too old: its window of 72 hours has passed", days_10),
        _marketplace(
            "saas-trial",
            "a trial: can be cancelled at any time, and is not given a second time",
            days_10,
            members={"isTrial": True, "refundOptions": None},
        ),
        # Guess: it looks like any other one. SaaS is called active before its activation, too.
        _marketplace(
            "saas-not-activated",
            "not activated at the publisher's yet: no change is possible",
            days_2,
            refusal=NOT_ACTIVATED,
        ),
        _empty_azure_plan(days_2),
        _suse(days_2),
    ]


def _marketplace(
    name: str, note: str, bought: datetime, *, refusal: Refusal | None = None, members: Json | None = None
) -> Case:
    """Return SaaS. As in Microsoft's sample of such an order, its line does not name the subscription."""
    order_line = line(0, "DZH318Z0BXWC:0002:DZH318Z0BMRV", "Barracuda WaaS - Medium Plan", "P1M")
    order_id = f"{name}-".ljust(32, "0") + "1"
    content = order(order_id, MARKETPLACE_CUSTOMER, bought, [order_line]) | {"billingCycle": "monthly"}
    own = saas(subscription_guid(name), MARKETPLACE_CUSTOMER, order_id, order_line, bought) | (members or {})
    return Case(
        Entry(content, MARKETPLACE_CUSTOMER, ProductKind.SAAS, f"its subscription: {note}"),
        (SubscriptionEntry(own, MARKETPLACE_CUSTOMER, note, refusal=refusal),),
    )


def _legacy_add_on(bought: datetime) -> Case:
    """Return a legacy licence with an add-on that was bought into the same order, as in Microsoft's sample."""
    name = "legacy-add-on"
    order_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"local/order/{name}"))
    base_id, add_on_id = subscription_guid(name, 0).upper(), subscription_guid(name, 1).upper()
    uri = f"/customers/{AZURE_CUSTOMER}/subscriptions"
    lines: list[Json] = [
        {
            "lineItemNumber": number,
            "offerId": offer,
            "subscriptionId": guid,
            "friendlyName": offer_name,
            "quantity": quantity,
            "links": {"subscription": link(f"{uri}/{guid}")},
        }
        for number, (guid, offer, offer_name, quantity) in enumerate(
            (
                (base_id, "195416C1-3447-423A-B37B-EE59A99A19C4", "Exchange Online (Plan 1)", 5),
                (add_on_id, "2828BE95-46BA-4F91-B2FD-0BEF192ECF60", "Exchange Online Archiving", 2),
            )
        )
    ]
    note = "a legacy licence and its add-on: each can be suspended, not cancelled"
    content = order(order_id, AZURE_CUSTOMER, bought, lines) | {"billingCycle": "none"}
    del content["alternateId"]
    base = legacy_subscription(AZURE_CUSTOMER, order_id, lines[0], bought)
    add_on = legacy_subscription(AZURE_CUSTOMER, order_id, lines[1], bought) | {"parentSubscriptionId": base_id}
    add_on["links"] |= {"parentSubscription": link(f"{uri}/{base_id}")}
    return Case(
        Entry(content, AZURE_CUSTOMER, ProductKind.LEGACY_LICENCE, note),
        (
            SubscriptionEntry(base, AZURE_CUSTOMER, f"the base: suspending it suspends its add-on; {note}"),
            SubscriptionEntry(add_on, AZURE_CUSTOMER, f"the add-on; {note}"),
        ),
    )


def legacy_subscription(customer: str, order_id: str, order_line: Json, started: datetime) -> Json:
    """Return a legacy subscription as Microsoft's samples show it: with an ETag and without a product type."""
    guid = order_line["subscriptionId"]
    content = subscription(guid, customer, order_id.upper(), order_line | {"termDuration": None}, started)
    for name in ("termDuration", "isTrial", "renewalTermDuration", "isMicrosoftProduct", "publisherName"):
        del content[name]
    version = json.dumps({"id": guid.lower(), "version": 1}, separators=(",", ":"))
    return content | {
        "billingCycle": "monthly",
        "commitmentEndDate": f"{add_term(started, 'P1Y'):%Y-%m-%dT00:00:00Z}",
        "attributes": {"etag": base64.b64encode(version.encode()).decode(), "objectType": "Subscription"},
    }


def _empty_azure_plan(bought: datetime) -> Case:
    name, note = "azure-plan-empty", "an Azure plan without active Azure subscriptions: can be suspended, not cancelled"
    order_line = line(0, "DZH318Z0BPS6:0001:DZH318Z0BML6", "Azure plan", "", subscriptionId=subscription_guid(name))
    order_id = short_id(name)
    content = order(order_id, AZURE_CUSTOMER, bought, [order_line]) | {"alternateId": order_id}
    plan = azure_plan(AZURE_CUSTOMER, order_id, order_line, bought)
    return Case(
        Entry(content, AZURE_CUSTOMER, ProductKind.AZURE_PLAN, note),
        (SubscriptionEntry(plan, AZURE_CUSTOMER, note),),
    )


def azure_plan(customer: str, order_id: str, order_line: Json, started: datetime) -> Json:
    """Return an Azure plan. Guess: no public sample shows one; it is made after the savings plan and legacy Azure."""
    own = {
        "productType": {"id": "Azure", "displayName": "Azure"},
        "unitType": "Usage-based",
        "billingType": "usage",
        "billingCycle": "monthly",
        "autoRenewEnabled": False,
        "commitmentEndDate": "9999-12-10T00:00:00Z",
    }
    return subscription(order_line["subscriptionId"], customer, order_id, order_line, started) | own


def _suse(bought: datetime) -> Case:
    """Return software that can never be cancelled (new-commerce-cancellation-policy). Guess: the codes."""
    name, note = "suse", "Red Hat and SUSE can never be cancelled, neither as an order nor by its subscription"
    order_line = line(
        0,
        "DG7GMGF0D7HX:0002:DG7GMGF0FL55",
        "SUSE Linux Enterprise Server - 1 year",
        "P1Y",
        subscriptionId=subscription_guid(name),
    )
    order_id = f"{name}-".ljust(32, "0") + "1"
    content = order(order_id, SOFTWARE_CUSTOMER, bought, [order_line])
    own = software(subscription_guid(name), SOFTWARE_CUSTOMER, order_id, order_line, bought)
    return Case(
        Entry(content, SOFTWARE_CUSTOMER, ProductKind.SOFTWARE_SUBSCRIPTION, note, refusal=ORDER_FIXED),
        (SubscriptionEntry(own, SOFTWARE_CUSTOMER, note, refusal=STATUS_FIXED),),
    )
