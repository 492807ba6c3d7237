"""Can the local Entra, identity and Key Vault be believed? Asked by azure-identity, msal and SecretClient, over TLS.

Every kind of credential on every cloud, and each wrong combination with the number that Entra gives it.
"""

import asyncio
import base64
import gc
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import msal  # type: ignore[import-untyped, unused-ignore]  # it has no types
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
)
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets._shared import http_challenge_cache
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from infra.local.accounts import PFX, LocalAccount
from infra.local.callers import FUNCTION_APP
from infra.local.cloud import LocalCloud, Options
from infra.local.entra.client_proof import JWT_BEARER
from infra.local.entra.signing import new_key_pair
from infra.local.national_clouds import CLOUD_FACTS, NATIONAL_CLOUDS, NationalCloud

START_LIMIT_S = 30
CUSTOMER, ORDER = "bd59b416-37f9-4d8f-8df3-5750111fc615", "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1"
REDIRECT = "http://localhost:53682/"
KINDS = ("secret", "certificate", "user", "federated")

type Json = dict[str, Any]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """The stand-ins in a thread of this process, without the function."""
    started, ends = threading.Event(), asyncio.Event()
    found = LocalCloud(Options(port=0), tmp_path_factory.mktemp("cloud"))

    async def serve() -> None:
        async with found.stand_ins():
            started.set()
            await ends.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    assert started.wait(START_LIMIT_S)
    yield found
    gc.collect()  # azure-core's errors are cycles that hold their connection open
    loop.call_soon_threadsafe(ends.set)
    thread.join(START_LIMIT_S)
    loop.close()


