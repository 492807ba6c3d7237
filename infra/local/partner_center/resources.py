"""Orders, their lines and subscriptions, in the form of Microsoft's pages, and the customers who have them.

Source: learn.microsoft.com/partner-center/developer/ order-resources, subscription-resources and the samples of
get-a-subscription-by-id, change-the-quantity, get-all-of-a-customer-s-subscriptions,
cancel-an-azure-marketplace-subscription (read 2026-11-28).
"""

import hashlib
import uuid
from datetime import UTC, datetime, timedelta

from infra.local.partner_center.subscription_terms import SAAS_WINDOW, term_members
from infra.local.values import Json

# The customers, by their orders.
SOFTWARE_CUSTOMER = "45411344-b09d-47e7-9653-542006bf9766"  # has most of the orders
ONE_LINE_CUSTOMER = "bd59b416-37f9-4d8f-8df3-5750111fc615"
AZURE_CUSTOMER = "b0d70a69-4c42-4b27-b17b-91a835d8686a"
MARKETPLACE_CUSTOMER = "28045616-f6b9-462f-9701-0d89b5e65c44"
LICENCE_CUSTOMER = "f81d98dd-c2f4-499e-a194-5619e260344e"
UNRELATED_CUSTOMER = "4d3cf487-70f4-4e1e-9ff1-b2bfce8d9f04"  # has no relationship with this partner


def order(order_id: str, customer: str, created: datetime, lines: list[Json]) -> Json:
    uri = f"/customers/{customer}/orders/{order_id}"
    return {
        "id": order_id,
        "alternateId": short_id(order_id),
        "referenceCustomerId": customer,
        "billingCycle": "one_time",
        "currencyCode": "USD",
        "currencySymbol": "$",
        "lineItems": lines,
        "creationDate": f"{created.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.1306495Z",
        "status": "completed",
        "transactionType": "UserPurchase",
        "links": {
            "self": link(uri),
            "provisioningStatus": link(f"{uri}/provisioningstatus"),
            "patchOperation": link(uri, "PATCH"),
        },
        "client": {
            "marketplaceCountry": "US",
            "deviceFamily": "UniversalStore-PartnerCenter",
            "name": "Partner Center",
        },
        "attributes": {"objectType": "Order"},
    }


def short_id(name: str) -> str:
    """Return an id of twelve hexadecimal digits, as orders of licences have; the same for the same *name*."""
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def subscription_guid(name: str, number: int = 0) -> str:
    """Return the id of the subscription for line *number* of the order *name*; the same for the same arguments."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"local/subscription/{name}/{number}"))


def line(number: int, offer_id: str, name: str, term: str, **members: object) -> Json:
    line = {"lineItemNumber": number, "offerId": offer_id, "termDuration": term, "transactionType": "New"}
    return line | {"friendlyName": name, "quantity": 1} | members | {"links": product_links(offer_id)}


def product_links(offer_id: str) -> Json:
    product, sku, availability = offer_id.split(":")
    uri = f"/products/{product}"
    return {
        "product": link(f"{uri}?country=US"),
        "sku": link(f"{uri}/skus/{sku}?country=US"),
        "availability": link(f"{uri}/skus/{sku}/availabilities/{availability}?country=US"),
    }


def link(uri: str, method: str = "GET") -> Json:
    return {"uri": uri, "method": method, "headers": []}


def subscription(subscription_id: str, customer: str, order_id: str, order_line: Json, started: datetime) -> Json:
    """Return the subscription that *order_line* began at *started*, without its product type and dates of the term."""
    offer_id, name = order_line["offerId"], order_line["friendlyName"]
    return {
        "id": subscription_id,
        "offerId": offer_id,
        "offerName": name,
        "friendlyName": name,
        "quantity": order_line["quantity"],
        "unitType": "Licenses",
        "hasPurchasableAddons": False,
        "creationDate": f"{started:%Y-%m-%dT%H:%M:%S}.0966728Z",
        "effectiveStartDate": f"{started:%Y-%m-%dT%H:%M:%S}.4982520Z",
        "status": "active",
        "autoRenewEnabled": True,
        "isTrial": False,
        "billingType": "license",
        "billingCycle": "annual",
        "termDuration": order_line["termDuration"],
        "renewalTermDuration": "",
        "isMicrosoftProduct": True,
        "partnerId": "",
        "attentionNeeded": False,
        "actionTaken": False,
        "contractType": "subscription",
        "links": {
            **(product_links(offer_id) if offer_id.count(":") == 2 else {}),
            "self": link(f"/customers/{customer}/subscriptions/{subscription_id}"),
        },
        "publisherName": "Microsoft Corporation",
        "orderId": order_id,
        "attributes": {"objectType": "Subscription"},
    }


def licence(subscription_id: str, customer: str, order_id: str, order_line: Json, started: datetime) -> Json:
    """Return a subscription of new-commerce licences in its first term."""
    own = {"productType": {"id": "OnlineServicesNCE", "displayName": "OnlineServicesNCE"}}
    dates = term_members(started, order_line["termDuration"], order_line["quantity"])
    return subscription(subscription_id, customer, order_id, order_line, started) | own | dates


def software(subscription_id: str, customer: str, order_id: str, order_line: Json, started: datetime) -> Json:
    """Return a software subscription. As in the sample it tells neither refundOptions nor refundableQuantity."""
    content = licence(subscription_id, customer, order_id, order_line, started)
    del content["refundOptions"], content["refundableQuantity"]
    return content | {"productType": {"id": "Software", "displayName": "Software"}}


def saas(subscription_id: str, customer: str, order_id: str, order_line: Json, started: datetime) -> Json:
    """Return a SaaS subscription of the marketplace. As in the samples it has no product type and no deadline."""

    def text(date: datetime) -> str:
        return f"{date:%Y-%m-%dT%H:%M:%S}.9263727+00:00"

    own = {
        "unitType": "License(s)",
        "effectiveStartDate": text(started),
        "commitmentEndDate": text(started + timedelta(days=30)),
        "billingCycle": "monthly",
        "refundOptions": [{"type": "Full", "expiresAt": text(started + SAAS_WINDOW)}],
        "isMicrosoftProduct": False,
        "publisherName": "Barracuda Networks, Inc.",
        "attributes": {"etag": "", "objectType": "Subscription"},
    }
    return subscription(subscription_id, customer, order_id, order_line, started) | own
