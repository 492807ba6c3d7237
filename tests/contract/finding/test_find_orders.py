"""A customer's orders, found: the answer's form, its audit record, and that it promises what a dry run promises."""

import json
from typing import Any

import pytest

from shared.runtime import Runtime
from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.support.answers import LINE, ORDER, PROBLEM, Answer
from tests.support.built_in_orders import (
    LICENCE_CUSTOMER,
    SOFTWARE_CUSTOMER,
    STRANGER,
    built_in_short,
    subscription_of,
)
from tests.support.functions_host import audit_records
from tests.support.in_process import App, find
from tests.support.local_cloud import ROOT, Json, LocalCloud

pytestmark = pytest.mark.anyio

LICENCES, SOFTWARE = {"customerDomain": "wingtip.example"}, {"customerDomain": "fabrikam.example"}
LICENCE = subscription_of("licence")


def orders_of(answer: Answer) -> list[Json]:
    assert (answer.status, answer.code) == (200, None)
    assert answer.body.keys() == {"orders", "more"}
    orders: list[Json] = answer.body["orders"]
    return orders


# The answer


async def test_the_orders_of_a_customer_are_told(app: App, cloud: LocalCloud) -> None:
    answer = await app.find({"customerTenantId": LICENCE_CUSTOMER})

    orders = orders_of(answer)
    bought = {
        order["orderId"] for order in cloud.description["orders"] if order["customerTenantId"] == LICENCE_CUSTOMER
    }
    assert {order["orderId"] for order in orders if order["orderId"]} == bought
    owned = {one["subscriptionId"] for one in cloud.description["subscriptions"]}
    lines = [line for order in orders for line in order["lineItems"]]
    assert {line["subscriptionId"] for line in lines if line["subscriptionId"]} <= owned
    assert answer.body["more"] is False
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "preference-applied" not in answer.headers


async def test_each_order_has_the_form_of_a_dry_run(app: App) -> None:
    for order in orders_of(await app.find(LICENCES)) + orders_of(await app.find(SOFTWARE)):
        assert order.keys() == ORDER.keys()
        assert all(type(order[name]) in types for name, types in ORDER.items())
        for line in order["lineItems"]:
            assert line.keys() == LINE.keys()
            assert all(type(line[name]) in types for name, types in LINE.items())
        assert order["when"] == "now"


async def test_the_newest_come_first(app: App) -> None:
    dates = [order["creationDate"] for order in orders_of(await app.find(SOFTWARE)) if order["creationDate"]]

    assert len(dates) > 50
    assert dates == sorted(dates, reverse=True)


async def test_no_more_than_200_are_told(app: App) -> None:
    """This customer has 400."""
    answer = await app.find({"customerTenantId": CUSTOMER}, prefer="wait=60")

    assert (len(orders_of(answer)), answer.body["more"]) == (200, True)


async def test_a_customer_without_orders_has_an_empty_list(app: App, cloud: LocalCloud) -> None:
    empty = {"totalCount": 0, "items": [], "links": {}}
    cloud.fault(path="/orders$", body=empty)
    cloud.fault(path="/subscriptions$", body=empty)

    assert (await app.find(LICENCES)).body == {"orders": [], "more": False}


CHOICES: dict[str, tuple[dict[str, str], int | None]] = {
    "text": ({"text": "visio"}, None),
    "nothing": ({"text": "no such product"}, 0),
    "subscription": ({"subscriptionId": LICENCE}, 1),
    "subscription-in-capitals": ({"subscriptionId": LICENCE.upper()}, 1),
    "order": ({"text": built_in_short("licence").upper()}, 1),
    "all": ({"subscriptionId": LICENCE, "text": LICENCE[:8], "cancellable": "true"}, 1),
    "key-of-the-host": ({"subscriptionId": LICENCE, "code": "the-function-key", "clientId": "default"}, 1),
}


@pytest.mark.parametrize("name", CHOICES)
async def test_a_choice_is_told(app: App, name: str) -> None:
    query, count = CHOICES[name]
    everything = orders_of(await app.find(LICENCES))

    chosen = orders_of(await app.find(LICENCES | query))

    assert all(order in everything for order in chosen)
    assert len(chosen) < len(everything)
    assert count in {None, len(chosen)}


async def test_only_cancellable_ones_are_told(app: App) -> None:
    everything = orders_of(await app.find(LICENCES))

    cancellable = orders_of(await app.find(LICENCES | {"cancellable": "true"}))

    def can_be(order: Json) -> bool:
        return any(not line["cancelled"] and line["cancellable"] is not False for line in order["lineItems"])

    assert cancellable == [order for order in everything if can_be(order)]
    assert 0 < len(cancellable) < len(everything)


