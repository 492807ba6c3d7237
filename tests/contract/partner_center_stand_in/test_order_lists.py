"""The list of a customer's orders: its form, its pages, its filter, and whose it is."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from infra.local.partner_center.catalogue import built_in_orders
from infra.local.partner_center.orders import SHOWS_LATER_S
from infra.local.partner_center.pages import page_of
from infra.local.partner_center.refusals import Refused
from infra.local.partner_center.server import PartnerCenter
from tests.support.built_in_orders import (
    AZURE_CUSTOMER,
    LICENCE_CUSTOMER,
    MARKETPLACE_CUSTOMER,
    SOFTWARE_CUSTOMER,
    STRANGER,
    built_in,
)
from tests.support.clock import Clock
from tests.support.lists import ids_on, read_pages
from tests.support.local_cloud import Json
from tests.support.partner_center import (
    NOW,
    ONE_LINE,
    ONE_LINE_CUSTOMER,
    OpenPartnerCenter,
    bearer,
    cancel,
    path_of,
    status_and_code,
    token_for,
)

CUSTOMERS = [SOFTWARE_CUSTOMER, ONE_LINE_CUSTOMER, AZURE_CUSTOMER, MARKETPLACE_CUSTOMER, LICENCE_CUSTOMER]


def orders_uri(customer: str, query: str = "") -> str:
    return f"/customers/{customer}/orders{query}"


def next_link(http: httpx.Client, uri: str) -> tuple[str, str]:
    """Return the path and the continuation token of the second page."""
    link = http.get(f"/v1{uri}", headers=bearer()).json()["links"]["next"]
    [header] = link["headers"]
    assert (link["method"], header["key"]) == ("GET", "MS-ContinuationToken")
    return link["uri"], header["value"]


@pytest.mark.usefixtures("partner_center")
def test_a_list_has_the_form_of_microsofts_samples(http: httpx.Client) -> None:
    uri = orders_uri(ONE_LINE_CUSTOMER)

    content = http.get(f"/v1{uri}", headers=bearer()).json()

    assert content == {
        "totalCount": 1,
        "items": [http.get(path_of(ONE_LINE, ONE_LINE_CUSTOMER), headers=bearer()).json()],
        "links": {"self": {"uri": uri, "method": "GET", "headers": []}},
        "attributes": {"objectType": "Collection"},
    }


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize("customer", CUSTOMERS)
def test_the_pages_have_every_order_of_the_customer_and_no_other(http: httpx.Client, customer: str) -> None:
    pages = read_pages(http, orders_uri(customer), bearer())

    expected = [entry.order_id for entry in built_in_orders(NOW) if entry.customer_tenant_id == customer]
    found = ids_on(pages)
    assert [order_id for page in found for order_id in page] == expected
    assert len(found) > 1 or len(expected) <= 4
    assert [page["totalCount"] for page in pages] == [len(page) for page in found]


@pytest.mark.usefixtures("partner_center")
def test_the_links_of_a_page_are_those_of_microsofts_longer_lists(http: httpx.Client) -> None:
    """Their samples have relative paths, `seekOperation=Next` and the token in a header, which is not in links.self."""
    uri = orders_uri(SOFTWARE_CUSTOMER)

    second, token = next_link(http, uri)
    content = http.get(f"/v1{second}", headers=bearer(**{"MS-ContinuationToken": token})).json()

    assert second == f"{uri}?seekOperation=Next"
    assert content["links"]["self"] == {"uri": second, "method": "GET", "headers": []}
    assert content["links"]["next"]["uri"] == second
    assert content["links"]["next"]["headers"][0]["value"] != token


@pytest.mark.usefixtures("partner_center")
def test_the_case_of_a_customers_id_does_not_matter(http: httpx.Client) -> None:
    small, capital = (
        read_pages(http, orders_uri(customer), bearer()) for customer in (AZURE_CUSTOMER, AZURE_CUSTOMER.upper())
    )

    assert ids_on(small) == ids_on(capital)


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize(
    ("billing_type", "expected"),
    [("onetime", {"one_time"}), ("oneTime", {"one_time"}), ("one_time", {"one_time"}), ("Monthly", {"monthly"})],
)
def test_billing_type_names_a_billing_cycle(http: httpx.Client, billing_type: str, expected: set[str]) -> None:
    everything = read_pages(http, orders_uri(AZURE_CUSTOMER), bearer())

    pages = read_pages(http, orders_uri(AZURE_CUSTOMER, f"?billingType={billing_type}"), bearer())

    found = [order for page in pages for order in page["items"]]
    assert {order["billingCycle"] for order in found} == expected
    cycles = [order["billingCycle"] for page in everything for order in page["items"]]
    assert len(found) == len([cycle for cycle in cycles if cycle in expected])


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize("billing_type", ["triennial", "unknown"])
def test_nothing_may_have_the_billing_type(http: httpx.Client, billing_type: str) -> None:
    assert ids_on(read_pages(http, orders_uri(AZURE_CUSTOMER, f"?billingType={billing_type}"), bearer())) == [[]]


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize("query", ["?size=1", "?seekOperation=Next", "?indirectResellerId=1", "?include_price=true"])
def test_other_parameters_change_nothing(http: httpx.Client, query: str) -> None:
    with_query, without = (
        http.get(f"/v1{orders_uri(AZURE_CUSTOMER, q)}", headers=bearer()).json() for q in (query, "")
    )

    assert with_query["items"] == without["items"]


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        pytest.param(orders_uri(SOFTWARE_CUSTOMER, "?billingType=weekly"), (400, "900126"), id="billing type"),
        pytest.param(orders_uri(SOFTWARE_CUSTOMER, "?billingType="), (400, "900126"), id="empty billing type"),
        pytest.param(orders_uri(STRANGER), (403, "20002"), id="no relationship"),
        pytest.param(orders_uri(str(uuid4())), (403, "20002"), id="unknown customer"),
        pytest.param(orders_uri("fabrikam.example"), (400, "800002"), id="customer not a GUID"),
    ],
)
def test_some_lists_are_refused(http: httpx.Client, uri: str, expected: tuple[int, Any]) -> None:
    assert status_and_code(http.get(f"/v1{uri}", headers=bearer())) == expected


@pytest.mark.usefixtures("partner_center")
def test_a_list_needs_a_token(http: httpx.Client) -> None:
    path = f"/v1{orders_uri(SOFTWARE_CUSTOMER)}"
    of_a_user = {"Authorization": f"Bearer {token_for(scp='user_impersonation', amr=['pwd'])}"}

    assert status_and_code(http.get(path)) == (401, "800001")
    assert status_and_code(http.get(path, headers=of_a_user)) == (401, "900421")


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_a_list_can_only_be_read(http: httpx.Client, method: str) -> None:
    assert http.request(method, f"/v1{orders_uri(SOFTWARE_CUSTOMER)}", headers=bearer()).status_code == 405


def test_each_page_counts_as_a_request(http: httpx.Client, open_partner_center: OpenPartnerCenter) -> None:
    open_partner_center(requests_per_minute=1)
    uri, token = next_link(http, orders_uri(SOFTWARE_CUSTOMER))

    throttled = http.get(f"/v1{uri}", headers=bearer(**{"MS-ContinuationToken": token}))

    assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "60")


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize("token", ["x", "-1", "", "0", "4", "04", "9" * 5000], ids=lambda token: token[:5] or "empty")
def test_a_continuation_token_that_makes_no_sense_is_refused(http: httpx.Client, token: str) -> None:
    headers = bearer(**{"MS-ContinuationToken": token})

    answer = http.get(f"/v1{orders_uri(SOFTWARE_CUSTOMER)}", headers=headers)

    assert status_and_code(answer) == (400, "3000")


@pytest.mark.usefixtures("partner_center")
@pytest.mark.parametrize(
    "other",
    [
        pytest.param(orders_uri(LICENCE_CUSTOMER), id="another customer"),
        pytest.param(f"/customers/{SOFTWARE_CUSTOMER}/subscriptions", id="the list of subscriptions"),
        pytest.param(orders_uri(SOFTWARE_CUSTOMER, "?billingType=onetime"), id="another filter"),
    ],
)
def test_a_continuation_token_is_good_for_its_own_list_only(http: httpx.Client, other: str) -> None:
    _, token = next_link(http, orders_uri(SOFTWARE_CUSTOMER))

    answer = http.get(f"/v1{other}", headers=bearer(**{"MS-ContinuationToken": token}))

    assert status_and_code(answer) == (400, "3000")


@pytest.mark.usefixtures("partner_center")
def test_a_continuation_token_of_subscriptions_is_good_for_its_own_customer_only(http: httpx.Client) -> None:
    uri, token = next_link(http, f"/customers/{LICENCE_CUSTOMER}/subscriptions")
    headers = bearer(**{"MS-ContinuationToken": token})

    assert http.get(f"/v1{uri}", headers=headers).status_code == 200
    other = http.get(f"/v1{uri.replace(LICENCE_CUSTOMER, MARKETPLACE_CUSTOMER)}", headers=headers)
    assert status_and_code(other) == (400, "3000")


def test_a_list_shows_what_became_of_an_order(http: httpx.Client, partner_center: PartnerCenter, clock: Clock) -> None:
    """A cancellation that shows later shows in the list at the same time, whichever is read first."""

    def statuses() -> dict[str, Any]:
        pages = read_pages(http, orders_uri(SOFTWARE_CUSTOMER), bearer())
        return {order.get("id"): order.get("status") for page in pages for order in page["items"]}

    at_once, later = built_in("software-three-lines"), built_in("accepted")
    cancel(http, at_once)
    cancel(http, later)
    assert (statuses()[at_once], statuses()[later]) == ("cancelled", "completed")

    clock.now += SHOWS_LATER_S

    assert statuses()[later] == "cancelled"
    order = partner_center.order(later)
    assert order
    assert order["status"] == "cancelled"


@pytest.mark.usefixtures("partner_center")
def test_a_page_may_begin_with_a_bom(http: httpx.Client) -> None:
    with_bom, uri = [], orders_uri(SOFTWARE_CUSTOMER)
    headers: dict[str, str] = {}
    while True:
        body = http.get(f"/v1{uri}", headers=bearer(**headers)).content
        content: Json = httpx.Response(200, content=body.removeprefix(b"\xef\xbb\xbf")).json()
        if body.startswith(b"\xef\xbb\xbf"):
            with_bom += ids_on([content])
        if "next" not in content["links"]:
            break
        uri = content["links"]["next"]["uri"]
        headers = {header["key"]: header["value"] for header in content["links"]["next"]["headers"]}

    [page] = with_bom
    assert built_in("begins-with-a-bom") in page


def test_a_customer_may_have_subscriptions_and_no_orders(
    http: httpx.Client, open_partner_center: OpenPartnerCenter
) -> None:
    partner_center = open_partner_center([])

    pages = read_pages(http, orders_uri(LICENCE_CUSTOMER), bearer())

    assert partner_center.subscriptions.customers
    assert ids_on(pages) == [[]]


def test_an_order_with_its_customer_in_capitals_is_listed(
    http: httpx.Client, open_partner_center: OpenPartnerCenter
) -> None:
    [entry] = [entry for entry in built_in_orders(NOW) if entry.order_id == ONE_LINE]
    open_partner_center([replace(entry, customer_tenant_id=ONE_LINE_CUSTOMER.upper())])

    assert ids_on(read_pages(http, orders_uri(ONE_LINE_CUSTOMER), bearer())) == [[ONE_LINE]]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(0, [0]), (4, [4]), (5, [4, 1]), (50, [5] * 10), (2001, [100] * 20 + [1])],
    ids=lambda value: str(value)[:8],
)
def test_a_longer_list_has_longer_pages(count: int, sizes: list[int]) -> None:
    found: list[int] = []
    sizes_found: list[int] = []
    token, uri = None, "/a?b=c"
    while True:
        page = page_of(range(count), uri, token)
        found, sizes_found = [*found, *page.items], [*sizes_found, len(page.items)]
        if "next" not in page.links:
            break
        uri, token = page.links["next"]["uri"], page.links["next"]["headers"][0]["value"]

    assert (found, sizes_found, uri) == (
        list(range(count)),
        sizes,
        "/a?b=c&seekOperation=Next" if len(sizes) > 1 else "/a?b=c",
    )


def test_a_token_names_one_place_only() -> None:
    token = page_of(range(20), "/a", None).links["next"]["headers"][0]["value"]

    with pytest.raises(Refused):
        page_of(range(20), "/a", token.replace("4-", "8-", 1))
