"""Token requests that fail whatever the credential is, and requests that no library sends."""

import httpx
import pytest

from infra.local.cloud import LocalCloud
from infra.local.entra.client_proof import JWT_BEARER
from infra.local.national_clouds import CLOUD_FACTS
from tests.support.entra import (
    APP_CREDENTIALS,
    CREDENTIALS,
    TOKEN_BY,
    account_with,
    change_registration,
    get_order,
    post_token_request,
    refusal_of,
    use_refresh_token,
)


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize(("trouble", "number"), [("disabled", 7000112), ("conditional_access", 53003)])
def test_some_troubles_refuse_every_credential(cloud: LocalCloud, credential: str, trouble: str, number: int) -> None:
    account = account_with(cloud, credential, "global")
    change_registration(cloud, account, trouble=trouble)

    if credential == "user":
        assert use_refresh_token(cloud, account)["error_codes"] == [number]
    else:
        assert refusal_of(TOKEN_BY[credential], cloud, account) == number


@pytest.mark.parametrize("trouble", ["mfa_missing", "interaction_required"])
@pytest.mark.parametrize("credential", APP_CREDENTIALS)
def test_troubles_of_users_do_not_concern_app_only_tokens(
    cloud: LocalCloud, http: httpx.Client, credential: str, trouble: str
) -> None:
    account = account_with(cloud, credential, "china")
    change_registration(cloud, account, trouble=trouble)

    assert get_order(cloud, http, "china", TOKEN_BY[credential](cloud, account)).status_code == 200


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
def test_a_wrong_token_request_has_its_number(
    cloud: LocalCloud, http: httpx.Client, form: dict[str, str], number: int
) -> None:
    account = account_with(cloud, "secret", "china")
    change_registration(cloud, account, secret="right")

    assert post_token_request(cloud, http, account, **form)["error_codes"] == [number]
