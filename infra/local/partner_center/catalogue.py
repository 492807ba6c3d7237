"""The orders that exist at the start: one for each behaviour of Partner Center.

They cover every kind of product, every state, and every refusal of Microsoft's error table. An order's id says
what it shows and stays the same over restarts; its dates are relative to the start. `load_orders` reads more
orders from files; one with the id of an order here replaces it.

Source: learn.microsoft.com/partner-center/developer/ order-resources, error-codes,
cancel-an-order-from-the-integration-sandbox, cancel-software-purchases (read 2026-11-21).
"""

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from infra.local.partner_center.refusals import ODD_REFUSALS, REFUSALS, Refusal
from infra.local.values import Json

# The customers, by their orders.
SOFTWARE_CUSTOMER = "45411344-b09d-47e7-9653-542006bf9766"  # has most of the orders
ONE_LINE_CUSTOMER = "bd59b416-37f9-4d8f-8df3-5750111fc615"
AZURE_CUSTOMER = "b0d70a69-4c42-4b27-b17b-91a835d8686a"
MARKETPLACE_CUSTOMER = "28045616-f6b9-462f-9701-0d89b5e65c44"
LICENCE_CUSTOMER = "f81d98dd-c2f4-499e-a194-5619e260344e"
UNRELATED_CUSTOMER = "4d3cf487-70f4-4e1e-9ff1-b2bfce8d9f04"  # has no relationship with this partner

log = logging.getLogger("infra.local")


class ProductKind(StrEnum):
    SOFTWARE = "software"
    SOFTWARE_SUBSCRIPTION = "software subscription"
    RESERVATION = "reservation"
    SAAS = "SaaS"
    SAAS_2021 = "SaaS (2021)"  # as documented before the product table of 2022
    LICENCE = "licence"
    LEGACY_LICENCE = "legacy licence"
    AZURE_PLAN = "Azure plan"
    SAVINGS_PLAN = "savings plan"


class Behaviour(StrEnum):
    NORMAL = ""
    NO_LIMITS = "no limits"  # can be cancelled at any age
    NO_RELATIONSHIP = "no relationship"  # this partner cannot reach the customer
    # Reads lag behind writes: PATCH answers with the unchanged order, and the change shows after a while. A second
    # PATCH is refused, though the order still looks as before.
    SHOWS_LATER = "shows later"
    ACCEPTED = "accepted"  # PATCH answers 202 without a body, and the change is made after a while
    NEVER_CHANGES = "never changes"  # PATCH answers 200, but the order stays unchanged
    BOM = "BOM"  # answers start with a byte order mark


@dataclass(frozen=True)
class Entry:
    """An order and its reaction to a cancellation. A *refusal* comes before all rules.

    `--describe` shows *kind* and *note* to people.
    """

    order: Json
    customer_tenant_id: str
    kind: str
    note: str
    behaviour: str = Behaviour.NORMAL
    refusal: Refusal | None = None

    @property
    def order_id(self) -> str:
        return str(member(self.order, "id"))


def built_in_orders(now: datetime) -> list[Entry]:
    """Return an order for each kind of product and each behaviour, with dates relative to *now* (aware)."""
    recent = now - timedelta(days=2)
    refusals = {refusal.code: refusal for refusal in REFUSALS} | ODD_REFUSALS
    return [
        *_software(recent),
        *_too_old(now),
        *_other_products(recent),
        _legacy(),
        *_unusual(recent),
        *(
            _entry(
                f"refused-with-{name}", recent, [SQL], f"{refusal.status} {refusal.message}".strip(), refusal=refusal
            )
            for name, refusal in refusals.items()
        ),
    ]


def load_orders(path: Path) -> list[Entry]:
    """Return the orders in *path*/*.json as software that can be cancelled at any age.

    JSON that is not an order is skipped with a warning, because folders of samples hold other files too.
    Raises ValueError that names the file if it is not JSON, or *path* if there is no such folder.
    """
    if not path.is_dir():
        raise ValueError(f"{path}: no such folder")
    return [entry for file in sorted(path.glob("*.json")) if (entry := _load_order(file))]


def merge(entries: Iterable[Entry], loaded: Iterable[Entry]) -> list[Entry]:
    """Return *entries* and *loaded*. If two orders have the same id, only the later one is kept."""
    return list({member(entry.order, "id"): entry for entry in [*entries, *loaded]}.values())


def member(json_object: Json, name: str) -> Any:  # noqa: ANN401  (JSON)
    """Return the member called *name* in upper or lower case, or None if there is none."""
    return next((value for key, value in json_object.items() if key.lower() == name.lower()), None)


