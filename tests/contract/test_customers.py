"""A customer named by a domain: Entra ID tells whose it is, and then it is a request for that tenant."""

import json
from collections.abc import AsyncIterator, Iterator

import pytest

from infra.local.entra.server import PERSONAL_ACCOUNTS
from shared.connections.pool import Connections
from shared.customers import KEPT_S, Customers
from shared.errors import NotFound, Unavailable
from shared.runtime import Runtime
from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.support.built_in_orders import (
    LICENCE_CUSTOMER,
    MARKETPLACE_CUSTOMER,
    SOFTWARE_CUSTOMER,
    built_in_short,
    subscription_of,
)
from tests.support.callers import KEY, key_caller
from tests.support.clock import Clock
from tests.support.functions_host import audit_records
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud
from tests.support.peer import Peer

pytestmark = pytest.mark.anyio

DOMAIN = f"customer-{CUSTOMER}.example"
LICENCE_DOMAIN, UNKNOWN = "wingtip.example", "nobody.example"
DISCOVERY = "openid-configuration"
LONG_S = 30.0


def discoveries(cloud: LocalCloud) -> list[Json]:
    """Return the requests that asked Entra ID for the tenant of a domain."""
    return [request for request in cloud.requests("entra", "GET") if ".example/" in request["path"]]


@pytest.fixture
async def customers(cloud: LocalCloud, settings: Settings, clock: Clock) -> AsyncIterator[Customers]:  # noqa: ARG001
    connections = Connections()
    yield Customers(connections, clock)
    await connections.aclose()


@pytest.fixture
def authority(settings: Settings) -> str:
    return settings.accounts["default"].endpoints.authority


@pytest.fixture
def licence(cloud: LocalCloud) -> Iterator[str]:
    """A licence in its window, which is put back as it was."""
    found = subscription_of("licence")
    before = cloud.subscription(found)
    yield found
    cloud.put(f"subscriptions/{found}", before)


async def tenant_of(customers: Customers, domain: str, authority: str, remaining_s: float = LONG_S) -> str:
    return await customers.tenant_of(domain, authority, lambda: remaining_s)


# Whose domain it is.


@pytest.mark.parametrize("account", ["default", "secret-china", "secret-usgov"])
async def test_it_is_resolved_in_the_accounts_own_cloud(app: App, cloud: LocalCloud, account: str) -> None:
    description = cloud.description["accounts"][account]

    answer = await app.find({"customerDomain": "bücher.example", "account": account})

    assert {order["customerTenantId"] for order in answer.body["orders"]} == {MARKETPLACE_CUSTOMER}
    [asked] = discoveries(cloud)
    assert asked["path"] == f"/xn--bcher-kva.example/v2.0/.well-known/{DISCOVERY}"
    assert asked["headers"]["host"] == cloud.description["clouds"][description["cloud"]]["entraUrl"].removeprefix(
        "https://"
    )


async def test_the_request_has_no_credential(app: App, cloud: LocalCloud) -> None:
    """The tenant is known to everybody, so nothing is proved, and nothing can leak."""
    await app.find({"customerDomain": DOMAIN})
    cloud.forget()
    await app.find({"customerDomain": LICENCE_DOMAIN})  # now a token is at hand

    [asked] = discoveries(cloud)
    assert asked["headers"].keys() == {"host", "accept", "accept-encoding", "user-agent"}
    assert asked["headers"]["user-agent"] == "cancel-order"
    assert (asked["body"], "?" in asked["path"]) == (None, False)


async def test_it_is_kept_for_a_day(customers: Customers, cloud: LocalCloud, clock: Clock, authority: str) -> None:
    tenants = {await tenant_of(customers, DOMAIN, authority)}
    clock.now += KEPT_S - 1
    tenants.add(await tenant_of(customers, DOMAIN, authority))
    asked_in_a_day = len(discoveries(cloud))
    clock.now += 2
    tenants.add(await tenant_of(customers, DOMAIN, authority))

    assert (tenants, asked_in_a_day, len(discoveries(cloud))) == ({CUSTOMER}, 1, 2)