@pytest.fixture(autouse=True)
def _environment(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a function finds in its environment; every app is registered as it was at the start."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    http_challenge_cache.clear()
    for account in cloud.accounts.values():
        client = cloud.entras[account.national_cloud].registrations[account.client_id]
        vars(client).update(vars(account.registration(cloud.identity.federated_credential(account.national_cloud))))


@pytest.fixture
def http(cloud: LocalCloud) -> Iterator[httpx.Client]:
    with httpx.Client(verify=ssl.create_default_context(cafile=str(cloud.ca_file)), trust_env=False) as client:
        yield client


def named(cloud: LocalCloud, kind: str, where: NationalCloud) -> LocalAccount:
    return cloud.accounts["default" if (kind, where) == ("secret", "global") else f"{kind}-{where}"]


def control(cloud: LocalCloud, method: str, path: str, body: Json | None = None) -> Any:
    response = httpx.request(method, f"{cloud.url('control')}/{path}", json=body, trust_env=False)
    response.raise_for_status()
    return response.json()


def change(cloud: LocalCloud, account: LocalAccount, **changes: Any) -> None:
    control(cloud, "PUT", f"clients/{account.client_id}", changes)


def where(cloud: LocalCloud, account: LocalAccount) -> Json:
    return {"authority": cloud.url("entra", account.national_cloud), "disable_instance_discovery": True}


def scope(account: LocalAccount) -> str:
    return f"{CLOUD_FACTS[account.national_cloud].audience}/.default"


def by_secret(cloud: LocalCloud, account: LocalAccount, secret: str | None = None) -> str:
    given = secret or account.client_secret
    with ClientSecretCredential(account.tenant_id, account.client_id, given, **where(cloud, account)) as credential:
        return credential.get_token(scope(account)).token


def by_certificate(
    cloud: LocalCloud, account: LocalAccount, certificate: str | None = None, *, send_certificate_chain: bool = True
) -> str:
    """Use *certificate*, or the account's own, in the form in which the vault holds it."""
    value = certificate or account.certificate
    with CertificateCredential(
        account.tenant_id,
        account.client_id,
        certificate_data=value.encode() if value.startswith("-----") else base64.b64decode(value),
        send_certificate_chain=send_certificate_chain,
        **where(cloud, account),
    ) as credential:
        return credential.get_token(scope(account)).token


def by_identity(cloud: LocalCloud, account: LocalAccount, assertion: Callable[[], str] | None = None) -> str:
    """Use what *assertion* gives, or the managed identity's token for the account's cloud."""

    def exchange() -> str:
        with ManagedIdentityCredential(client_id=cloud.environment()["AZURE_CLIENT_ID"]) as identity:
            given: str = identity.get_token(f"{CLOUD_FACTS[account.national_cloud].exchange_audience}/.default").token
            return given

    with ClientAssertionCredential(
        account.tenant_id, account.client_id, assertion or exchange, **where(cloud, account)
    ) as credential:
        token: str = credential.get_token(scope(account)).token
        return token


def msal_app(cloud: LocalCloud, account: LocalAccount, credential: Any = None) -> msal.ConfidentialClientApplication:
    session = requests.Session()
    session.headers["Connection"] = "close"  # msal has no close of its own
    return msal.ConfidentialClientApplication(
        account.client_id,
        credential or account.client_secret,
        authority=f"{cloud.url('entra', account.national_cloud)}/{account.tenant_id}",
        instance_discovery=False,
        http_client=session,
    )


def refreshed(cloud: LocalCloud, account: LocalAccount, refresh_token: str | None = None) -> Json:
    app = msal_app(cloud, account)
    answer: Json = app.acquire_token_by_refresh_token(refresh_token or account.refresh_token, [scope(account)])
    return answer


def by_user(cloud: LocalCloud, account: LocalAccount) -> str:
    token: str = refreshed(cloud, account)["access_token"]
    return token


ACQUIRE: dict[str, Callable[..., str]] = {
    "secret": by_secret,
    "certificate": by_certificate,
    "user": by_user,
    "federated": by_identity,
}


def claims_of(token: str) -> Json:
    claims: Json = jwt.decode(token, options={"verify_signature": False})
    return claims


def number_in(error: ClientAuthenticationError) -> int:
    found = re.search(r"AADSTS(\d+)", str(error))
    assert found
    return int(found[1])


def refusal(acquire: Callable[..., str], *arguments: Any, **options: Any) -> int:
    with pytest.raises(ClientAuthenticationError) as caught:
        acquire(*arguments, **options)
    return number_in(caught.value)


def ask_order(cloud: LocalCloud, http: httpx.Client, at: NationalCloud, token: str) -> httpx.Response:
    url = f"{cloud.url('partner_center', at)}/v1/customers/{CUSTOMER}/orders/{ORDER}"
    return http.get(url, headers={"Authorization": f"Bearer {token}"})


def ask_token(cloud: LocalCloud, http: httpx.Client, account: LocalAccount, **form: str) -> Json:
    """Ask the token endpoint for what no library would."""
    url = f"{cloud.url('entra', account.national_cloud)}/{account.tenant_id}/oauth2/v2.0/token"
    usual = {"client_id": account.client_id, "scope": scope(account), "grant_type": "client_credentials"}
    answer: Json = http.post(url, data=usual | form).json()
    return answer


# Every kind on every cloud.


@pytest.mark.parametrize("at", NATIONAL_CLOUDS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_credential_gives_a_token_for_its_cloud_and_no_other(
    cloud: LocalCloud, http: httpx.Client, kind: str, at: NationalCloud
) -> None:
    account = named(cloud, kind, at)

    token = ACQUIRE[kind](cloud, account)

    claims = claims_of(token)
    assert (claims["aud"], claims["tid"], claims["appid"]) == (
        CLOUD_FACTS[at].audience,
        account.tenant_id,
        account.client_id,
    )
    assert claims["iss"] == CLOUD_FACTS[at].issuer.format(tenant=account.tenant_id)
    assert ("scp" in claims, "upn" in claims, "mfa" in claims.get("amr", [])) == (kind == "user",) * 3
    assert {other: ask_order(cloud, http, other, token).status_code for other in NATIONAL_CLOUDS} == {
        other: 200 if other == at else 401 for other in NATIONAL_CLOUDS
    }


def test_the_clouds_share_their_orders(cloud: LocalCloud, http: httpx.Client) -> None:
    path = "/v1/customers/45411344-b09d-47e7-9653-542006bf9766/orders/2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1"
    bearers = {
        at: {"Authorization": f"Bearer {by_secret(cloud, named(cloud, 'secret', at))}"} for at in NATIONAL_CLOUDS
    }

    http.patch(
        f"{cloud.url('partner_center', 'china')}{path}", json={"status": "cancelled"}, headers=bearers["china"]
    ).raise_for_status()

    statuses = {
        http.get(f"{cloud.url('partner_center', at)}{path}", headers=bearers[at]).json()["status"]
        for at in NATIONAL_CLOUDS
    }
    assert statuses == {"cancelled"}


@pytest.mark.parametrize("kind", ["secret", "certificate", "federated"])
def test_an_app_is_unknown_to_the_other_clouds(cloud: LocalCloud, kind: str) -> None:
    account = named(cloud, kind, "china")

    with pytest.raises((ClientAuthenticationError, ValueError), match=r"AADSTS90002|Unable to get authority"):
        ACQUIRE[kind](cloud, replace(account, national_cloud="usgov"))


def test_the_description_says_what_each_account_is(cloud: LocalCloud) -> None:
    description = cloud.describe()

    assert description["clouds"]["global"] == {name: description[name] for name in ("partnerCenterUrl", "entraUrl")}
    urls = {url for urls in description["clouds"].values() for url in urls.values()}
    assert len(urls) == 6
    settings = cloud.environment()["PARTNER_CENTER_ACCOUNTS"]
    for name, account in description["accounts"].items():
        kind = account["credential"]
        assert account["cloud"] == (name.rpartition("-")[2] if name.rpartition("-")[2] in NATIONAL_CLOUDS else "global")
        assert (kind in account) == (kind != "managedIdentity")
        for member in {"secretName", "certificateName", "refreshTokenName"} & account.keys():
            assert f'"{account[member]}"' in settings
            if name != "no-secret":
                [version] = control(cloud, "GET", f"secrets/{account[member]}")
                assert version["value"] == account[{"secretName": "clientSecret"}.get(member, member[:-4])]


# The client secret.


def test_a_wrong_secret_is_told_from_an_expired_one(cloud: LocalCloud) -> None:
    account = named(cloud, "secret", "usgov")

    assert refusal(by_secret, cloud, account, "wrong") == 7000215
    change(cloud, account, trouble="secret_expired")
    assert refusal(by_secret, cloud, account, "wrong") == 7000215
    assert refusal(by_secret, cloud, account) == 7000222
    change(cloud, account, trouble=None)
    assert by_secret(cloud, account)


def test_two_secrets_are_valid_during_a_rotation(cloud: LocalCloud) -> None:
    account = named(cloud, "secret", "global")
    change(cloud, account, secrets=[account.client_secret, "new"])

    assert by_secret(cloud, account)
    assert by_secret(cloud, account, "new")
    change(cloud, account, revoke=True)
    assert refusal(by_secret, cloud, account) == 7000215
    assert by_secret(cloud, account, "new")


def test_one_secret_replaces_the_others_at_once(cloud: LocalCloud) -> None:
    account = named(cloud, "secret", "global")
    change(cloud, account, secret="new")

    assert refusal(by_secret, cloud, account) == 7000215
    assert by_secret(cloud, account, "new")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("trouble", "number"), [("disabled", 7000112), ("conditional_access", 53003)])
def test_troubles_that_meet_every_kind(cloud: LocalCloud, kind: str, trouble: str, number: int) -> None:
    account = named(cloud, kind, "global")
    change(cloud, account, trouble=trouble)

    if kind == "user":
        assert refreshed(cloud, account)["error_codes"] == [number]
    else:
        assert refusal(ACQUIRE[kind], cloud, account) == number


@pytest.mark.parametrize("trouble", ["mfa_missing", "interaction_required"])
@pytest.mark.parametrize("kind", ["secret", "certificate", "federated"])
def test_what_a_user_lacks_does_not_meet_an_app(cloud: LocalCloud, http: httpx.Client, kind: str, trouble: str) -> None:
    account = named(cloud, kind, "china")
    change(cloud, account, trouble=trouble)

    assert ask_order(cloud, http, "china", ACQUIRE[kind](cloud, account)).status_code == 200


@pytest.mark.parametrize(
    ("form", "number"),
    [
        pytest.param({}, 7000218, id="no-proof"),
        pytest.param({"client_assertion": "x"}, 900144, id="assertion-without-its-type"),
        pytest.param({"client_assertion": "x", "client_assertion_type": JWT_BEARER}, 50027, id="not-a-jwt"),
        pytest.param({"client_id": "4d3cf487-70f4-4e1e-9ff1-b2bfce8d9f04"}, 700016, id="unknown-app"),
        pytest.param({"grant_type": "password"}, 70003, id="another-grant"),
        pytest.param({"client_secret": "right", "scope": "https://x.example/.default"}, 500011, id="another-resource"),
        pytest.param({"client_secret": "right", "scope": "openid"}, 1002012, id="not-the-default-scope"),
        pytest.param(
            {"client_secret": "right", "scope": f"{CLOUD_FACTS['global'].audience}/.default"},
            500011,
            id="the-resource-of-another-cloud",
        ),
    ],
)
def test_what_no_library_sends(cloud: LocalCloud, http: httpx.Client, form: dict[str, str], number: int) -> None:
    account = named(cloud, "secret", "china")
    change(cloud, account, secret="right")

    assert ask_token(cloud, http, account, **form)["error_codes"] == [number]


# The certificate.


@pytest.mark.parametrize("at", NATIONAL_CLOUDS)
def test_another_certificate_is_refused_until_it_is_registered(cloud: LocalCloud, at: NationalCloud) -> None:
    account = named(cloud, "certificate", at)
    new = control(cloud, "POST", "certificates")
    in_vault = new["pfx" if account.certificate_type == PFX else "pem"]

    assert refusal(by_certificate, cloud, account, in_vault) == 700027
    change(cloud, account, certificates=[account.key_pair.pem if account.key_pair else "", new["pem"]])
    assert by_certificate(cloud, account, in_vault)
    assert by_certificate(cloud, account)
    change(cloud, account, certificate=new["pem"])
    assert by_certificate(cloud, account, in_vault)
    assert refusal(by_certificate, cloud, account) == 700027


def test_a_certificate_without_its_chain_is_refused(cloud: LocalCloud) -> None:
    """That the product sends x5c, without which an app registered by subject name cannot be found, must show."""
    account = named(cloud, "certificate", "global")

    assert refusal(by_certificate, cloud, account, send_certificate_chain=False) == 700027


@pytest.mark.parametrize("is_over", [True, False])
def test_a_certificate_past_its_time_is_refused(cloud: LocalCloud, is_over: bool) -> None:
    account = named(cloud, "certificate", "global")
    pem = new_key_pair(lifetime=timedelta(hours=-1) if is_over else timedelta(hours=1)).pem
    change(cloud, account, certificate=pem, **({} if is_over else {"trouble": "secret_expired"}))

    assert refusal(by_certificate, cloud, account, pem) == 700027


def test_a_sha_256_thumbprint_with_ps256_is_taken(cloud: LocalCloud) -> None:
    """As msal sends where it is given the certificate alone."""
    account = named(cloud, "certificate", "usgov")
    credential = {"private_key": account.certificate, "public_certificate": public_pem(account.certificate)}

    answer = msal_app(cloud, account, credential).acquire_token_for_client([scope(account)])

    assert answer["access_token"]


def public_pem(pem: str) -> str:
    return pem[pem.index("-----BEGIN CERTIFICATE") :]


def assertion(cloud: LocalCloud, account: LocalAccount, header: Json, claims: Json, key: str | None = None) -> str:
    """Return a sound assertion of *account*, apart from *header* and *claims* and another *key*."""
    certificate = x509.load_pem_x509_certificate(account.certificate.encode())
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA1())).decode()  # noqa: S303
    chain = ["".join(public_pem(account.certificate).splitlines()[1:-1])]
    endpoint = f"{cloud.url('entra', account.national_cloud)}/{account.tenant_id}/oauth2/v2.0/token"
    now = int(time.time())
    sound = {"aud": endpoint, "iss": account.client_id, "sub": account.client_id, "nbf": now, "exp": now + 600}
    headers = {name: value for name, value in ({"x5t": thumbprint, "x5c": chain} | header).items() if value is not None}
    return jwt.encode(sound | claims, key or account.certificate, algorithm="RS256", headers=headers)


