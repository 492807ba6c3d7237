"""Clients of the Entra stand-in that others wrote: azure-identity and msal, and plain requests for the rest.

Each `token_by_…` returns an access token for Partner Center, or raises as its library does.
"""

import base64
import re
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import msal  # type: ignore[import-untyped, unused-ignore]  # it has no types
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
)

from infra.local.accounts import LocalAccount
from infra.local.cloud import LocalCloud
from infra.local.national_clouds import CLOUD_FACTS, NationalCloud
from tests.support.local_cloud import Json

CUSTOMER, ORDER = "bd59b416-37f9-4d8f-8df3-5750111fc615", "UKXASSO1dezh3HdxClHxSp5UEFXGbAnt1"

# The kinds of credential, as the names of the accounts have them.
CREDENTIALS = ("secret", "certificate", "user", "federated")
APP_CREDENTIALS = ("secret", "certificate", "federated")


def account_with(cloud: LocalCloud, credential: str, national_cloud: NationalCloud) -> LocalAccount:
    is_default = (credential, national_cloud) == ("secret", "global")
    return cloud.accounts["default" if is_default else f"{credential}-{national_cloud}"]


def scope_of(account: LocalAccount) -> str:
    return f"{CLOUD_FACTS[account.national_cloud].audience}/.default"


# The control interface.


def control(cloud: LocalCloud, method: str, path: str, body: Json | None = None) -> Any:
    response = httpx.request(method, f"{cloud.url('control')}/{path}", json=body, trust_env=False)
    response.raise_for_status()
    return response.json()


def change_registration(cloud: LocalCloud, account: LocalAccount, **members: Any) -> None:
    control(cloud, "PUT", f"clients/{account.client_id}", members)


# azure-identity.


def _authority(cloud: LocalCloud, account: LocalAccount) -> Json:
    return {"authority": cloud.url("entra", account.national_cloud), "disable_instance_discovery": True}


def token_by_secret(cloud: LocalCloud, account: LocalAccount, secret: str | None = None) -> str:
    secret = secret or account.client_secret
    with ClientSecretCredential(
        account.tenant_id, account.client_id, secret, **_authority(cloud, account)
    ) as credential:
        return credential.get_token(scope_of(account)).token


def token_by_certificate(
    cloud: LocalCloud, account: LocalAccount, certificate: str | None = None, *, send_certificate_chain: bool = True
) -> str:
    """Use *certificate*, or the account's own, in the form in which the vault holds it."""
    value = certificate or account.certificate
    with CertificateCredential(
        account.tenant_id,
        account.client_id,
        certificate_data=value.encode() if value.startswith("-----") else base64.b64decode(value),
        send_certificate_chain=send_certificate_chain,
        **_authority(cloud, account),
    ) as credential:
        return credential.get_token(scope_of(account)).token


def token_by_identity(cloud: LocalCloud, account: LocalAccount, assertion: Callable[[], str] | None = None) -> str:
    """Use the token from *assertion*, or the managed identity's token for the account's national cloud."""

    def exchange_token() -> str:
        audience = CLOUD_FACTS[account.national_cloud].exchange_audience
        with ManagedIdentityCredential(client_id=cloud.environment()["AZURE_CLIENT_ID"]) as identity:
            identity_token: str = identity.get_token(f"{audience}/.default").token
            return identity_token

    with ClientAssertionCredential(
        account.tenant_id, account.client_id, assertion or exchange_token, **_authority(cloud, account)
    ) as credential:
        token: str = credential.get_token(scope_of(account)).token
        return token


# msal, for users.


def msal_app(cloud: LocalCloud, account: LocalAccount, credential: Any = None) -> msal.ConfidentialClientApplication:
    session = requests.Session()
    session.headers["Connection"] = "close"  # msal cannot close its session
    return msal.ConfidentialClientApplication(
        account.client_id,
        credential or account.client_secret,
        authority=f"{cloud.url('entra', account.national_cloud)}/{account.tenant_id}",
        instance_discovery=False,
        http_client=session,
    )


def use_refresh_token(cloud: LocalCloud, account: LocalAccount, refresh_token: str | None = None) -> Json:
    """Return the token endpoint's answer to *refresh_token*, or to the account's own."""
    app = msal_app(cloud, account)
    answer: Json = app.acquire_token_by_refresh_token(refresh_token or account.refresh_token, [scope_of(account)])
    return answer


def token_by_refresh_token(cloud: LocalCloud, account: LocalAccount) -> str:
    token: str = use_refresh_token(cloud, account)["access_token"]
    return token


TOKEN_BY: dict[str, Callable[..., str]] = {
    "secret": token_by_secret,
    "certificate": token_by_certificate,
    "user": token_by_refresh_token,
    "federated": token_by_identity,
}


# Plain requests.


def post_token_request(cloud: LocalCloud, http: httpx.Client, account: LocalAccount, **form: str) -> Json:
    """Return the token endpoint's answer to a request that no library would send."""
    url = f"{cloud.url('entra', account.national_cloud)}/{account.tenant_id}/oauth2/v2.0/token"
    usual = {"client_id": account.client_id, "scope": scope_of(account), "grant_type": "client_credentials"}
    answer: Json = http.post(url, data=usual | form).json()
    return answer


def get_order(cloud: LocalCloud, http: httpx.Client, national_cloud: NationalCloud, token: str) -> httpx.Response:
    url = f"{cloud.url('partner_center', national_cloud)}/v1/customers/{CUSTOMER}/orders/{ORDER}"
    return http.get(url, headers={"Authorization": f"Bearer {token}"})


# Answers.


def claims_of(token: str) -> Json:
    claims: Json = jwt.decode(token, options={"verify_signature": False})
    return claims


def refusal_of(token_by: Callable[..., str], *arguments: Any, **options: Any) -> int:
    """Return the AADSTS number with which Entra refuses the token."""
    with pytest.raises(ClientAuthenticationError) as caught:
        token_by(*arguments, **options)
    number = re.search(r"AADSTS(\d+)", str(caught.value))
    assert number
    return int(number[1])
