"""The orders that the Partner Center stand-in starts with: one for each thing worth seeing.

They cover every kind of product, every state, and every refusal of Microsoft's error table. Their
ids say what they show and stay the same over restarts; their dates move with *now*. The JSON of
any order can be put beside them or in their place (`from_directory`).

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

ALL_ELSE = "45411344-b09d-47e7-9653-542006bf9766"  # the customer of most orders here
IDENTITY = "bd59b416-37f9-4d8f-8df3-5750111fc615"
AZURE = "b0d70a69-4c42-4b27-b17b-91a835d8686a"
MARKETPLACE = "28045616-f6b9-462f-9701-0d89b5e65c44"
LICENCES = "f81d98dd-c2f4-499e-a194-5619e260344e"
STRANGER = "4d3cf487-70f4-4e1e-9ff1-b2bfce8d9f04"  # no relationship with this partner

log = logging.getLogger("infra.local")


class Kind(StrEnum):
    SOFTWARE = "software"
    SOFTWARE_SUBSCRIPTION = "software subscription"
    RESERVATION = "reservation"
    SAAS = "SaaS"
    SAAS_2021 = "SaaS (2021)"  # as the documents said before the product table of 2022
    LICENCE = "licence"
    LEGACY_LICENCE = "legacy licence"
    AZURE_PLAN = "Azure plan"
    SAVINGS_PLAN = "savings plan"


class Condition(StrEnum):
    NONE = ""
    NO_LIMITS = "no limits"  # can be cancelled at any age
    NO_RELATIONSHIP = "no relationship"  # the whole customer is out of this partner's reach
    SHOWS_LATER = "shows later"  # PATCH answers with the order unchanged, the change follows
    ACCEPTED = "accepted"  # likewise, with 202 and no body
    NEVER_CHANGES = "never changes"  # PATCH answers 200, and nothing follows
    BOM = "BOM"  # answers start with a byte order mark


@dataclass(frozen=True)
class Entry:
    """An order and how it takes a cancellation; *refusal*, where there is one, comes before all rules."""

    order: Json
    customer_tenant_id: str
    kind: str
    note: str
    condition: str = Condition.NONE
    refusal: Refusal | None = None

    @property
    def order_id(self) -> str:
        return str(member(self.order, "id"))


def built_in(now: datetime) -> list[Entry]:
    """Return an order of each kind and condition, as they stand at *now* (aware)."""
    recent = now - timedelta(days=2)
    refusals = {refusal.code: refusal for refusal in REFUSALS} | ODD_REFUSALS
    return [
        *_software(recent),
        *_too_old(now),
        *_other_products(recent),
        _legacy(),
        *_unusual(recent),
        *(
            _entry(f"refused-with-{name}", recent, [SQL], f"{refusal.status} {refusal.words}".strip(), refusal=refusal)
            for name, refusal in refusals.items()
        ),
    ]


def from_directory(path: Path) -> list[Entry]:
    """Return the orders in *path*/*.json as software that can be cancelled at any age.

    What is JSON and no order is left out, with a warning: folders of samples hold other things too.
    Raises ValueError naming the file that is no JSON, or *path* where there is no such folder.
    """
    if not path.is_dir():
        raise ValueError(f"{path}: no such folder")
    return [entry for file in sorted(path.glob("*.json")) if (entry := _loaded(file))]


def merge(entries: Iterable[Entry], loaded: Iterable[Entry]) -> list[Entry]:
    """Return *entries* and *loaded*; of two orders with one id the later one stays."""
    return list({member(entry.order, "id"): entry for entry in [*entries, *loaded]}.values())


def member(thing: Json, name: str) -> Any:  # noqa: ANN401  (JSON)
    """Return the member called *name* in any casing, None where there is none."""
    return next((value for key, value in thing.items() if key.lower() == name.lower()), None)


def _loaded(file: Path) -> Entry | None:
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
        log.warning("%s is left out: an order has id, referenceCustomerId (a GUID) and lineItems (a list)", file)
        return None
    return Entry(order, customer, Kind.SOFTWARE, f"loaded from {file.name}", Condition.NO_LIMITS)


def _line(number: int, offer_id: str, name: str, term: str, **members: object) -> Json:
    product, sku, availability = offer_id.split(":")
    uri = f"/products/{product}"
    links = {
        "product": _link(f"{uri}?country=US"),
        "sku": _link(f"{uri}/skus/{sku}?country=US"),
        "availability": _link(f"{uri}/skus/{sku}/availabilities/{availability}?country=US"),
    }
    head = {"lineItemNumber": number, "offerId": offer_id, "termDuration": term, "transactionType": "New"}
    return head | {"friendlyName": name, "quantity": 1} | members | {"links": links}


def _link(uri: str, method: str = "GET") -> Json:
    return {"uri": uri, "method": method, "headers": []}


SQL = _line(0, "DG7GMGF0FKZV:0003:DG7GMGF0DWMS", "SQL Server Enterprise - 2 Core License Pack - 3 year", "P3Y")
CAL = _line(1, "DG7GMGF0DVT7:000C:DG7GMGF0FVZM", "Windows Server CAL - 1 Device CAL - 3 year", "P3Y")
SUSE = _line(0, "DG7GMGF0D7HX:0002:DG7GMGF0FL55", "SUSE Linux Enterprise Server - 1 year", "P1Y")


def _order(order_id: str, customer: str, created: datetime, lines: list[Json]) -> Json:
    """Return an order as Microsoft's pages show them."""
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
    kind: Kind = Kind.SOFTWARE,
    customer: str = ALL_ELSE,
    condition: Condition = Condition.NONE,
    refusal: Refusal | None = None,
    members: Json | None = None,
) -> Entry:
    """Return an order under *name*, its id filled up to 33 characters that end in 1, like real ones.

    *members* replace those of the order, or add to them.
    """
    members = members or {}
    order_id = members.get("id") or f"{name}-".ljust(32, "0") + "1"
    return Entry(_order(order_id, customer, created, lines) | members, customer, kind, note, condition, refusal)


def _software(recent: datetime) -> list[Entry]:
    """The two orders of Microsoft's pages, not cancelled yet, then others like them."""
    identity = _line(0, "DG7GMGF0DWT0:0001:DG7GMGF0DSQR", "Microsoft Identity Manager 2016 - 1 User CAL", "")
    desktop = _line(2, "DG7GMGF0DVSV:0009:DG7GMGF0FVM1", "Windows Server Remote Desktop CAL - 3 year", "P3Y")
    one = {"id": "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1", "alternateId": "11fc4bdfd47a"}
    two = {"id": "2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1", "alternateId": "c403d91b21d2"}
    return [
        _entry("one", recent, [identity], "perpetual software, one line", customer=IDENTITY, members=one),
        _entry("two", recent, [SQL, CAL], "perpetual software, two lines", members=two),
        _entry("software-three-lines", recent, [SQL, CAL, desktop], "perpetual software, three lines"),
        _entry("software-subscription", recent, [SUSE], "software subscription", kind=Kind.SOFTWARE_SUBSCRIPTION),
        _entry("cancelled-already", recent, [SQL], "cancelled already", members={"status": "cancelled"}),
        _entry("line-0-cancelled-already", recent, [SQL | {"quantity": 0}, CAL], "one line of two cancelled already"),
    ]


def _too_old(now: datetime) -> list[Entry]:
    days_10, days_40, days_70 = (now - timedelta(days=days) for days in (10, 40, 70))
    return [
        _entry("software-40-days-old", days_40, [SQL], "too old in production"),
        _entry("software-70-days-old", days_70, [SQL], "too old everywhere"),
        _entry("subscription-10-days-old", days_10, [SUSE], "too old in production", kind=Kind.SOFTWARE_SUBSCRIPTION),
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
    by_azure = partial(_entry, created=recent, customer=AZURE)
    by_marketplace = partial(_entry, created=recent, customer=MARKETPLACE, lines=[saas], members=monthly)
    return [
        by_azure("reservation", lines=[reserved], note="cancelled in the sandbox only", kind=Kind.RESERVATION),
        by_azure("savings-plan", lines=[savings], note="in Azure only", kind=Kind.SAVINGS_PLAN),
        by_azure("azure-plan", lines=[azure_plan], note="by subscription only", kind=Kind.AZURE_PLAN, members=plan),
        by_marketplace("saas", note="refused, as since 2022", kind=Kind.SAAS),
        by_marketplace("saas-2021", note="cancelled in the sandbox, as until 2022", kind=Kind.SAAS_2021),
        _entry(
            "licence", recent, [licence], "by subscription only", kind=Kind.LICENCE, customer=LICENCES, members=short
        ),
    ]


def _legacy() -> Entry:
    """The licence order of 2018 that Microsoft's pages show: a GUID, an ETag, and little else."""
    order_id = "eeba9d00-7b46-443a-917e-22887a8fc993"
    subscription = "DB8C695B-1C3C-4C55-B697-771503DD46BF"
    order = {
        "id": order_id,
        "referenceCustomerId": AZURE,
        "billingCycle": "monthly",
        "currencyCode": "USD",
        "lineItems": [
            {
                "lineItemNumber": 0,
                "offerId": "E59159FC-6F67-4599-B3CB-17FF4020F643",
                "subscriptionId": subscription,
                "friendlyName": "Azure Active Directory Premium P2",
                "quantity": 1,
                "links": {"subscription": _link(f"/customers/{AZURE}/subscriptions/{subscription}")},
            }
        ],
        "creationDate": "2018-03-06T17:37:05.253-08:00",
        "status": "completed",
        "links": {"self": _link(f"/customers/{AZURE}/orders/{order_id}")},
        "attributes": {
            "etag": "eyJpZCI6ImVlYmE5ZDAwLTdiNDYtNDQzYS05MTdlLTIyODg3YThmYzk5MyIsInZlcnNpb24iOjF9",
            "objectType": "Order",
        },
    }
    return Entry(order, AZURE, Kind.LEGACY_LICENCE, "by its subscription only")


def _unusual(recent: datetime) -> list[Entry]:
    """Orders that Partner Center carries out, or seems to, in ways that surprise a client."""
    bare = _entry("no-status-no-lines", recent, [], "neither status nor lines")
    del bare.order["status"], bare.order["lineItems"]
    pascal = _entry("pascal-case", recent, [SQL, CAL], "names in PascalCase")
    later, accepted, never = Condition.SHOWS_LATER, Condition.ACCEPTED, Condition.NEVER_CHANGES
    return [
        bare,
        replace(pascal, order=_pascal_case(pascal.order)),
        _entry("begins-with-a-bom", recent, [SQL, CAL], "answers begin with a BOM", condition=Condition.BOM),
        _entry("shows-later", recent, [SQL, CAL], "200 at once, the change later", condition=later),
        _entry("accepted", recent, [SQL, CAL], "202 without a body, the change later", condition=accepted),
        _entry("never-changes", recent, [SQL, CAL], "200, but the change never comes", condition=never),
        _entry("stranger", recent, [SQL], "no relationship", customer=STRANGER, condition=Condition.NO_RELATIONSHIP),
    ]


def _pascal_case(value: Any) -> Any:  # noqa: ANN401  (JSON)
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: _pascal_case(inner) for name, inner in value.items()}
    return [_pascal_case(inner) for inner in value] if isinstance(value, list) else value