@pytest.mark.parametrize(
    ("header", "claims", "number"),
    [
        pytest.param({}, {}, None, id="sound"),
        pytest.param({"x5t": None}, {}, 5002723, id="no-thumbprint"),
        pytest.param({"x5t": "AAAA"}, {}, 700027, id="unknown-thumbprint"),
        pytest.param({"x5c": None}, {}, 700027, id="no-chain"),
        pytest.param({"x5c": ["AAAA"]}, {}, 700027, id="broken-chain"),
        pytest.param({}, {"iss": "someone"}, 700021, id="another-issuer"),
        pytest.param({}, {"sub": "someone"}, 700021, id="another-subject"),
        pytest.param({}, {"aud": "https://login.microsoftonline.com"}, 700023, id="another-audience"),
        pytest.param({}, {"exp": 1_700_000_000}, 700024, id="expired"),
        pytest.param({}, {"nbf": 4_000_000_000}, 700024, id="not-yet"),
        pytest.param({}, {"exp": None}, 50027, id="no-end"),
    ],
)
def test_an_assertion_is_checked(
    cloud: LocalCloud, http: httpx.Client, header: Json, claims: Json, number: int | None
) -> None:
    account = named(cloud, "certificate", "global")
    sent = assertion(cloud, account, header, claims)

    answer = ask_token(cloud, http, account, client_assertion=sent, client_assertion_type=JWT_BEARER)

    assert answer.get("error_codes", [None]) == [number]


