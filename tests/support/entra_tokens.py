"""Tokens of the local Entra ID for callers, fetched with the libraries that real callers use."""

import ssl
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import msal  # type: ignore[import-untyped, unused-ignore]  # it has no types
import pytest
from azure.identity import ClientSecretCredential

from tests.support.local_cloud import Json, LocalCloud


def app_token(cloud: LocalCloud, app: Json, scope: str | None = None) -> str:
    """Return a token for *app*, fetched with azure-identity. *scope* is the app's own if None."""
    entra: dict[str, Any] = {"authority": cloud.description["entraUrl"], "disable_instance_discovery": True}
    with ClientSecretCredential(app["tenantId"], app["clientId"], app["clientSecret"], **entra) as credential:
        return credential.get_token(scope or app["scope"]).token


def app_token_with_role(cloud: LocalCloud) -> str:
    return app_token(cloud, cloud.description["callers"]["flow"])


def app_token_without_role(cloud: LocalCloud) -> str:
    return app_token(cloud, cloud.description["callers"]["flow"]["withoutRole"])


def partner_center_token(cloud: LocalCloud) -> str:
    """Return a valid token of the local Entra ID for another service."""
    account = cloud.description["accounts"]["default"]
    return app_token(cloud, account, "https://api.partnercenter.microsoft.com/.default")


def user_token(cloud: LocalCloud, *, user: str | None = None) -> str:
    """Return a token for *user*, fetched with msal. None is the user with the role."""
    app = cloud.description["callers"]["flow"]
    client = msal.ConfidentialClientApplication(
        app["clientId"],
        client_credential=app["clientSecret"],
        authority=f"{cloud.description['entraUrl']}/{app['tenantId']}",
        instance_discovery=False,
    )
    with pytest.warns(UserWarning, match="form_post"):  # msal's advice; a listener on loopback needs the query
        flow = client.initiate_auth_code_flow(
            [app["scope"]], "http://localhost/", response_mode="query", login_hint=user
        )
    tls = ssl.create_default_context(cafile=cloud.description["caFile"])
    page = httpx.get(flow["auth_uri"], verify=tls, trust_env=False)
    answer = client.acquire_token_by_auth_code_flow(flow, dict(parse_qsl(urlsplit(page.headers["location"]).query)))
    return str(answer["access_token"])


def user_token_without_role(cloud: LocalCloud) -> str:
    return user_token(cloud, user="ada@partner.example")