@pytest.mark.parametrize("account", ["default", "production", "orders-only", "rehearsal"])
async def test_it_promises_what_a_dry_run_of_the_line_promises(app: App, cloud: LocalCloud, account: str) -> None:
    """For each line of each built-in order, and each subscription: a person chooses from the list and then cancels."""
    compared = 0
    for customer in cloud.description["customers"]:
        if customer["customerTenantId"] in {CUSTOMER, STRANGER}:
            continue
        query = {"customerDomain": customer["domain"], "account": account}
        for order in orders_of(await app.find(query, prefer="wait=60")):
            for line in order["lineItems"]:
                looked_at = await app.post(dry_run_of(order, line) | {"account": account}, prefer="wait=60")
                assert looked_at.outcome == "dry_run"
                by_number = {shown["lineItemNumber"]: shown for shown in looked_at.body["lineItems"]}
                assert line == by_number[line["lineItemNumber"]], order["orderId"]
                compared += 1

    assert compared > 100


def dry_run_of(order: Json, line: Json) -> Json:
    """Return the dry run of the request that a person makes of a line in the list."""
    whole = {"customerTenantId": order["customerTenantId"], "dryRun": True}
    if order["orderId"] is None:
        return whole | {"subscriptionId": order["subscriptionId"]}
    numbered = {"lineItemNumber": line["lineItemNumber"], "offerId": line["offerId"]}
    return whole | {"orderId": order["orderId"], "lineItems": [numbered]}


async def test_a_licence_is_found_and_cancelled_in_two_requests(app: App, cloud: LocalCloud) -> None:
    before = cloud.subscription(LICENCE)
    cloud.forget()
    try:
        found = await app.find(LICENCES | {"text": built_in_short("licence")})
        [order] = orders_of(found)
        request = dry_run_of(order, order["lineItems"][0]) | {"dryRun": False}
        answer = await app.post(request)
    finally:
        cloud.put(f"subscriptions/{LICENCE}", before)

    assert answer.outcome == "cancelled"


# What it costs


async def test_it_costs_the_pages_of_the_two_lists(app: App, cloud: LocalCloud) -> None:
    await app.find(LICENCES)
    cloud.forget()

    await app.find({"customerTenantId": LICENCE_CUSTOMER}, trace_parent=f"00-{'ab' * 16}-{'cd' * 8}-01")

    asked = cloud.requests()
    assert {request["service"] for request in asked} == {"partner_center"}
    assert {request["method"] for request in asked} == {"GET"}
    for name, count in (("orders", 8), ("subscriptions", 10)):
        pages = [request for request in asked if f"/{name}" in request["path"]]
        assert pages[0]["path"] == f"/v1/customers/{LICENCE_CUSTOMER}/{name}"
        assert {request["path"] for request in pages[1:]} == {f"{pages[0]['path']}?seekOperation=Next"}
        assert len({request["headers"].get("ms-continuationtoken") for request in pages}) == len(pages) == count
    assert len({request["headers"]["ms-requestid"] for request in asked}) == len(asked)
    guid = f"{'ab' * 4}-{'ab' * 2}-{'ab' * 2}-{'ab' * 2}-{'ab' * 6}"
    assert {request["headers"]["ms-correlationid"] for request in asked} == {guid}


async def test_no_answer_is_kept(app: App, cloud: LocalCloud) -> None:
    """What was cancelled a moment ago must not be offered again."""
    counts = []
    for _ in range(2):
        cloud.forget()
        await app.find(LICENCES)
        counts.append(len(cloud.requests("partner_center")))

    assert counts == [18, 18]


async def test_a_changed_subscription_is_seen_at_once(app: App, cloud: LocalCloud) -> None:
    before = cloud.subscription(LICENCE)
    query = LICENCES | {"subscriptionId": LICENCE}
    [found] = orders_of(await app.find(query))
    cloud.put(f"subscriptions/{LICENCE}", before | {"status": "deleted"})
    try:
        [changed] = orders_of(await app.find(query))
    finally:
        cloud.put(f"subscriptions/{LICENCE}", before)

    assert [order["lineItems"][0]["cancelled"] for order in (found, changed)] == [False, True]
    assert (found["cancelledLineItems"], changed["cancelledLineItems"]) == ([0], [])


# Problems


PROBLEMS: dict[str, tuple[dict[str, str], str, list[str]]] = {
    "nothing": ({}, "invalid_request", ["/customerTenantId"]),
    "both": (LICENCES | {"customerTenantId": LICENCE_CUSTOMER}, "invalid_request", ["/customerTenantId"]),
    "unknown-member": (LICENCES | {"orderId": "8178ac72b28d"}, "invalid_request", ["/orderId"]),
    "several": ({"cancellable": "1", "text": ""}, "invalid_request", ["/customerTenantId", "/text", "/cancellable"]),
    "no-domain": ({"customerDomain": "https://wingtip.example"}, "invalid_request", ["/customerDomain"]),
    "account": (LICENCES | {"account": "nowhere"}, "unknown_account", []),
    "account-off": (LICENCES | {"account": "closed"}, "account_off", []),
    "account-of-another-customer": (LICENCES | {"account": "limited"}, "customer_not_allowed", []),
    "unknown-domain": ({"customerDomain": "nobody.example"}, "customer_not_found", []),
    "no-customer": ({"customerTenantId": STRANGER}, "customer_not_found", []),
    "credential": (LICENCES | {"account": "expired"}, "credentials_rejected", []),
    "setting": (LICENCES | {"account": "no-secret"}, "misconfigured", []),
    "unreachable": (LICENCES | {"account": "unreachable"}, "partner_center_unavailable", []),
    "entra-unreachable": (LICENCES | {"account": "entra-unreachable"}, "credentials_unavailable", []),
}