def test_an_assertion_signed_with_another_key_is_refused(cloud: LocalCloud, http: httpx.Client) -> None:
    """The thumbprint is public, the key is not."""
    account = named(cloud, "certificate", "global")
    sent = assertion(cloud, account, {}, {}, key=new_key_pair().pem)

    answer = ask_token(cloud, http, account, client_assertion=sent, client_assertion_type=JWT_BEARER)

    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [700027])


def test_five_minutes_of_clock_skew_are_forgiven(cloud: LocalCloud, http: httpx.Client) -> None:
    account = named(cloud, "certificate", "global")

    for skew_s in (-280, 280):
        now = int(time.time()) + skew_s
        sent = assertion(cloud, account, {}, {"nbf": now, "iat": now, "exp": now + 1})
        answer = ask_token(cloud, http, account, client_assertion=sent, client_assertion_type=JWT_BEARER)
        assert "access_token" in answer


# The managed identity as federated credential.


@pytest.mark.parametrize(("member", "number"), [("issuer", 700211), ("audience", 700212), ("subject", 700213)], ids=str)
def test_a_federated_credential_must_match(cloud: LocalCloud, member: str, number: int) -> None:
    account = named(cloud, "federated", "china")
    client = cloud.entras["china"].registrations[account.client_id]
    assert client.federated_credential
    client.federated_credential = replace(client.federated_credential, **{member: "https://another.example"})

    assert refusal(by_identity, cloud, account) == number


