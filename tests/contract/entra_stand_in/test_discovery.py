"""OpenID discovery: tenants by id and by domain, names that stand for no single tenant, and unknown ones."""

from urllib.parse import urlsplit

import httpx
import msal  # type: ignore[import-untyped, unused-ignore]  # it has no types
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential

from infra.local.cloud import LocalCloud
from infra.local.national_clouds import CLOUD_FACTS, NATIONAL_CLOUDS, NationalCloud
from tests.support.built_in_orders import AZURE_CUSTOMER, MARKETPLACE_CUSTOMER, SOFTWARE_CUSTOMER, STRANGER
from tests.support.entra import account_with, scope_of

PERSONAL_ACCOUNTS = "9188040d-6c67-4c5b-b112-36a304b66dad"
ISSUERS = {
    "global": "https://login.microsoftonline.com/{}/v2.0",
    "china": "https://login.partner.microsoftonline.cn/{}/v2.0",
    "usgov": "https://login.microsoftonline.us/{}/v2.0",
}


def discover(cloud: LocalCloud, http: httpx.Client, name: str, at: NationalCloud = "global") -> httpx.Response:
    return http.get(f"{cloud.url('entra', at)}/{name}/v2.0/.well-known/openid-configuration")


@pytest.mark.parametrize("at", NATIONAL_CLOUDS)
@pytest.mark.parametrize(
    ("name", "tenant"),
    [
        pytest.param("fabrikam.example", SOFTWARE_CUSTOMER, id="domain"),
        pytest.param("Fabrikam.EXAMPLE", SOFTWARE_CUSTOMER, id="domain-in-capitals"),
        pytest.param("xn--bcher-kva.example", MARKETPLACE_CUSTOMER, id="punycode"),
        pytest.param("litware.example", STRANGER, id="no-relationship"),
        pytest.param(AZURE_CUSTOMER, AZURE_CUSTOMER, id="guid"),
        pytest.param(AZURE_CUSTOMER.upper(), AZURE_CUSTOMER, id="guid-in-capitals"),
        pytest.param("common", "{tenantid}", id="common"),
        pytest.param("Organizations", "{tenantid}", id="organizations"),
        pytest.param("consumers", PERSONAL_ACCOUNTS, id="consumers"),
        pytest.param(PERSONAL_ACCOUNTS, PERSONAL_ACCOUNTS, id="personal-accounts"),
    ],
)
def test_the_issuer_has_the_tenant(
    cloud: LocalCloud, http: httpx.Client, at: NationalCloud, name: str, tenant: str
) -> None:
    answer = discover(cloud, http, name, at)

    assert answer.status_code == 200
    assert answer.json()["issuer"] == ISSUERS[at].format(tenant)
    assert answer.headers["cache-control"] == "max-age=86400, private"


@pytest.mark.parametrize(
    ("name", "segment"), [("Fabrikam.example", SOFTWARE_CUSTOMER), ("common", "common"), ("consumers", "consumers")]
)
def test_the_addresses_have_the_tenants_id_or_the_shared_name(
    cloud: LocalCloud, http: httpx.Client, name: str, segment: str
) -> None:
    document = discover(cloud, http, name, "china").json()

    endpoints = {name: document[name] for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    assert endpoints == {
        "authorization_endpoint": f"{cloud.url('entra', 'china')}/{segment}/oauth2/v2.0/authorize",
        "token_endpoint": f"{cloud.url('entra', 'china')}/{segment}/oauth2/v2.0/token",
        "jwks_uri": f"{cloud.url('entra', 'china')}/{segment}/discovery/v2.0/keys",
    }


@pytest.mark.parametrize("at", NATIONAL_CLOUDS)
@pytest.mark.parametrize(
    ("name", "error", "number"),
    [
        pytest.param("unknown.example", "invalid_tenant", 90002, id="domain"),
        pytest.param("www.fabrikam.example", "invalid_tenant", 90002, id="a-host-of-the-domain"),
        pytest.param("00000000-0000-4000-8000-000000000000", "invalid_tenant", 90002, id="guid"),
        pytest.param("fabrikam", "invalid_request", 900023, id="no-dot"),
        pytest.param("b%C3%BCcher.example", "invalid_request", 900023, id="not-in-punycode"),
        pytest.param("a_b.example", "invalid_request", 900023, id="underscore"),
        pytest.param("fabrikam.example.", "invalid_request", 900023, id="dot-at-the-end"),
    ],
)
def test_an_unknown_tenant_is_refused(
    cloud: LocalCloud, http: httpx.Client, at: NationalCloud, name: str, error: str, number: int
) -> None:
    answer = discover(cloud, http, name, at)

    content = answer.json()
    assert answer.status_code == 400
    assert (content["error"], content["error_codes"]) == (error, [number])
    assert content["error_description"].startswith(f"AADSTS{number}: ")
    assert httpx.URL(f"https://x/{name}").path[1:] in content["error_description"]
    assert content.keys() >= {"timestamp", "trace_id", "correlation_id"}
    assert content["error_uri"] == f"https://login.microsoftonline.com/error?code={number}"


@pytest.mark.parametrize("at", NATIONAL_CLOUDS)
def test_msal_discovers_the_tenant_of_a_domain(cloud: LocalCloud, at: NationalCloud) -> None:
    """With an OIDC authority it checks the issuer, too."""
    session = requests.Session()
    session.headers["Connection"] = "close"  # msal cannot close its session

    authority = msal.authority.Authority(
        None, session, oidc_authority_url=f"{cloud.url('entra', at)}/fabrikam.example/v2.0"
    )

    assert urlsplit(authority.token_endpoint).path == f"/{SOFTWARE_CUSTOMER}/oauth2/v2.0/token"
    assert authority.has_valid_issuer()


@pytest.mark.parametrize(
    ("tenant", "message"),
    [
        pytest.param("fabrikam.example", "AADSTS700016", id="a-customer"),
        pytest.param("unknown.example", "AADSTS90002|Unable to get authority", id="unknown"),
    ],
)
def test_azure_identity_gets_no_token_there(cloud: LocalCloud, tenant: str, message: str) -> None:
    """No app is registered with a customer."""
    account = account_with(cloud, "secret", "china")
    authority = {"authority": cloud.url("entra", "china"), "disable_instance_discovery": True}

    with (
        ClientSecretCredential(tenant, account.client_id, account.client_secret, **authority) as credential,
        pytest.raises((ClientAuthenticationError, ValueError), match=message),
    ):
        credential.get_token(scope_of(account))


def test_each_customer_is_described_with_a_domain_that_entra_knows(cloud: LocalCloud, http: httpx.Client) -> None:
    description = cloud.describe()

    customers = description["customers"]
    listed = {entry["customerTenantId"].lower() for kind in ("orders", "subscriptions") for entry in description[kind]}
    assert {customer["customerTenantId"] for customer in customers} == listed
    assert len(customers) == len(listed) == len({customer["domain"] for customer in customers})
    assert STRANGER in listed
    assert any(label.startswith("xn--") for customer in customers for label in customer["domain"].split("."))
    for customer in customers:
        assert customer.keys() == {"customerTenantId", "domain", "name"}
        assert customer["name"]
        assert customer["domain"].endswith(".example")
        assert customer["domain"].encode().decode("idna").encode("idna").decode() == customer["domain"]
        issuer = discover(cloud, http, customer["domain"]).json()["issuer"]
        assert issuer == CLOUD_FACTS["global"].v2_issuer.format(tenant=customer["customerTenantId"])
