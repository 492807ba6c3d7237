"""The description that `--describe` writes."""

import re
from urllib.parse import urlsplit

import httpx

from infra.local.tickets.systems import SYSTEMS
from tests.support.local_cloud import LocalCloud
from tests.support.stand_in_clients import request_for, tls_context

URLS = ("functionUrl", "partnerCenterUrl", "entraUrl", "keyVaultUrl", "identityUrl", "queueUrl", "controlUrl")


def test_the_description_names_everything(cloud: LocalCloud) -> None:
    description = cloud.description

    assert description["ticketing"].keys() == set(SYSTEMS)
    assert description.keys() >= {*URLS, "functionKey", "caFile", "accounts", "orders"}
    assert description["callers"] == {}  # without --callers the function key is enough
    for name in URLS:
        assert urlsplit(description[name]).hostname == "127.0.0.1"
        assert not description[name].endswith("/")
    assert urlsplit(description["functionUrl"]).path == "/api/cancel_order"
    for account in description["accounts"].values():
        assert account.keys() >= {"cloud", "tenantId", "clientId", "credential", "tenantKind"}
        assert account["tenantKind"] in {"sandbox", "production"}
    kinds = {(account["cloud"], account["credential"]) for account in description["accounts"].values()}
    credentials = ("clientSecret", "certificate", "refreshToken", "managedIdentity")
    assert kinds == {(cloud, credential) for cloud in ("global", "china", "usgov") for credential in credentials}
    assert all(
        order.keys() >= {"customerTenantId", "orderId", "kind", "note"} and order["kind"] and order["note"]
        for order in description["orders"]
    )
    assert all(
        subscription.keys() == {"customerTenantId", "subscriptionId", "orderId", "kind", "note"}
        for subscription in description["subscriptions"]
    )
    kinds = {subscription["kind"] for subscription in description["subscriptions"]}
    assert kinds >= {"licence", "licence, trial", "SaaS", "SaaS, trial", "software subscription", "legacy licence"}
    assert len({order["orderId"] for order in description["orders"]}) == len(description["orders"])


def test_the_function_key_can_be_an_argument(cloud: LocalCloud) -> None:
    """It is one of the program that starts the real host: a key that begins with `-` would be taken for an option."""
    assert re.fullmatch("[0-9a-f]{64}", cloud.description["functionKey"])


def test_the_default_account_is_a_live_sandbox_for_all_customers(cloud: LocalCloud, order_id: str) -> None:
    [reservation] = [order for order in cloud.description["orders"] if order["kind"] == "reservation"]
    of_another_customer = request_for(reservation["orderId"], reservation["customerTenantId"], dryRun=True)

    cancelled, previewed = cloud.post(request_for(order_id)).json(), cloud.post(of_another_customer).json()

    assert cloud.description["accounts"]["default"]["tenantKind"] == "sandbox"
    assert (cancelled["outcome"], previewed["outcome"]) == ("cancelled", "dry_run")
    assert (cancelled["account"], previewed["account"]) == ("default", "default")


def test_every_address_answers_with_a_certificate_of_the_authority(cloud: LocalCloud) -> None:
    statuses = {
        name: httpx.get(cloud.description[name], verify=tls_context(cloud), trust_env=False).status_code
        for name in URLS
    } | {
        name: httpx.get(url, verify=tls_context(cloud), trust_env=False).status_code
        for name, url in cloud.description["ticketing"].items()
    }

    assert statuses.pop("controlUrl") == 200  # the page
    assert statuses.pop("functionUrl") == 401  # GET shows the credentials' health, to callers with the key
    assert set(statuses.values()) == {404}  # no stand-in has a page at its root, but each of them answers