def test_an_identity_s_token_of_another_cloud_is_refused(cloud: LocalCloud) -> None:
    account = named(cloud, "federated", "usgov")

    with ManagedIdentityCredential() as identity:
        for resource in ("api://AzureADTokenExchange", cloud.key_vault.resource):
            token = identity.get_token(f"{resource}/.default").token
            assert refusal(by_identity, cloud, account, lambda token=token: token) == 700211


def test_an_app_without_a_federated_credential_takes_no_identity(cloud: LocalCloud) -> None:
    assert refusal(by_identity, cloud, named(cloud, "certificate", "global")) == 70025


def test_an_identity_s_token_that_anyone_could_have_signed_is_refused(cloud: LocalCloud) -> None:
    account = named(cloud, "federated", "global")
    trusted = cloud.identity.federated_credential("global")
    claims = {"iss": trusted.issuer, "aud": trusted.audience, "sub": trusted.subject, "exp": int(time.time()) + 60}
    forged = jwt.encode(claims, new_key_pair().pem, algorithm="RS256")

    assert refusal(by_identity, cloud, account, lambda: forged) == 50013


# The refresh token.


@pytest.mark.parametrize("at", NATIONAL_CLOUDS)
def test_each_use_of_a_refresh_token_gives_another_and_leaves_it_valid(cloud: LocalCloud, at: NationalCloud) -> None:
    """Two instances that exchange the same token at once both go on."""
    account = named(cloud, "user", at)

    first, second = (refreshed(cloud, account)["refresh_token"] for _ in range(2))

    assert len({account.refresh_token, first, second}) == 3
    assert all("access_token" in refreshed(cloud, account, token) for token in (account.refresh_token, first, second))


@pytest.mark.parametrize(("fate", "number"), [("revoke", 50173), ("expire", 700082)])
def test_refresh_tokens_end_and_a_new_consent_begins(cloud: LocalCloud, fate: str, number: int) -> None:
    account = named(cloud, "user", "global")
    newer = refreshed(cloud, account)["refresh_token"]
    change(cloud, account, refreshToken="consented-anew", **{fate: True})

    for token in (account.refresh_token, newer):
        answer = refreshed(cloud, account, token)
        assert (answer["error"], answer["error_codes"]) == ("invalid_grant", [number])
    assert "access_token" in refreshed(cloud, account, "consented-anew")