async def test_what_is_kept_needs_no_time_and_no_entra(customers: Customers, cloud: LocalCloud, authority: str) -> None:
    await tenant_of(customers, DOMAIN, authority)
    cloud.fault(service="entra", path=DISCOVERY, hang_up="before", times=9)

    assert await tenant_of(customers, DOMAIN, authority, remaining_s=0.0) == CUSTOMER


async def test_each_cloud_is_asked_for_itself(customers: Customers, cloud: LocalCloud, settings: Settings) -> None:
    """A tenant of one national cloud is none in another."""
    for account in ("default", "secret-china"):
        await tenant_of(customers, DOMAIN, settings.accounts[account].endpoints.authority)

    assert len(discoveries(cloud)) == 2


async def test_a_failure_is_not_kept(customers: Customers, cloud: LocalCloud, authority: str) -> None:
    cloud.fault(service="entra", path=DISCOVERY, status=400, body={"error": "invalid_tenant"})
    with pytest.raises(NotFound):
        await tenant_of(customers, DOMAIN, authority)
    cloud.fault(service="entra", path=DISCOVERY, status=503, times=2)
    with pytest.raises(Unavailable):
        await tenant_of(customers, DOMAIN, authority)

    assert await tenant_of(customers, DOMAIN, authority) == CUSTOMER


async def test_not_more_than_the_limit_are_kept(connections: Connections, peer: Peer) -> None:
    """Whoever may call could fill the memory with domains otherwise."""
    body = json.dumps({"issuer": f"https://login.example/{CUSTOMER}/v2.0"}).encode()
    peer.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    customers = Customers(connections, Clock(), most_known=2)

    for domain in ("a.example", "b.example", "a.example", "c.example", "c.example", "a.example"):
        await tenant_of(customers, domain, peer.url)

    asked = [request.head.split("/")[1] for request in peer.requests]
    assert asked == ["a.example", "b.example", "c.example", "a.example"]


# What Entra ID may answer.


def issuer(tenant: str) -> Json:
    return {"status": 200, "body": {"issuer": f"https://login.microsoftonline.com/{tenant}/v2.0"}}


NOT_FOUND: dict[str, Json] = {
    "unknown": {"status": 400, "body": {"error": "invalid_tenant", "error_codes": [90002]}},
    "unknown-404": {"status": 404, "body": {"error": "invalid_tenant"}},
    "no-domain-to-entra": {"status": 400, "body": {"error": "invalid_request", "error_codes": [900023]}},
    "personal-accounts": issuer(PERSONAL_ACCOUNTS),
    "personal-accounts-in-capitals": issuer(PERSONAL_ACCOUNTS.upper()),
    "of-no-single-tenant": issuer("{tenantid}"),
    "common": issuer("common"),
    "a-domain": issuer("contoso.com"),
    "a-guid-with-more": issuer(f"{CUSTOMER}/x"),
    "an-issuer-of-http": {"status": 200, "body": {"issuer": f"http://login.microsoftonline.com/{CUSTOMER}/v2.0"}},
    "an-issuer-that-is-empty": {"status": 200, "body": {"issuer": ""}},
}
FOUND: dict[str, Json] = {
    "version-2": issuer(CUSTOMER),
    "capitals": issuer(CUSTOMER.upper()),
    "version-1": {"status": 200, "body": {"issuer": f"https://sts.windows.net/{CUSTOMER}/"}},
    "china": {"status": 200, "body": {"issuer": f"https://login.partner.microsoftonline.cn/{CUSTOMER}/v2.0"}},
}
NO_ANSWER: dict[str, Json] = {
    "garbage": {"status": 200, "body": "garbage"},
    "html": {"status": 200, "headers": {"content-type": "text/html"}, "body": "<html>"},
    "a-list": {"status": 200, "body": [{"issuer": "https://x"}]},
    "deep": {"status": 200, "body": "[" * 50_000},
    "no-issuer": {"status": 200, "body": {"token_endpoint": "https://x"}},
    "issuer-null": {"status": 200, "body": {"issuer": None}},
    "issuer-number": {"status": 200, "body": {"issuer": 5}},
    "empty": {"status": 200, "body": ""},
    "large": {"status": 200, "body_bytes": 10_000_000},
    "gzip-bomb": {"status": 200, "body_bytes": 10_000_000, "headers": {"content-encoding": "gzip"}},
    "400-garbage": {"status": 400, "body": "Bad Request"},
    "400-of-another-kind": {"status": 400, "body": {"error": "temporarily_unavailable"}},
    "404-html": {"status": 404, "body": "<html>"},
    "403": {"status": 403, "body": {"error": "invalid_tenant"}},
    "429": {"status": 429, "headers": {"retry-after": "30"}},
    "500": {"status": 500},
    "502": {"status": 502, "body": "<html>"},
    "503": {"status": 503, "body": {"error": "temporarily_unavailable"}},
    "redirect": {"status": 302, "headers": {"location": "/common/v2.0/.well-known/openid-configuration"}},
    "redirect-elsewhere": {"status": 307, "headers": {"location": "https://127.0.0.1:9/"}},
    "hang-up": {"hang_up": "before"},
    "half-a-body": {"hang_up": "halfway"},
}


