"""The sign-in page and its authorization codes, driven by msal."""

from urllib.parse import parse_qs, urlsplit

import httpx
import msal  # type: ignore[import-untyped, unused-ignore]  # it has no types
import pytest

from infra.local.accounts import LocalAccount
from infra.local.cloud import LocalCloud
from infra.local.national_clouds import NATIONAL_CLOUDS, NationalCloud
from tests.support.entra import (
    account_with,
    change_registration,
    claims_of,
    get_order,
    msal_app,
    post_token_request,
    scope_of,
    use_refresh_token,
)
from tests.support.local_cloud import Json

REDIRECT = "http://localhost:53682/"


def begin(cloud: LocalCloud, account: LocalAccount) -> tuple[msal.ConfidentialClientApplication, Json]:
    """Return msal's app and a flow that leads to the sign-in page at `auth_uri`."""
    app = msal_app(cloud, account)
    with pytest.warns(UserWarning, match="form_post"):  # msal prefers it; a loopback listener needs the query
        flow: Json = app.initiate_auth_code_flow([scope_of(account)], redirect_uri=REDIRECT, response_mode="query")
    return app, flow


def query_of(url: str) -> dict[str, str]:
    return {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}


def redirected(response: httpx.Response) -> dict[str, str]:
    """Return the query with which the page sends the user back to the app."""
    assert response.status_code == 302
    assert response.headers["location"].startswith(REDIRECT)
    return query_of(response.headers["location"])


@pytest.mark.parametrize("at", NATIONAL_CLOUDS)
def test_a_consent_gives_a_refresh_token_that_works(cloud: LocalCloud, http: httpx.Client, at: NationalCloud) -> None:
    account = account_with(cloud, "user", at)
    app, flow = begin(cloud, account)

    answer = app.acquire_token_by_auth_code_flow(flow, redirected(http.get(flow["auth_uri"])))

    assert answer["id_token_claims"]["preferred_username"] == claims_of(answer["access_token"])["upn"]
    assert get_order(cloud, http, at, answer["access_token"]).status_code == 200
    assert "access_token" in use_refresh_token(cloud, account, answer["refresh_token"])


def test_the_user_in_login_hint_signs_in(cloud: LocalCloud, http: httpx.Client) -> None:
    account = account_with(cloud, "user", "global")
    app, flow = begin(cloud, account)

    query = query_of(flow["auth_uri"]) | {"login_hint": "ada@partner.example"}
    answer = redirected(http.get(flow["auth_uri"], params=query))

    assert answer["state"] == flow["state"]
    tokens = app.acquire_token_by_auth_code_flow(flow, answer)
    assert claims_of(tokens["access_token"])["upn"] == "ada@partner.example"


@pytest.mark.parametrize(
    ("form", "number"),
    [
        pytest.param({"code_verifier": "another"}, 501481, id="another-verifier"),
        pytest.param({"redirect_uri": "http://localhost/"}, 500112, id="another-redirect"),
        pytest.param({"code": "another"}, 9002313, id="another-code"),
    ],
)
def test_a_code_works_once_and_only_under_its_conditions(
    cloud: LocalCloud, http: httpx.Client, form: dict[str, str], number: int
) -> None:
    account = account_with(cloud, "user", "global")
    _, flow = begin(cloud, account)
    valid = {"grant_type": "authorization_code", "client_secret": account.client_secret, "redirect_uri": REDIRECT}
    valid |= {"code": redirected(http.get(flow["auth_uri"]))["code"], "code_verifier": flow["code_verifier"]}

    assert post_token_request(cloud, http, account, **valid | form)["error_codes"] == [number]
    assert "access_token" in post_token_request(cloud, http, account, **valid)
    assert post_token_request(cloud, http, account, **valid)["error_codes"] == [54005]


@pytest.mark.parametrize(
    ("query", "number"),
    [
        pytest.param({"redirect_uri": "https://attacker.example/"}, "AADSTS50011", id="not-loopback"),
        pytest.param({"redirect_uri": "http://[x/"}, "AADSTS50011", id="not-a-url"),
        pytest.param({"client_id": "x"}, "AADSTS700016", id="unknown-app"),
    ],
)
def test_the_page_redirects_only_to_the_app(
    cloud: LocalCloud, http: httpx.Client, query: dict[str, str], number: str
) -> None:
    _, flow = begin(cloud, account_with(cloud, "user", "global"))

    response = http.get(flow["auth_uri"], params=query_of(flow["auth_uri"]) | query)

    assert response.status_code == 400
    assert number in response.text


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
def test_the_error_of_a_sign_in_is_sent_back_to_the_app(
    cloud: LocalCloud, http: httpx.Client, query: dict[str, str], trouble: str | None, error: str
) -> None:
    account = account_with(cloud, "user", "global")
    _, flow = begin(cloud, account)
    change_registration(cloud, account, trouble=trouble)

    answer = redirected(http.get(flow["auth_uri"], params=query_of(flow["auth_uri"]) | query))

    assert (answer["error"], answer["state"]) == (error, flow["state"])
    assert "code" not in answer