def test_a_refresh_token_of_another_app_is_none(cloud: LocalCloud) -> None:
    answer = refreshed(cloud, named(cloud, "user", "global"), named(cloud, "user", "china").refresh_token)

    assert (answer["error"], answer["error_codes"]) == ("invalid_grant", [9002313])


def test_a_refresh_token_needs_the_secret_too(cloud: LocalCloud) -> None:
    account = named(cloud, "user", "china")

    answer = refreshed(cloud, replace(account, client_secret="wrong"))

    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [7000215])


def test_a_user_who_must_act_is_told_apart(cloud: LocalCloud) -> None:
    account = named(cloud, "user", "usgov")
    change(cloud, account, trouble="interaction_required")

    answer = refreshed(cloud, account)

    assert (answer["error"], answer["suberror"], answer["error_codes"]) == ("invalid_grant", "basic_action", [50076])


@pytest.mark.parametrize("at", NATIONAL_CLOUDS)
def test_a_user_s_token_without_mfa_is_given_and_refused_by_partner_center(
    cloud: LocalCloud, http: httpx.Client, at: NationalCloud
) -> None:
    account = named(cloud, "user", at)
    change(cloud, account, trouble="mfa_missing")

    token = by_user(cloud, account)

    assert claims_of(token)["amr"] == ["pwd"]
    answer = ask_order(cloud, http, at, token)
    assert (answer.status_code, answer.json()["code"]) == (401, "900421")


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        pytest.param("{audience}/.default openid offline_access profile", None, id="as-msal-asks"),
        pytest.param("{audience}/user_impersonation", None, id="by-permission"),
        pytest.param("openid offline_access", 70011, id="no-resource"),
        pytest.param("{audience}/orders.read", 70011, id="unknown-permission"),
        pytest.param("https://graph.windows.net/.default", 500011, id="another-resource"),
        pytest.param("{audience}/.default {audience}/x/.default", 500011, id="a-path-of-it"),
        pytest.param(f"{FUNCTION_APP.identifier}/.default", 500011, id="another-cloud-s-resource"),
    ],
)
def test_a_user_s_scope_is_checked(cloud: LocalCloud, http: httpx.Client, asked: str, number: int | None) -> None:
    account = named(cloud, "user", "china")
    form = {"grant_type": "refresh_token", "refresh_token": account.refresh_token}
    form |= {"client_secret": account.client_secret, "scope": asked.format(audience=CLOUD_FACTS["china"].audience)}

    assert ask_token(cloud, http, account, **form).get("error_codes", [None]) == [number]


# The function's own app, as a resource.


def app_token(cloud: LocalCloud, flow: Json) -> Json:
    where = {"authority": cloud.url("entra"), "disable_instance_discovery": True}
    with ClientSecretCredential(flow["tenantId"], flow["clientId"], flow["clientSecret"], **where) as credential:
        return claims_of(credential.get_token(flow["scope"]).token)


def test_an_app_s_token_for_the_function_has_the_roles_that_it_was_given(cloud: LocalCloud) -> None:
    flow = cloud.callers.describe(cloud.url("entra"))["flow"]

    with_role, without = app_token(cloud, flow), app_token(cloud, flow["withoutRole"])

    assert with_role["roles"] == [flow["role"]]
    assert "roles" not in without
    assert (with_role["aud"], with_role["iss"]) == (cloud.trusted_issuer.audiences[0], cloud.trusted_issuer.issuer)
    assert with_role["oid"] != without["oid"]


def test_no_role_of_the_function_is_in_a_token_for_partner_center(cloud: LocalCloud, http: httpx.Client) -> None:
    flow = cloud.callers.describe(cloud.url("entra"))["flow"]
    form = {name: flow[member] for name, member in (("client_id", "clientId"), ("client_secret", "clientSecret"))}
    form |= {"grant_type": "client_credentials", "scope": f"{CLOUD_FACTS['global'].audience}/.default"}

    token = http.post(flow["tokenUrl"], data=form).json()["access_token"]

    assert "roles" not in claims_of(token)


def test_a_token_is_for_one_resource(cloud: LocalCloud, http: httpx.Client) -> None:
    account = named(cloud, "user", "global")
    form = {"grant_type": "refresh_token", "refresh_token": account.refresh_token}
    form |= {"client_secret": account.client_secret, "scope": f"{scope(account)} {FUNCTION_APP.identifier}/.default"}

    assert ask_token(cloud, http, account, **form)["error_codes"] == [28000]


# The consent.


