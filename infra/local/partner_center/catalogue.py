"""The orders that exist at the start: one for each behaviour of Partner Center.

They cover every kind of product, every state, and every refusal of Microsoft's error table. An order's id says
what it shows and stays the same over restarts; its dates are relative to the start. Orders of licences and others
that are there for their subscriptions are in `subscription_catalogue`. An order from a file (`files`) with the id of
an order here replaces it.

Source: learn.microsoft.com/partner-center/developer/ order-resources, error-codes,
cancel-an-order-from-the-integration-sandbox, cancel-software-purchases (read 2026-11-21).
"""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from infra.local.partner_center.entries import Behaviour, Entry, ProductKind
from infra.local.partner_center.members import pascal_case
from infra.local.partner_center.refusals import ODD_REFUSALS, REFUSALS, Refusal
from infra.local.partner_center.resources import (
    AZURE_CUSTOMER,
    LICENCE_CUSTOMER,
    MARKETPLACE_CUSTOMER,
    ONE_LINE_CUSTOMER,
    SOFTWARE_CUSTOMER,
    UNRELATED_CUSTOMER,
    line,
    link,
    order,
)
from infra.local.partner_center.subscription_cases import subscription_cases
from infra.local.values import Json


def built_in_orders(now: datetime) -> list[Entry]:
    """Return an order for each kind of product and each behaviour, with dates relative to *now* (aware)."""
    recent = now - timedelta(days=2)
    refusals = {refusal.code: refusal for refusal in REFUSALS} | ODD_REFUSALS
    return [
        *orders_of_kinds(now),
        *_unusual(recent),
        *(case.entry for case in subscription_cases(now)),
        *(
            _entry(
                f"refused-with-{name}", recent, [SQL], f"{refusal.status} {refusal.message}".strip(), refusal=refusal
            )
            for name, refusal in refusals.items()
        ),
    ]


def orders_of_kinds(now: datetime) -> list[Entry]:
    """Return orders of every kind of product, of which `subscription_catalogue` has the subscriptions."""
    recent = now - timedelta(days=2)
    return [*_software(recent), *_too_old(now), *_other_products(recent), _legacy()]


SQL = line(0, "DG7GMGF0FKZV:0003:DG7GMGF0DWMS", "SQL Server Enterprise - 2 Core License Pack - 3 year", "P3Y")
CAL = line(1, "DG7GMGF0DVT7:000C:DG7GMGF0FVZM", "Windows Server CAL - 1 Device CAL - 3 year", "P3Y")
SQL_YEAR = line(0, "DG7GMGF0FKZV:0003:DG7GMGF0DQLM", "SQL Server Enterprise - 2 Core License Pack - 1 year", "P1Y")


def _entry(
    name: str,
    created: datetime,
    lines: list[Json],
    note: str,
    *,
    kind: ProductKind = ProductKind.SOFTWARE,
    customer: str = SOFTWARE_CUSTOMER,
    behaviour: Behaviour = Behaviour.NORMAL,
    refusal: Refusal | None = None,
    members: Json | None = None,
) -> Entry:
    """Return an order whose id is *name*, filled up to 33 characters and ending in 1, like a real id.

    *members* replace members of the order or add to them.
    """
    members = members or {}
    order_id = members.get("id") or f"{name}-".ljust(32, "0") + "1"
    return Entry(order(order_id, customer, created, lines) | members, customer, kind, note, behaviour, refusal)


def _software(recent: datetime) -> list[Entry]:
    """Return the two orders of Microsoft's pages, before their cancellation, and others like them."""
    identity_manager = line(0, "DG7GMGF0DWT0:0001:DG7GMGF0DSQR", "Microsoft Identity Manager 2016 - 1 User CAL", "")
    desktop = line(2, "DG7GMGF0DVSV:0009:DG7GMGF0FVM1", "Windows Server Remote Desktop CAL - 3 year", "P3Y")
    one_line = {"id": "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1", "alternateId": "11fc4bdfd47a"}
    two_lines = {"id": "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1", "alternateId": "c403d91b21d2"}
    return [
        _entry(
            "one-line",
            recent,
            [identity_manager],
            "perpetual software, one line: cancelled as an order, 2 days after its purchase",
            customer=ONE_LINE_CUSTOMER,
            members=one_line,
        ),
        _entry(
            "two-lines",
            recent,
            [SQL, CAL],
            "perpetual software, two lines: cancelled as an order",
            members=two_lines,
        ),
        _entry(
            "software-three-lines",
            recent,
            [SQL, CAL, desktop],
            "perpetual software, three lines: cancelled as an order",
        ),
        _entry(
            "software-subscription",
            recent,
            [SQL_YEAR],
            "software for a year: cancelled as an order, in its window of 7 days",
            kind=ProductKind.SOFTWARE_SUBSCRIPTION,
        ),
        _entry(
            "cancelled-already", recent, [SQL], "cancelled already: its status says so", members={"status": "cancelled"}
        ),
        _entry(
            "line-0-cancelled-already",
            recent,
            [SQL | {"quantity": 0}, CAL],
            "line 0 is cancelled already: its quantity is 0",
        ),
    ]


def _too_old(now: datetime) -> list[Entry]:
    days_10, days_40, days_70 = (now - timedelta(days=days) for days in (10, 40, 70))
    return [
        _entry(
            "software-40-days-old", days_40, [SQL], "too old in production, which allows 30 days; the sandbox allows 60"
        ),
        _entry("software-70-days-old", days_70, [SQL], "too old everywhere: the sandbox allows 60 days"),
        _entry(
            "subscription-10-days-old",
            days_10,
            [SQL_YEAR],
            "too old in production, which allows 7 days; the sandbox allows 60",
            kind=ProductKind.SOFTWARE_SUBSCRIPTION,
        ),
    ]