def _load_order(file: Path) -> Entry | None:
    try:
        order = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: not JSON: {error}") from None
    members = {name: member(order, name) for name in ("id", "lineItems")} if isinstance(order, dict) else {}
    try:
        customer = str(UUID(member(order, "referenceCustomerId")))
    except (ValueError, TypeError, AttributeError):
        customer = None
    lines = members.get("lineItems")
    are_lines = lines is None or (isinstance(lines, list) and all(isinstance(line, dict) for line in lines))
    if not isinstance(members.get("id"), str) or not members["id"] or customer is None or not are_lines:
        log.warning("%s is left out: an order needs id, referenceCustomerId (a GUID) and lineItems (a list)", file)
        return None
    return Entry(order, customer, ProductKind.SOFTWARE, f"loaded from {file.name}", Behaviour.NO_LIMITS)


def _line(number: int, offer_id: str, name: str, term: str, **members: object) -> Json:
    product, sku, availability = offer_id.split(":")
    uri = f"/products/{product}"
    links = {
        "product": _link(f"{uri}?country=US"),
        "sku": _link(f"{uri}/skus/{sku}?country=US"),
        "availability": _link(f"{uri}/skus/{sku}/availabilities/{availability}?country=US"),
    }
    line = {"lineItemNumber": number, "offerId": offer_id, "termDuration": term, "transactionType": "New"}
    return line | {"friendlyName": name, "quantity": 1} | members | {"links": links}


def _link(uri: str, method: str = "GET") -> Json:
    return {"uri": uri, "method": method, "headers": []}


SQL = _line(0, "DG7GMGF0FKZV:0003:DG7GMGF0DWMS", "SQL Server Enterprise - 2 Core License Pack - 3 year", "P3Y")
CAL = _line(1, "DG7GMGF0DVT7:000C:DG7GMGF0FVZM", "Windows Server CAL - 1 Device CAL - 3 year", "P3Y")
SUSE = _line(0, "DG7GMGF0D7HX:0002:DG7GMGF0FL55", "SUSE Linux Enterprise Server - 1 year", "P1Y")


def _order(order_id: str, customer: str, created: datetime, lines: list[Json]) -> Json:
    """Return an order in the form of Microsoft's pages."""
    uri = f"/customers/{customer}/orders/{order_id}"
    return {
        "id": order_id,
        "alternateId": hashlib.sha256(order_id.encode()).hexdigest()[:12],
        "referenceCustomerId": customer,
        "billingCycle": "one_time",
        "currencyCode": "USD",
        "currencySymbol": "$",
        "lineItems": lines,
        "creationDate": f"{created.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.1306495Z",
        "status": "completed",
        "transactionType": "UserPurchase",
        "links": {
            "self": _link(uri),
            "provisioningStatus": _link(f"{uri}/provisioningstatus"),
            "patchOperation": _link(uri, "PATCH"),
        },
        "client": {
            "marketplaceCountry": "US",
            "deviceFamily": "UniversalStore-PartnerCenter",
            "name": "Partner Center",
        },
        "attributes": {"objectType": "Order"},
    }


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
    return Entry(_order(order_id, customer, created, lines) | members, customer, kind, note, behaviour, refusal)


def _software(recent: datetime) -> list[Entry]:
    """Return the two orders of Microsoft's pages, before their cancellation, and others like them."""
    identity_manager = _line(0, "DG7GMGF0DWT0:0001:DG7GMGF0DSQR", "Microsoft Identity Manager 2016 - 1 User CAL", "")
    desktop = _line(2, "DG7GMGF0DVSV:0009:DG7GMGF0FVM1", "Windows Server Remote Desktop CAL - 3 year", "P3Y")
    one_line = {"id": "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1", "alternateId": "11fc4bdfd47a"}
    two_lines = {"id": "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1", "alternateId": "c403d91b21d2"}
    return [
        _entry(
            "one-line",
            recent,
            [identity_manager],
            "perpetual software, one line",
            customer=ONE_LINE_CUSTOMER,
            members=one_line,
        ),
        _entry("two-lines", recent, [SQL, CAL], "perpetual software, two lines", members=two_lines),
        _entry("software-three-lines", recent, [SQL, CAL, desktop], "perpetual software, three lines"),
        _entry(
            "software-subscription",
            recent,
            [SUSE],
            "one line, ends after a year",
            kind=ProductKind.SOFTWARE_SUBSCRIPTION,
        ),
        _entry("cancelled-already", recent, [SQL], "already cancelled", members={"status": "cancelled"}),
        _entry("line-0-cancelled-already", recent, [SQL | {"quantity": 0}, CAL], "one of two lines already cancelled"),
    ]


def _too_old(now: datetime) -> list[Entry]:
    days_10, days_40, days_70 = (now - timedelta(days=days) for days in (10, 40, 70))
    return [
        _entry("software-40-days-old", days_40, [SQL], "too old in production"),
        _entry("software-70-days-old", days_70, [SQL], "too old everywhere"),
        _entry(
            "subscription-10-days-old", days_10, [SUSE], "too old in production", kind=ProductKind.SOFTWARE_SUBSCRIPTION
        ),
    ]