def begin(cloud: LocalCloud, account: LocalAccount) -> tuple[msal.ConfidentialClientApplication, Json]:
    app = msal_app(cloud, account)
    with pytest.warns(UserWarning, match="form_post"):  # msal's advice; a loopback listener needs the query
        flow: Json = app.initiate_auth_code_flow([scope(account)], redirect_uri=REDIRECT, response_mode="query")
    return app, flow


def sent_back(response: httpx.Response) -> dict[str, str]:
    assert response.status_code == 302
    assert response.headers["location"].startswith(REDIRECT)
    return {name: value for name, [value] in parse_qs(urlsplit(response.headers["location"]).query).items()}


@pytest.mark.parametrize("at", NATIONAL_CLOUDS)
def test_a_consent_gives_a_refresh_token_that_works(cloud: LocalCloud, http: httpx.Client, at: NationalCloud) -> None:
    account = named(cloud, "user", at)
    app, flow = begin(cloud, account)

    answer = app.acquire_token_by_auth_code_flow(flow, sent_back(http.get(flow["auth_uri"])))

    assert answer["id_token_claims"]["preferred_username"] == claims_of(answer["access_token"])["upn"]
    assert ask_order(cloud, http, at, answer["access_token"]).status_code == 200
    assert "access_token" in refreshed(cloud, account, answer["refresh_token"])


def test_the_user_who_was_hinted_at_signs_in(cloud: LocalCloud, http: httpx.Client) -> None:
    account = named(cloud, "user", "global")
    app, flow = begin(cloud, account)

    back = sent_back(http.get(flow["auth_uri"], params=dict(hinted(flow), login_hint="ada@partner.example")))

    assert back["state"] == flow["state"]
    answer = app.acquire_token_by_auth_code_flow(flow, back)
    assert claims_of(answer["access_token"])["upn"] == "ada@partner.example"


def hinted(flow: Json) -> dict[str, str]:
    """Return the query of the sign-in page that *flow* leads to."""
    return {name: value for name, [value] in parse_qs(urlsplit(flow["auth_uri"]).query).items()}


@pytest.mark.parametrize(
    ("form", "number"),
    [
        pytest.param({"code_verifier": "another"}, 501481, id="another-verifier"),
        pytest.param({"redirect_uri": "http://localhost/"}, 500112, id="another-redirect"),
        pytest.param({"code": "another"}, 9002313, id="another-code"),
    ],
)
def test_a_code_is_good_for_what_it_was_given(
    cloud: LocalCloud, http: httpx.Client, form: dict[str, str], number: int
) -> None:
    account = named(cloud, "user", "global")
    _, flow = begin(cloud, account)
    sound = {"grant_type": "authorization_code", "client_secret": account.client_secret, "redirect_uri": REDIRECT}
    sound |= {"code": sent_back(http.get(flow["auth_uri"]))["code"], "code_verifier": flow["code_verifier"]}

    assert ask_token(cloud, http, account, **sound | form)["error_codes"] == [number]
    assert "access_token" in ask_token(cloud, http, account, **sound)
    assert ask_token(cloud, http, account, **sound)["error_codes"] == [54005]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        pytest.param({"redirect_uri": "https://attacker.example/"}, "AADSTS50011", id="not-loopback"),
        pytest.param({"redirect_uri": "http://[x/"}, "AADSTS50011", id="not-a-url"),
        pytest.param({"client_id": "x"}, "AADSTS700016", id="unknown-app"),
    ],
)
def test_nobody_is_sent_where_the_app_is_not(
    cloud: LocalCloud, http: httpx.Client, query: dict[str, str], words: str
) -> None:
    _, flow = begin(cloud, named(cloud, "user", "global"))

    response = http.get(flow["auth_uri"], params=hinted(flow) | query)

    assert response.status_code == 400
    assert words in response.text


@pytest.mark.parametrize(
    ("query", "trouble", "error"),
    [
        pytest.param({"response_type": "token"}, None, "unsupported_response_type", id="another-flow"),
        pytest.param({"code_challenge_method": "plain"}, None, "invalid_request", id="no-pkce"),
        pytest.param({"scope": "openid"}, None, "invalid_scope", id="no-resource"),
        pytest.param({}, "conditional_access", "access_denied", id="conditional-access"),
        pytest.param({}, "disabled", "unauthorized_client", id="disabled"),
    ],
)
def test_a_refused_sign_in_is_sent_back(
    cloud: LocalCloud, http: httpx.Client, query: dict[str, str], trouble: str | None, error: str
) -> None:
    account = named(cloud, "user", "global")
    _, flow = begin(cloud, account)
    change(cloud, account, trouble=trouble)

    back = sent_back(http.get(flow["auth_uri"], params=hinted(flow) | query))

    assert (back["error"], back["state"]) == (error, flow["state"])
    assert "code" not in back


