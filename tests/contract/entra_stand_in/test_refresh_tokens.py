"""Tokens of a user by refresh token, asked for by msal."""

from dataclasses import replace

import httpx
import pytest

from infra.local.callers import FUNCTION_APP
from infra.local.cloud import LocalCloud
from infra.local.national_clouds import CLOUD_FACTS, NATIONAL_CLOUDS, NationalCloud
from tests.support.entra import (
    account_with,
    change_registration,
    claims_of,
    get_order,
    post_token_request,
    scope_of,
    token_by_refresh_token,
    use_refresh_token,
)


@pytest.mark.parametrize("at", NATIONAL_CLOUDS)
def test_each_use_of_a_refresh_token_gives_another_and_leaves_it_valid(cloud: LocalCloud, at: NationalCloud) -> None:
    """Two instances that use the same refresh token at once must both be able to continue."""
    account = account_with(cloud, "user", at)

    first, second = (use_refresh_token(cloud, account)["refresh_token"] for _ in range(2))

    assert len({account.refresh_token, first, second}) == 3
    for token in (account.refresh_token, first, second):
        assert "access_token" in use_refresh_token(cloud, account, token)


@pytest.mark.parametrize(("change", "number"), [("revoke", 50173), ("expire", 700082)])
def test_after_the_end_of_all_refresh_tokens_a_new_consent_works(cloud: LocalCloud, change: str, number: int) -> None:
    account = account_with(cloud, "user", "global")
    newer = use_refresh_token(cloud, account)["refresh_token"]
    change_registration(cloud, account, refreshToken="consented-anew", **{change: True})

    for token in (account.refresh_token, newer):
        answer = use_refresh_token(cloud, account, token)
        assert (answer["error"], answer["error_codes"]) == ("invalid_grant", [number])
    assert "access_token" in use_refresh_token(cloud, account, "consented-anew")


def test_a_refresh_token_of_another_app_is_refused(cloud: LocalCloud) -> None:
    another = account_with(cloud, "user", "china").refresh_token

    answer = use_refresh_token(cloud, account_with(cloud, "user", "global"), another)

    assert (answer["error"], answer["error_codes"]) == ("invalid_grant", [9002313])


def test_a_refresh_token_needs_the_secret_too(cloud: LocalCloud) -> None:
    account = account_with(cloud, "user", "china")

    answer = use_refresh_token(cloud, replace(account, client_secret="wrong"))

    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [7000215])


def test_a_user_who_must_pass_mfa_has_a_suberror(cloud: LocalCloud) -> None:
    account = account_with(cloud, "user", "usgov")
    change_registration(cloud, account, trouble="interaction_required")

    answer = use_refresh_token(cloud, account)

    assert (answer["error"], answer["suberror"], answer["error_codes"]) == ("invalid_grant", "basic_action", [50076])


@pytest.mark.parametrize("at", NATIONAL_CLOUDS)
def test_a_user_s_token_without_mfa_is_given_and_refused_by_partner_center(
    cloud: LocalCloud, http: httpx.Client, at: NationalCloud
) -> None:
    account = account_with(cloud, "user", at)
    change_registration(cloud, account, trouble="mfa_missing")

    token = token_by_refresh_token(cloud, account)

    assert claims_of(token)["amr"] == ["pwd"]
    answer = get_order(cloud, http, at, token)
    assert (answer.status_code, answer.json()["code"]) == (401, "900421")


@pytest.mark.parametrize(
    ("scope", "number"),
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
def test_a_user_s_scope_is_checked(cloud: LocalCloud, http: httpx.Client, scope: str, number: int | None) -> None:
    account = account_with(cloud, "user", "china")
    form = {"grant_type": "refresh_token", "refresh_token": account.refresh_token}
    form |= {"client_secret": account.client_secret, "scope": scope.format(audience=CLOUD_FACTS["china"].audience)}

    assert post_token_request(cloud, http, account, **form).get("error_codes", [None]) == [number]


def test_a_token_is_for_one_resource(cloud: LocalCloud, http: httpx.Client) -> None:
    account = account_with(cloud, "user", "global")
    form = {"grant_type": "refresh_token", "refresh_token": account.refresh_token}
    form |= {"client_secret": account.client_secret, "scope": f"{scope_of(account)} {FUNCTION_APP.identifier}/.default"}

    assert post_token_request(cloud, http, account, **form)["error_codes"] == [28000]
