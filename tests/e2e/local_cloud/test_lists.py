"""The lists of a customer's orders and subscriptions: faults of single pages, and a customer who has very many."""

from datetime import datetime
from pathlib import Path

import httpx
import pytest

from tests.conftest import CUSTOMER
from tests.support.lists import (
    MANY_CUSTOMER,
    MANY_ORDERS,
    MANY_SUBSCRIPTIONS,
    ids_on,
    read_pages,
    write_many,
)
from tests.support.local_cloud import Json, LocalCloud, running
from tests.support.stand_in_clients import partner_center_client

URI = f"/customers/{CUSTOMER}/orders"
PATH = f"/v1{URI}"
ELSEWHERE = {"uri": "https://elsewhere.example/v1/customers", "method": "GET", "headers": []}


def statuses(cloud: LocalCloud) -> list[int | None]:
    return [request["status"] for request in cloud.requests("partner_center", "GET", PATH)]


def test_a_fault_can_meet_a_later_page(cloud: LocalCloud, client: httpx.Client) -> None:
    """A fault that does nothing lets a page pass, since pages have the same path from the second one on."""
    cloud.fault(path=f"{URI}.*seekOperation")
    cloud.fault(path=f"{URI}.*seekOperation", status=500, body={"code": 800003})

    with pytest.raises(AssertionError):
        read_pages(client, URI)

    assert statuses(cloud) == [200, 200, 500]


@pytest.mark.parametrize("hang_up", ["before", "after", "halfway"])
def test_a_page_can_be_lost(cloud: LocalCloud, client: httpx.Client, hang_up: str) -> None:
    cloud.fault(path=f"{URI}.*seekOperation", hang_up=hang_up)

    with pytest.raises(httpx.TransportError):
        read_pages(client, URI)

    assert statuses(cloud) == [200, None]
    assert len(ids_on(read_pages(client, URI))) > 2


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"totalCount": 7, "items": [], "links": {}}, id="no-items"),
        pytest.param({"totalCount": 7, "links": {}}, id="items-missing"),
        pytest.param({"items": [], "links": {"next": ELSEWHERE}}, id="another-host"),
        pytest.param(
            {"items": [], "links": {"next": ELSEWHERE | {"uri": f"/customers/{MANY_CUSTOMER}/orders"}}},
            id="another-customer",
        ),
        pytest.param({"items": [], "links": {"next": ELSEWHERE | {"uri": URI}}}, id="the-same-page-again"),
    ],
)
def test_a_page_can_be_anything(cloud: LocalCloud, client: httpx.Client, body: Json) -> None:
    cloud.fault(path=f"{URI}$", body=body)

    answer = client.get(PATH)

    assert (answer.status_code, answer.json()) == (200, body)


def test_each_customer_is_described_once(cloud: LocalCloud) -> None:
    listed = [customer["customerTenantId"] for customer in cloud.description["customers"]]

    assert len(listed) == len(set(listed))
    [loaded] = [customer for customer in cloud.description["customers"] if customer["customerTenantId"] == CUSTOMER]
    assert loaded["domain"] == f"customer-{CUSTOMER}.example"


def test_a_customer_may_have_very_many(tmp_path: Path) -> None:
    with running(tmp_path, *write_many(tmp_path)) as cloud, partner_center_client(cloud) as client:
        orders = read_pages(client, f"/customers/{MANY_CUSTOMER}/orders")
        subscriptions = read_pages(client, f"/customers/{MANY_CUSTOMER}/subscriptions")

    assert (len(orders), len(subscriptions)) == (20, 30)
    found = [order for page in orders for order in page["items"]]
    assert len({order["id"] for order in found}) == MANY_ORDERS
    assert len({datetime.fromisoformat(order["creationDate"]) for order in found}) == MANY_ORDERS
    named = {line["subscriptionId"]: order["id"] for order in found for line in order["lineItems"]}
    assert {item["id"]: item["orderId"] for page in subscriptions for item in page["items"]} == named
    assert len(named) == MANY_SUBSCRIPTIONS