# Key Vault.


@pytest.fixture
def vault(cloud: LocalCloud) -> Iterator[SecretClient]:
    with (
        ManagedIdentityCredential(client_id=cloud.environment()["AZURE_CLIENT_ID"]) as identity,
        SecretClient(cloud.url("key_vault"), identity) as client,
    ):
        yield client


def test_a_refresh_token_is_written_back_with_all_that_belongs_to_it(cloud: LocalCloud, vault: SecretClient) -> None:
    name = named(cloud, "user", "china").refresh_token_name
    before = vault.get_secret(name)
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=90)

    vault.set_secret(
        name,
        "newer",
        content_type=before.properties.content_type,
        tags=before.properties.tags,
        expires_on=ends,
    )

    after = vault.get_secret(name)
    assert (after.value, after.properties.expires_on) == ("newer", ends)
    assert (after.properties.content_type, after.properties.tags) == ("text/plain", {"account": "user-china"})
    assert after.properties.version != before.properties.version
    old = vault.get_secret(name, before.properties.version)
    assert old.value == before.value
    versions = control(cloud, "GET", f"secrets/{name}")
    assert [version["value"] for version in versions] == [before.value, "newer"]
    assert versions[-1]["attributes"]["exp"] == int(ends.timestamp())


@pytest.mark.parametrize("name", ["partner-center-default", "partner-center-certificate-china", "another"])
def test_the_identity_may_write_the_refresh_tokens_only(vault: SecretClient, name: str) -> None:
    with pytest.raises(HttpResponseError) as caught:
        vault.set_secret(name, "x")

    assert caught.value.status_code == 403
    assert "ForbiddenByRbac" in str(caught.value)


@pytest.mark.parametrize("at", NATIONAL_CLOUDS)
def test_a_certificate_comes_from_the_vault_in_either_form(
    cloud: LocalCloud, vault: SecretClient, at: NationalCloud
) -> None:
    account = named(cloud, "certificate", at)

    secret = vault.get_secret(account.secret_name)

    expected = "application/x-pkcs12" if at == "china" else "application/x-pem-file"
    assert secret.properties.content_type == expected
    assert secret.value
    assert by_certificate(cloud, account, secret.value)


def test_a_secret_can_be_made_as_old_as_a_test_needs_it(cloud: LocalCloud, vault: SecretClient) -> None:
    created = int(time.time()) - 3 * 86_400
    body = {
        "value": "old",
        "contentType": "text/plain",
        "tags": {"a": "b"},
        "attributes": {"created": created, "updated": created, "exp": created + 90 * 86_400},
    }
    control(cloud, "PUT", "secrets/old-one", body)

    properties = vault.get_secret("old-one").properties

    assert properties.created_on == properties.updated_on == datetime.fromtimestamp(created, UTC)
    assert properties.expires_on == datetime.fromtimestamp(created + 90 * 86_400, UTC)
    assert (properties.content_type, properties.tags) == ("text/plain", {"a": "b"})


def test_a_disabled_secret_is_not_given(cloud: LocalCloud, vault: SecretClient) -> None:
    control(cloud, "PUT", "secrets/disabled-one", {"value": "x", "attributes": {"enabled": False}})

    with pytest.raises(HttpResponseError) as caught:
        vault.get_secret("disabled-one")

    assert caught.value.status_code == 403


# The control interface.


@pytest.mark.parametrize(
    "changes",
    [{"certificate": "x"}, {"certificates": []}, {"secrets": []}, {"trouble": "x"}, {"refreshToken": ""}],
    ids=str,
)
def test_a_change_that_makes_no_sense_is_refused(cloud: LocalCloud, changes: Json) -> None:
    url = f"{cloud.url('control')}/clients/{cloud.accounts['default'].client_id}"

    assert httpx.put(url, json=changes, trust_env=False).status_code == 400


def test_a_secret_that_never_was_has_no_versions(cloud: LocalCloud) -> None:
    assert httpx.get(f"{cloud.url('control')}/secrets/none", trust_env=False).status_code == 404