@pytest.mark.parametrize("name", FOUND)
async def test_the_issuer_names_the_tenant(customers: Customers, cloud: LocalCloud, authority: str, name: str) -> None:
    cloud.fault(service="entra", path=DISCOVERY, **FOUND[name])

    assert await tenant_of(customers, UNKNOWN, authority) == CUSTOMER


@pytest.mark.parametrize("name", NOT_FOUND)
async def test_a_domain_without_a_tenant_is_not_found(
    customers: Customers, cloud: LocalCloud, authority: str, name: str
) -> None:
    cloud.fault(service="entra", path=DISCOVERY, **NOT_FOUND[name])

    with pytest.raises(NotFound) as caught:
        await tenant_of(customers, DOMAIN, authority)

    assert (caught.value.code, caught.value.status) == ("customer_not_found", 404)
    assert "nothing was changed" in caught.value.detail
    assert len(cloud.requests("entra", path=DISCOVERY)) == 1, "it is not asked again"


@pytest.mark.parametrize("name", NO_ANSWER)
async def test_an_entra_that_fails_is_asked_twice(
    customers: Customers, cloud: LocalCloud, authority: str, name: str
) -> None:
    cloud.fault(service="entra", path=DISCOVERY, **NO_ANSWER[name], times=2)

    with pytest.raises(Unavailable) as caught:
        await tenant_of(customers, DOMAIN, authority)

    assert (caught.value.code, caught.value.status) == ("credentials_unavailable", 503)
    assert "Entra ID" in caught.value.detail
    assert len(cloud.requests("entra", path=f"/{DOMAIN}/")) == len(cloud.requests("entra")) == 2


@pytest.mark.parametrize("name", NO_ANSWER)
async def test_one_failure_is_made_good(customers: Customers, cloud: LocalCloud, authority: str, name: str) -> None:
    cloud.fault(service="entra", path=DISCOVERY, **NO_ANSWER[name])

    assert await tenant_of(customers, DOMAIN, authority) == CUSTOMER


async def test_it_takes_no_more_than_the_time_that_is_left(
    customers: Customers, cloud: LocalCloud, authority: str
) -> None:
    cloud.fault(service="entra", path=DISCOVERY, delay_s=600, times=9)

    with pytest.raises(Unavailable):
        await tenant_of(customers, DOMAIN, authority, remaining_s=0.3)


async def test_without_time_nothing_is_sent(customers: Customers, cloud: LocalCloud, authority: str) -> None:
    with pytest.raises(Unavailable):
        await tenant_of(customers, DOMAIN, authority, remaining_s=0.01)

    assert cloud.requests() == []


# Requests by domain.