def _other_products(recent: datetime) -> list[Entry]:
    reserved = _line(0, "DZH318Z0BQ4Z:002L:DZH318Z0CMNP", "Reserved VM Instance, NC12, AU East, 1 year", "P1Y")
    saas = _line(0, "DZH318Z0BXWC:0002:DZH318Z0BMRV", "Barracuda WaaS - Medium Plan", "P1M")
    subscription = {"subscriptionId": "fcddfa52-1da8-4529-d347-50ea51e1e7be"}
    licence = _line(0, "CFQ7TTC0LH0Z:0001:CFQ7TTC0K18P", "AI Builder Capacity add-on", "P1M", **subscription)
    azure_plan = _line(0, "DZH318Z0BPS6:0001:DZH318Z0BML6", "Azure plan", "")
    commitment = {"amount": 1.5, "currency": "USD", "grain": "hourly"}
    savings = _line(0, "DZH318Z0BN4J:0004:DZH318Z0B3QG", "Savings plan", "P1Y", purchaseCommitment=commitment)
    monthly = {"billingCycle": "monthly"}
    short = {"id": "5cf72f146967", "alternateId": "5cf72f146967"} | monthly
    plan = {"id": "a68736758d9c", "alternateId": "a68736758d9c"}
    by_azure = partial(_entry, created=recent, customer=AZURE_CUSTOMER)
    by_marketplace = partial(_entry, created=recent, customer=MARKETPLACE_CUSTOMER, lines=[saas], members=monthly)
    return [
        by_azure(
            "reservation", lines=[reserved], note="can be cancelled in the sandbox only", kind=ProductKind.RESERVATION
        ),
        by_azure("savings-plan", lines=[savings], note="managed in Azure only", kind=ProductKind.SAVINGS_PLAN),
        by_azure(
            "azure-plan",
            lines=[azure_plan],
            note="cancelled by its subscription only",
            kind=ProductKind.AZURE_PLAN,
            members=plan,
        ),
        by_marketplace("saas", note="refused, as documented since 2022", kind=ProductKind.SAAS),
        by_marketplace(
            "saas-2021", note="can be cancelled in the sandbox, as documented until 2022", kind=ProductKind.SAAS_2021
        ),
        _entry(
            "licence",
            recent,
            [licence],
            "cancelled by its subscription only",
            kind=ProductKind.LICENCE,
            customer=LICENCE_CUSTOMER,
            members=short,
        ),
    ]


def _legacy() -> Entry:
    """Return the licence order of 2018 on Microsoft's pages: its id is a GUID, and it has an ETag and few members."""
    order_id = "eeba9d00-7b46-443a-917e-22887a8fc993"
    subscription = "DB8C695B-1C3C-4C55-B697-771503DD46BF"
    order = {
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
                "links": {"subscription": _link(f"/customers/{AZURE_CUSTOMER}/subscriptions/{subscription}")},
            }
        ],
        "creationDate": "2018-03-06T17:37:05.253-08:00",
        "status": "completed",
        "links": {"self": _link(f"/customers/{AZURE_CUSTOMER}/orders/{order_id}")},
        "attributes": {
            "etag": "eyJpZCI6ImVlYmE5ZDAwLTdiNDYtNDQzYS05MTdlLTIyODg3YThmYzk5MyIsInZlcnNpb24iOjF9",
            "objectType": "Order",
        },
    }
    return Entry(order, AZURE_CUSTOMER, ProductKind.LEGACY_LICENCE, "cancelled by its subscription only")


def _unusual(recent: datetime) -> list[Entry]:
    """Return orders whose answers can surprise a client."""
    bare = _entry("no-status-no-lines", recent, [], "has neither status nor lines")
    del bare.order["status"], bare.order["lineItems"]
    pascal = _entry("pascal-case", recent, [SQL, CAL], "member names in PascalCase")
    later, accepted, never = Behaviour.SHOWS_LATER, Behaviour.ACCEPTED, Behaviour.NEVER_CHANGES
    return [
        bare,
        replace(pascal, order=_pascal_case(pascal.order)),
        _entry(
            "begins-with-a-bom", recent, [SQL, CAL], "answers begin with a byte order mark", behaviour=Behaviour.BOM
        ),
        _entry("shows-later", recent, [SQL, CAL], "answers 200 at once and shows the change later", behaviour=later),
        _entry("accepted", recent, [SQL, CAL], "answers 202 without a body and changes later", behaviour=accepted),
        _entry("never-changes", recent, [SQL, CAL], "answers 200 and never changes", behaviour=never),
        _entry(
            "stranger",
            recent,
            [SQL],
            "its customer has no relationship with the partner",
            customer=UNRELATED_CUSTOMER,
            behaviour=Behaviour.NO_RELATIONSHIP,
        ),
    ]


def _pascal_case(value: Any) -> Any:  # noqa: ANN401  (JSON)
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: _pascal_case(inner) for name, inner in value.items()}
    return [_pascal_case(inner) for inner in value] if isinstance(value, list) else value
