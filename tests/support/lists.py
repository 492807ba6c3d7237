"""Reading Partner Center's lists page by page, and a customer who has very many orders and subscriptions."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from infra.local.partner_center import resources
from tests.support.local_cloud import Json, write_orders

MANY_CUSTOMER = "7d1f0c52-3b8e-4f4c-8a55-9e0b2d6c1a34"
MANY_ORDERS, MANY_SUBSCRIPTIONS = 2000, 3000
LONG_NAME = "Licence with a name as long as those of real products often are"


def read_pages(http: httpx.Client, uri: str, headers: Mapping[str, str] | None = None) -> list[Json]:
    """Return the pages of the list at *uri* (without `/v1`), following links.next to the end."""
    pages: list[Json] = []
    of_link: dict[str, str] = {}
    while True:
        answer = http.get(f"/v1{uri}", headers={**(headers or {}), **of_link})
        assert answer.status_code == 200
        pages.append(json.loads(answer.content.decode("utf-8-sig")))
        if "next" not in pages[-1]["links"]:
            return pages
        uri = pages[-1]["links"]["next"]["uri"]
        of_link = {header["key"]: header["value"] for header in pages[-1]["links"]["next"]["headers"]}


def ids_on(pages: list[Json]) -> list[list[str]]:
    return [[str(item.get("id") or item["Id"]) for item in page["items"]] for page in pages]


def write_many(directory: Path) -> tuple[str, ...]:
    """Write MANY_ORDERS orders and MANY_SUBSCRIPTIONS subscriptions of MANY_CUSTOMER into *directory*.

    Every second order has two lines, so that each subscription is named by one line. Each order is an hour older than
    the one before. Return the options with which a local cloud loads them.
    """
    subscriptions = directory / "subscriptions"
    subscriptions.mkdir(parents=True)
    orders = [_many_order(number) for number in range(MANY_ORDERS)]
    for order in orders:
        bought = datetime.fromisoformat(order["creationDate"])
        for line in order["lineItems"]:
            subscription_id = line["subscriptionId"]
            content = resources.licence(subscription_id, MANY_CUSTOMER, order["id"], line, bought)
            text = json.dumps({"customerTenantId": MANY_CUSTOMER, "subscription": content})
            (subscriptions / f"{subscription_id}.json").write_text(text)
    return ("--orders", write_orders(directory / "orders", orders), "--subscriptions", str(subscriptions))


def _many_order(number: int) -> Json:
    name, bought = f"many-{number:04}", datetime.now(UTC) - timedelta(days=1, hours=number)
    lines = [
        resources.line(
            line,
            f"CFQ7TTC0LH18:0001:CFQ7TTC0K9{line:02}",
            f"{LONG_NAME} {number:04}-{line}",
            "P1Y",
            quantity=5,
            subscriptionId=resources.subscription_guid(name, line),
        )
        for line in range(1 + number % 2)
    ]
    return resources.order(resources.short_id(name), MANY_CUSTOMER, bought, lines)