async def test_a_slow_entra_ends_the_request_at_its_deadline(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(service="entra", path=DISCOVERY, delay_s=600, times=9)

    answer = await app.post({"customerDomain": DOMAIN, "orderId": order_id}, prefer="wait=1")

    assert (answer.status, answer.code, answer.retry_after) == (503, "credentials_unavailable", "5")
    assert cloud.requests("partner_center") == []


async def test_the_time_that_it_takes_is_the_calls_own(app: App, cloud: LocalCloud, order_id: str) -> None:
    """What is left of the deadline is for everything else."""
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id, "dryRun": True})
    cloud.fault(service="entra", path=DISCOVERY, delay_s=0.9)
    cloud.fault(method="GET", delay_s=600)

    answer = await app.post({"customerDomain": DOMAIN, "orderId": order_id, "dryRun": True}, prefer="wait=1")

    assert answer.code in {"partner_center_unavailable", "credentials_unavailable"}


async def test_an_unknown_domain_is_told_in_words(app: App, cloud: LocalCloud, order_id: str) -> None:
    answer = await app.post({"customerDomain": UNKNOWN, "orderId": order_id})

    assert (answer.status, answer.code, answer.body["retryable"]) == (404, "customer_not_found", False)
    assert "Check the spelling" in answer.body["detail"]
    assert cloud.requests("partner_center") == []


async def test_a_tenant_that_is_no_customer_is_partner_centers_to_tell(app: App) -> None:
    answer = await app.post({"customerDomain": "litware.example", "orderId": "8178ac72b28d", "dryRun": True})

    assert (answer.code, answer.body["partnerCenter"]["code"]) == ("customer_not_found", "20002")


async def test_a_whole_order_is_cancelled_by_domain(app: App, cloud: LocalCloud, order_id: str) -> None:
    answer = await app.post({"customerDomain": f" {DOMAIN.upper()}. ", "orderId": order_id})

    assert (answer.outcome, answer.body["customerTenantId"]) == ("cancelled", CUSTOMER)
    [patch] = cloud.requests("partner_center")
    assert patch["path"] == f"/v1/customers/{CUSTOMER}/orders/{order_id}"
    assert "customerDomain" not in answer.body


async def test_a_line_is_cancelled_by_domain(app: App, order_id: str) -> None:
    answer = await app.post({"customerDomain": DOMAIN, "orderId": order_id, "lineItems": [{"lineItemNumber": 1}]})

    assert (answer.outcome, answer.body["cancelledLineItems"]) == ("partially_cancelled", [1])
    assert answer.body["customerTenantId"] == CUSTOMER


async def test_a_dry_run_is_made_by_domain(app: App, cloud: LocalCloud, order_id: str) -> None:
    answer = await app.post({"customerDomain": DOMAIN, "orderId": order_id, "dryRun": True})

    assert (answer.outcome, answer.body["customerTenantId"]) == ("dry_run", CUSTOMER)
    assert cloud.methods() == ["GET", "GET"]


@pytest.mark.parametrize("when", ["now", "term_end"])
@pytest.mark.parametrize("is_named", [True, False], ids=["subscription", "order"])
async def test_a_licence_is_cancelled_by_domain(
    app: App, cloud: LocalCloud, licence: str, is_named: bool, when: str
) -> None:
    named = {"subscriptionId": licence} if is_named else {"orderId": built_in_short("licence")}

    answer = await app.post({"customerDomain": LICENCE_DOMAIN, "when": when} | named)

    assert answer.outcome == ("cancelled" if when == "now" else "scheduled")
    assert answer.body["customerTenantId"] == LICENCE_CUSTOMER
    paths = [request["path"] for request in cloud.requests("partner_center")]
    assert all(path.startswith(f"/v1/customers/{LICENCE_CUSTOMER}/") for path in paths)


async def test_a_problem_shows_the_order_with_the_tenant(app: App, cloud: LocalCloud, order_id: str) -> None:
    cloud.fault(method="PATCH", status=400, body={"code": "800061", "description": "no"})
    body = {"customerDomain": DOMAIN, "orderId": order_id, "lineItems": [{"lineItemNumber": 1}]}

    answer = await app.post(body)

    assert answer.status == 422
    assert answer.body["order"]["customerTenantId"] == CUSTOMER


# The audit record.