def _other_products(recent: datetime) -> list[Entry]:
    reserved = line(0, "DZH318Z0BQ4Z:002L:DZH318Z0CMNP", "Reserved VM Instance, NC12, AU East, 1 year", "P1Y")
    saas = line(0, "DZH318Z0BXWC:0002:DZH318Z0BMRV", "Barracuda WaaS - Medium Plan", "P1M")
    subscription = {"subscriptionId": "fcddfa52-1da8-4529-d347-50ea51e1e7be"}
    licence = line(0, "CFQ7TTC0LH0Z:0001:CFQ7TTC0K18P", "AI Builder Capacity add-on", "P1M", **subscription)
    azure_plan = line(0, "DZH318Z0BPS6:0001:DZH318Z0BML6", "Azure plan", "")
    commitment = {"amount": 1.5, "currency": "USD", "grain": "hourly"}
    savings = line(0, "DZH318Z0BN4J:0004:DZH318Z0B3QG", "Savings plan", "P1Y", purchaseCommitment=commitment)
    monthly = {"billingCycle": "monthly"}
    short = {"id": "5cf72f146967", "alternateId": "5cf72f146967"} | monthly
    plan = {"id": "a68736758d9c", "alternateId": "a68736758d9c"}
    by_azure = partial(_entry, created=recent, customer=AZURE_CUSTOMER)
    by_marketplace = partial(_entry, created=recent, customer=MARKETPLACE_CUSTOMER, lines=[saas], members=monthly)
    return [
        by_azure(
            "reservation",
            lines=[reserved],
            note="cancelled as an order in the sandbox only, in production in Azure",
            kind=ProductKind.RESERVATION,
        ),
        by_azure(
            "savings-plan",
            lines=[savings],
            note="refused as an order and by its subscription: managed in Azure only",
            kind=ProductKind.SAVINGS_PLAN,
        ),
        by_azure(
            "azure-plan",
            lines=[azure_plan],
            note="refused as an order; its subscription has active Azure subscriptions, so that it cannot be changed",
            kind=ProductKind.AZURE_PLAN,
            members=plan,
        ),
        by_marketplace(
            "saas",
            note="refused as an order since 2022; its subscription is in its window of 72 hours",
            kind=ProductKind.SAAS,
        ),
        by_marketplace(
            "saas-2021",
            note="cancelled as an order in the sandbox, as until 2022, in production by its subscription",
            kind=ProductKind.SAAS_2021,
        ),
        _entry(
            "licence",
            recent,
            [licence],
            "refused as an order; its subscription is in its window of 7 days",
            kind=ProductKind.LICENCE,
            customer=LICENCE_CUSTOMER,
            members=short,
        ),
    ]


def _legacy() -> Entry:
    """Return the licence order of 2018 on Microsoft's pages: its id is a GUID, and it has an ETag and few members."""
    order_id, note = (
        "eeba9d00-7b46-443a-917e-22887a8fc993",
        "refused as an order; its subscription can be suspended, not cancelled",
    )
    subscription = "DB8C695B-1C3C-4C55-B697-771503DD46BF"
    content = {
        "id": order_id,
        "referenceCustomerId": AZURE_CUSTOMER,
        "billingCycle": "monthly",
        "currencyCode": "USD",
        "lineItems": [
            {
                "lineItemNumber": 0,
                "offerId": "E59159FC-6F67-4599-B3CB-17FF4020F643",
                "subscriptionId": subscription,
                "friendlyName": "Azure Active Directory Premium P2",
                "quantity": 1,
                "links": {"subscription": link(f"/customers/{AZURE_CUSTOMER}/subscriptions/{subscription}")},
            }
        ],
        "creationDate": "2018-03-06T17:37:05.253-08:00",
        "status": "completed",
        "links": {"self": link(f"/customers/{AZURE_CUSTOMER}/orders/{order_id}")},
        "attributes": {
            "etag": "eyJpZCI6ImVlYmE5ZDAwLTdiNDYtNDQzYS05MTdlLTIyODg3YThmYzk5MyIsInZlcnNpb24iOjF9",
            "objectType": "Order",
        },
    }
    return Entry(content, AZURE_CUSTOMER, ProductKind.LEGACY_LICENCE, note)


def _unusual(recent: datetime) -> list[Entry]:
    """Return orders whose answers can surprise a client."""
    bare = _entry("no-status-no-lines", recent, [], "has neither status nor lines; can be cancelled")
    del bare.order["status"], bare.order["lineItems"]
    pascal = _entry("pascal-case", recent, [SQL, CAL], "member names in PascalCase; can be cancelled")
    later, accepted, never = Behaviour.SHOWS_LATER, Behaviour.ACCEPTED, Behaviour.NEVER_CHANGES
    return [
        bare,
        replace(pascal, order=pascal_case(pascal.order)),
        _entry(
            "begins-with-a-bom",
            recent,
            [SQL, CAL],
            "answers begin with a byte order mark; can be cancelled",
            behaviour=Behaviour.BOM,
        ),
        _entry("shows-later", recent, [SQL, CAL], "answers 200 at once and shows the change later", behaviour=later),
        _entry("accepted", recent, [SQL, CAL], "answers 202 without a body and changes later", behaviour=accepted),
        _entry("never-changes", recent, [SQL, CAL], "answers 200 and never changes", behaviour=never),
        _entry(
            "stranger",
            recent,
            [SQL],
            "its customer has no relationship with the partner, so nothing of it can be reached",
            customer=UNRELATED_CUSTOMER,
            behaviour=Behaviour.NO_RELATIONSHIP,
        ),
    ]
