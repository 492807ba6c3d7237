"""Clients of a running local cloud's stand-ins, beside the function: Partner Center, Entra, Key Vault."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpx

from tests.conftest import CUSTOMER
from tests.support.local_cloud import Json, LocalCloud

LIMIT_S = 15.0  # for things that take milliseconds on an idle machine
LONG_S = 60  # a delay whose end no test waits for
AUDIENCE = "https://api.partnercenter.microsoft.com"
CANCEL = {"status": "cancelled"}


@cache
def _tls_context(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)  # 20 ms


def tls_context(cloud: LocalCloud) -> ssl.SSLContext:
    return _tls_context(cloud.description["caFile"])


def request_token(cloud: LocalCloud, account: str = "default", secret: str | None = None) -> httpx.Response:
    """Ask Entra for a token of *account*, with *secret* or the one in the description."""
    known = cloud.description["accounts"][account]
    form = {
        "grant_type": "client_credentials",
        "client_id": known["clientId"],
        "client_secret": secret or known["clientSecret"],
        "scope": f"{AUDIENCE}/.default",
    }
    url = f"{cloud.description['entraUrl']}/{known['tenantId']}/oauth2/v2.0/token"
    return httpx.post(url, data=form, verify=tls_context(cloud), trust_env=False)


@contextmanager
def partner_center_client(cloud: LocalCloud, account: str = "default") -> Iterator[httpx.Client]:
    """A client of Partner Center that has a token of *account*."""
    token = request_token(cloud, account).json()["access_token"]
    with httpx.Client(
        base_url=cloud.description["partnerCenterUrl"],
        headers={"Authorization": f"Bearer {token}"},
        verify=tls_context(cloud),
        trust_env=False,
        timeout=LONG_S * 2,
    ) as client:
        yield client


def key_vault_client(cloud: LocalCloud) -> httpx.Client:
    """Return a client of Key Vault that has a token of the managed identity."""
    environment = cloud.description["environment"]
    url = cloud.description["keyVaultUrl"]
    token = httpx.get(
        environment["IDENTITY_ENDPOINT"],
        params={
            "resource": url.replace("//127.", "//"),
            "api-version": "2019-08-01",
            "client_id": environment["AZURE_CLIENT_ID"],
        },
        headers={"X-IDENTITY-HEADER": environment["IDENTITY_HEADER"]},
        trust_env=False,
    ).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=url, headers=headers, verify=tls_context(cloud), trust_env=False)


def send_control(cloud: LocalCloud, method: str, path: str, content: bytes | str | None = None) -> httpx.Response:
    """Send a request to the control interface."""
    return cloud.http.request(method, f"{cloud.description['controlUrl']}/{path}", content=content)


def methods_and_statuses(cloud: LocalCloud) -> list[tuple[str, int | None]]:
    """Return the recorded requests to Partner Center. The status is None while there is no answer."""
    return [(request["method"], request["status"]) for request in cloud.requests("partner_center")]


def path_of(order_id: str, customer: str = CUSTOMER) -> str:
    return f"/v1/customers/{customer}/orders/{order_id}"


def request_for(order_id: str, customer: str = CUSTOMER, **members: Any) -> Json:
    """Return the body of a request to the function."""
    return {"customerTenantId": customer, "orderId": order_id} | members