async def test_the_record_has_domain_and_tenant(app: App, caplog: pytest.LogCaptureFixture, order_id: str) -> None:
    await app.post({"customerDomain": DOMAIN, "orderId": order_id})
    await app.post({"customerTenantId": CUSTOMER, "orderId": order_id})

    records = audit_records(caplog.text)
    assert [(record["event"], record["customerDomain"], record["customerTenantId"]) for record in records] == [
        ("sending", DOMAIN, CUSTOMER),
        ("decided", DOMAIN, CUSTOMER),
        ("sending", None, CUSTOMER),
        ("decided", None, CUSTOMER),
    ]


@pytest.mark.parametrize("domain", [pytest.param(DOMAIN, id="entra-fails"), pytest.param(UNKNOWN, id="unknown")])
async def test_the_record_has_a_domain_whose_tenant_was_not_found(
    app: App, cloud: LocalCloud, caplog: pytest.LogCaptureFixture, domain: str
) -> None:
    """The operator must see which customer a ticket names that nobody knows."""
    cloud.fault(service="entra", path=DOMAIN, status=503, times=4)

    await app.post({"customerDomain": domain, "orderId": "some-order"})
    await app.find({"customerDomain": domain})

    records = audit_records(caplog.text)
    assert [record["event"] for record in records] == ["decided", "found"]
    assert {(record["customerDomain"], record["customerTenantId"]) for record in records} == {(domain, None)}
    assert {record["account"] for record in records} == {"default"}


# Guards.


async def test_the_accounts_customers_count_for_the_tenant_found(app: App, cloud: LocalCloud) -> None:
    body = {"orderId": "no-such-order", "dryRun": True, "account": "limited"}

    other = await app.post(body | {"customerDomain": LICENCE_DOMAIN})
    asked = cloud.requests("partner_center")
    own = await app.post(body | {"customerDomain": "fabrikam.example"})

    assert (other.code, asked) == ("customer_not_allowed", [])
    assert own.code == "order_not_found"


async def test_the_callers_customers_count_for_the_tenant_found(settings: Settings, cloud: LocalCloud) -> None:
    callers = {"helpdesk": key_caller(customers=[SOFTWARE_CUSTOMER])}
    body = {"orderId": "no-such-order", "dryRun": True}
    async with Runtime(settings.model_copy(update={"callers": callers})) as runtime:
        app = App(runtime)
        other = await app.post(body | {"customerDomain": LICENCE_DOMAIN}, x_caller_key=KEY)
        asked = cloud.requests("partner_center")
        own = await app.post(body | {"customerDomain": "fabrikam.example"}, x_caller_key=KEY)

    assert (other.code, asked) == ("caller_not_allowed", [])
    assert own.code == "order_not_found"


async def test_an_unknown_caller_cannot_have_entra_asked(settings: Settings, cloud: LocalCloud) -> None:
    callers = {"helpdesk": key_caller()}
    async with Runtime(settings.model_copy(update={"callers": callers})) as runtime:
        answer = await App(runtime).post({"customerDomain": DOMAIN, "orderId": "some-order"}, x_caller_key="wrong")

    assert answer.code == "caller_not_authenticated"
    assert cloud.requests() == []


LIMITS: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    "account-off": ({}, {"account": "closed"}, "account_off"),
    "another-account": ({"accounts": ["limited"]}, {}, "caller_not_allowed"),
    "dry-runs-only": ({"dryRunOnly": True}, {}, "caller_not_allowed"),
}


@pytest.mark.parametrize("name", LIMITS)
async def test_what_is_refused_for_every_customer_is_refused_without_entra(
    settings: Settings, cloud: LocalCloud, name: str
) -> None:
    """An Entra ID that fails would turn a final refusal into an error that is repeated."""
    limits, members, code = LIMITS[name]
    callers = {"helpdesk": key_caller(**limits)}
    cloud.fault(service="entra", path=DISCOVERY, status=503, times=9)
    async with Runtime(settings.model_copy(update={"callers": callers})) as runtime:
        body = {"customerDomain": DOMAIN, "orderId": "some-order"} | members
        answer = await App(runtime).post(body, x_caller_key=KEY)

    assert (answer.status, answer.code) == (403, code)
    assert cloud.requests() == []
