"""Who may look at whose orders: exactly those who may cancel for that customer, and nobody by a signature.

Each caller asks for each customer at each account, by find_orders and by a dry run of cancel_order. Both answers have
the same code, except that a caller that signs is refused here: its signature does not cover a query.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from infra.local.partner_center.resources import UNRELATED_CUSTOMER
from shared.caller_settings import AnyCaller
from shared.runtime import Runtime
from shared.settings import Settings
from tests.support import proofs
from tests.support.built_in_orders import LICENCE_CUSTOMER, SOFTWARE_CUSTOMER, built_in, built_in_short
from tests.support.callers import WEBHOOK_SECRET, ZENDESK_SECRET, any_caller
from tests.support.functions_host import audit_records
from tests.support.in_process import App
from tests.support.local_cloud import Json, LocalCloud
from tests.support.proofs import Headers

pytestmark = pytest.mark.anyio

ROLE, ZENDESK_NAME, WEBHOOK_NAME = "Orders.Cancel", "doors-zendesk", "doors-webhooks"


def key_of(name: str) -> str:
    return f"{name}-".ljust(43, "k")


def sha256_of(name: str) -> str:
    return hashlib.sha256(key_of(name).encode()).hexdigest()


LIMITS: dict[str, Json] = {
    "key": {},
    "key-for-one-customer": {"customers": [LICENCE_CUSTOMER]},
    "key-for-two-customers": {"customers": [LICENCE_CUSTOMER, UNRELATED_CUSTOMER]},
    "key-for-one-account": {"accounts": ["default"]},
    "key-for-one-account-and-customer": {"accounts": ["limited"], "customers": [SOFTWARE_CUSTOMER]},
    "key-for-dry-runs": {"dryRunOnly": True},
    "key-without-subscriptions": {"subscriptions": False},
    "key-for-everything-in-vain": {"accounts": ["closed", "nowhere"]},
}
CALLERS: dict[str, AnyCaller] = {
    **{name: any_caller(proof="key", sha256=sha256_of(name), **limits) for name, limits in LIMITS.items()},
    "flow": any_caller(proof="entra", role=ROLE),
    "flow-for-one-customer": any_caller(proof="entra", role="Orders.One", customers=[SOFTWARE_CUSTOMER]),
    "zendesk": any_caller(proof="zendesk", secrets=[ZENDESK_NAME]),
    "webhooks": any_caller(proof="standard-webhooks", secrets=[WEBHOOK_NAME]),
}

type Proof = Callable[[bytes], Headers]  # the headers that go with a body


def by_key(key: str) -> Proof:
    return lambda _: {"x_caller_key": key}


def by_role(role: str) -> Proof:
    return lambda _: proofs.entra_principal(role)


PROOFS: dict[str, Proof] = {
    **{name: by_key(key_of(name)) for name in LIMITS},
    "flow": by_role(ROLE),
    "flow-for-one-customer": by_role("Orders.One"),
    "no-proof": lambda _: {},  # as with the function key alone
    "wrong-key": by_key("k" * 43),
    "another-role": by_role("Orders.Read"),
    "wrong-signature": lambda body: proofs.zendesk(body + b" ", ZENDESK_SECRET),
}
SIGNING: dict[str, Proof] = {
    "zendesk": lambda body: proofs.zendesk(body, ZENDESK_SECRET),
    "webhooks": lambda body: proofs.standard_webhooks(body, WEBHOOK_SECRET),
}
UNPROVEN = {"no-proof", "wrong-key", "another-role", "wrong-signature"}

ACCOUNTS = ("default", "rehearsal", "closed", "limited", "orders-only", "nowhere", None)


class Customer(NamedTuple):
    """A customer as a request names it, with an order; its tenant, if the partner has this customer."""

    named: dict[str, str]
    order_id: str
    tenant_id: str | None = None


SOFTWARE_ORDER, LICENCE_ORDER = built_in("software-three-lines"), built_in_short("licence")
CUSTOMERS: dict[str, Customer] = {
    "software": Customer({"customerTenantId": SOFTWARE_CUSTOMER}, SOFTWARE_ORDER, SOFTWARE_CUSTOMER),
    "software-by-domain": Customer({"customerDomain": "fabrikam.example"}, SOFTWARE_ORDER, SOFTWARE_CUSTOMER),
    "licences": Customer({"customerTenantId": LICENCE_CUSTOMER}, LICENCE_ORDER, LICENCE_CUSTOMER),
    "licences-by-domain": Customer({"customerDomain": "Wingtip.example."}, LICENCE_ORDER, LICENCE_CUSTOMER),
    "in-capitals": Customer({"customerTenantId": LICENCE_CUSTOMER.upper()}, LICENCE_ORDER, LICENCE_CUSTOMER),
    "somebody-elses": Customer({"customerTenantId": UNRELATED_CUSTOMER}, LICENCE_ORDER),
    "somebody-elses-by-domain": Customer({"customerDomain": "litware.example"}, LICENCE_ORDER),
    "unknown-domain": Customer({"customerDomain": "nobody.example"}, LICENCE_ORDER),
    "no-customer": Customer({}, LICENCE_ORDER),
}


@pytest.fixture
def guarded(settings: Settings, cloud: LocalCloud) -> Iterator[Settings]:
    """The settings with CALLERS. App Service Authentication is on."""
    cloud.store_secret(ZENDESK_NAME, ZENDESK_SECRET)
    cloud.store_secret(WEBHOOK_NAME, WEBHOOK_SECRET)
    yield settings.model_copy(update={"callers": CALLERS, "website_auth_enabled": "True"})
    cloud.store_secret(ZENDESK_NAME, "gone", attributes={"enabled": False})
    cloud.store_secret(WEBHOOK_NAME, "gone", attributes={"enabled": False})


type Door = tuple[str | None, str]  # an account and a customer


async def codes_of(app: App, proof: Proof, doors: list[Door]) -> tuple[dict[Door, object], dict[Door, object]]:
    """Return the codes with which finding and a dry run end, None where they succeed, for each of *doors*."""
    finding, cancelling = dict[Door, object](), dict[Door, object]()
    for door in doors:
        named, order_id, tenant_id = CUSTOMERS[door[1]]
        account = {} if door[0] is None else {"account": door[0]}
        found = await app.find(named | account, prefer="wait=60", **proof(b""))
        body = json.dumps(named | account | {"orderId": order_id, "dryRun": True}).encode()
        looked_at = await app.post(body, prefer="wait=60", **proof(body))
        finding[door], cancelling[door] = found.code, looked_at.code
        assert {order["customerTenantId"] for order in found.body.get("orders", [])} <= {tenant_id}
    return finding, cancelling


EVERY_DOOR: list[Door] = [(account, customer) for account in ACCOUNTS for customer in CUSTOMERS]


@pytest.mark.parametrize("name", PROOFS)
async def test_nobody_sees_orders_that_he_could_not_cancel(guarded: Settings, name: str) -> None:
    async with Runtime(guarded) as runtime:
        finding, cancelling = await codes_of(App(runtime), PROOFS[name], EVERY_DOOR)

    assert finding == cancelling
    opened = {door for door, code in finding.items() if code is None}
    assert (not opened) == (name in UNPROVEN or name == "key-for-everything-in-vain")
    if name in UNPROVEN:
        assert set(finding.values()) == {"caller_not_authenticated"}
    limits = LIMITS.get(name, {})
    assert {account or "default" for account, _ in opened} <= set(limits.get("accounts", ACCOUNTS))
    for customer in ("software", "licences"):
        by_tenant = {account for account in ACCOUNTS if (account, customer) in opened}
        assert by_tenant == {account for account in ACCOUNTS if (account, f"{customer}-by-domain") in opened}


async def test_without_callers_the_function_key_is_enough(settings: Settings) -> None:
    """Then everybody who has it may cancel everything, too."""
    async with Runtime(settings) as runtime:
        finding, cancelling = await codes_of(App(runtime), PROOFS["no-proof"], EVERY_DOOR)

    assert finding == cancelling
    assert finding[None, "software"] is None
    assert finding["limited", "licences"] == finding["limited", "licences-by-domain"] == "customer_not_allowed"
    assert finding["closed", "software"] == "account_off"


@pytest.mark.parametrize("name", SIGNING)
async def test_a_caller_that_signs_is_refused(guarded: Settings, cloud: LocalCloud, name: str) -> None:
    """Its signature covers the body, and anybody who once saw one of an empty body could ask for any customer."""
    async with Runtime(guarded) as runtime:
        app = App(runtime)
        answers = [
            await app.find(CUSTOMERS[customer].named | ({"account": account} if account else {}), **SIGNING[name](b""))
            for account, customer in EVERY_DOOR
        ]
        asked = cloud.requests("partner_center") + cloud.requests("entra")
        body = json.dumps({"customerTenantId": SOFTWARE_CUSTOMER, "orderId": SOFTWARE_ORDER, "dryRun": True}).encode()
        may_cancel = await app.post(body, **SIGNING[name](body))

    assert {(answer.status, answer.code) for answer in answers} == {(403, "caller_not_allowed")}
    assert "does not cover a query" in answers[0].body["detail"]
    assert asked == []
    assert may_cancel.outcome == "dry_run"


@pytest.mark.parametrize("name", ["no-proof", "key-for-one-customer", "zendesk"])
async def test_who_is_refused_has_nobody_asked(guarded: Settings, cloud: LocalCloud, name: str) -> None:
    """Neither Partner Center nor, by tenant, Entra ID."""
    proof = (PROOFS | SIGNING)[name]
    async with Runtime(guarded) as runtime:
        answer = await App(runtime).find({"customerTenantId": SOFTWARE_CUSTOMER}, **proof(b""))

    assert answer.status in {401, 403}
    assert cloud.requests("partner_center") == cloud.requests("entra") == []


@pytest.mark.parametrize("name", ["key", "flow", "no-proof", "key-for-one-customer", "zendesk"])
async def test_the_record_names_the_caller(guarded: Settings, caplog: pytest.LogCaptureFixture, name: str) -> None:
    caplog.set_level(logging.INFO)
    proof = (PROOFS | SIGNING)[name]
    async with Runtime(guarded) as runtime:
        answer = await App(runtime).find({"customerDomain": "fabrikam.example"}, **proof(b""))

    [record] = audit_records(caplog.text)
    assert record["event"] == "found"
    assert record["caller"] == (None if name == "no-proof" else name)
    assert (record["status"], record["code"]) == (answer.status, answer.code)
    is_known = name not in {"no-proof", "zendesk"}
    assert record["customerTenantId"] == (SOFTWARE_CUSTOMER if is_known else None)
    assert key_of("key") not in caplog.text


async def test_subscriptions_are_not_promised_to_a_caller_that_may_not_cancel_them(guarded: Settings) -> None:
    query = {"customerTenantId": LICENCE_CUSTOMER, "text": LICENCE_ORDER}
    async with Runtime(guarded) as runtime:
        app = App(runtime)
        answers = [await app.find(query, **PROOFS[name](b"")) for name in ("key", "key-without-subscriptions")]

    lines = [answer.body["orders"][0]["lineItems"][0] for answer in answers]
    assert [(line["cancellable"], line["code"]) for line in lines] == [(True, None), (False, "use_subscription_cancel")]