@pytest.mark.parametrize("name", PROBLEMS)
async def test_a_problem_has_the_form_of_all_problems(app: App, caplog: pytest.LogCaptureFixture, name: str) -> None:
    query, code, pointers = PROBLEMS[name]

    answer = await app.find(query, prefer="wait=2")

    assert answer.code == code
    assert answer.body.keys() == PROBLEM.keys()
    assert answer.status == answer.body["status"] >= 400
    assert {error["pointer"] for error in answer.body["errors"]} == set(pointers)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["preference-applied"] == "wait=2"
    assert (answer.retry_after is not None) == answer.body["retryable"] == (answer.status in {429, 503})
    assert answer.body["order"] is None
    [record] = audit_records(caplog.text)
    assert (record["event"], record["code"], record["status"]) == ("found", code, answer.status)
    assert record["correlationId"] == answer.body["correlationId"]


async def test_the_problem_type_can_be_asked_for(app: App) -> None:
    answer = await app.find({}, accept="application/problem+json")

    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")


async def test_a_bug_is_answered_and_recorded(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Runtime:
        raise RuntimeError("a bug")

    answer = await find(broken, LICENCES)

    assert (answer.status, answer.code) == (500, "internal_error")
    assert "a bug" not in str(answer.body)
    [record] = audit_records(caplog.text)
    assert (record["event"], record["code"]) == ("found", "internal_error")


async def test_bad_settings_are_named_without_their_values() -> None:
    answer = await find(lambda: Runtime(Settings.from_environ({"CANCEL_DEADLINE_S": "s3cret"})), LICENCES)

    assert answer.code == "misconfigured"
    assert "KEY_VAULT_URL" in answer.body["detail"]
    assert "s3cret" not in str(answer.body)


@pytest.mark.parametrize(
    ("prefer", "applied"), [("wait=3", "wait=3"), ("wait=0", "wait=1"), ("wait=100000", "wait=100"), ("wait=x", None)]
)
async def test_the_deadline_can_be_asked_for(app: App, prefer: str, applied: str | None) -> None:
    await app.find(LICENCES)  # so that no token is needed

    answer = await app.find({"customerDomain": "adatum.example"}, prefer=prefer)

    assert answer.status == 200
    assert answer.headers.get("preference-applied") == applied


# The audit record


async def test_one_record_says_who_looked_at_whom(
    app: App, caplog: pytest.LogCaptureFixture, cloud: LocalCloud
) -> None:
    await app.find(SOFTWARE | {"account": "production", "text": "a word that nobody needs to know"})

    [record] = audit_records(caplog.text)
    times = {name: record.pop(name) for name in ("time", "tokenMs", "partnerCenterMs", "totalMs")}
    ids = {name: record.pop(name) for name in ("requestId", "correlationId")}
    assert record == {
        "event": "found",
        "caller": None,
        "account": "production",
        "customerTenantId": SOFTWARE_CUSTOMER,
        "customerDomain": "fabrikam.example",
        "status": 200,
        "code": None,
        "orders": 0,
        "more": False,
        "attempts": len(cloud.requests("partner_center")),
    }
    assert all(times.values())
    assert len(set(ids.values())) == 2
    assert all(entry.levelname == "INFO" for entry in caplog.records if entry.name == "cancel_order.audit")


async def test_the_record_counts_the_orders(app: App, caplog: pytest.LogCaptureFixture) -> None:
    answers = [await app.find(LICENCES), await app.find({"customerTenantId": CUSTOMER}, prefer="wait=60")]

    counts = [(record["orders"], record["more"]) for record in audit_records(caplog.text)]
    assert counts == [(len(orders_of(answer)), answer.body["more"]) for answer in answers]
    assert counts[1] == (200, True)


async def test_the_text_that_was_looked_for_is_logged_nowhere(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """It may hold anything, and the record is read by others."""
    await app.find(LICENCES | {"text": "PLANTED"})
    await app.find(LICENCES | {"text": "PLANTED", "unknown": "PLANTED", "subscriptionId": "PLANTED"})

    assert "PLANTED" not in caplog.text
    assert "PLANTED" not in json.dumps([entry.__dict__ for entry in caplog.records], default=str)


# The door of the host


def test_the_host_opens_it_for_get_with_the_function_key_alone() -> None:
    binding: dict[str, Any]
    binding, output = json.loads((ROOT / "find_orders/function.json").read_text())["bindings"]

    assert (binding["authLevel"], binding["methods"], binding["route"]) == ("function", ["get"], "find_orders")
    assert (binding["type"], output["type"]) == ("httpTrigger", "http")
