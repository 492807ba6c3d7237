"""Each kind of credential in each national cloud, asked for by azure-identity and msal over TLS."""

from dataclasses import replace

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError

from infra.local.cloud import LocalCloud
from infra.local.national_clouds import CLOUD_FACTS, NATIONAL_CLOUDS, NationalCloud
from tests.support.entra import (
    APP_CREDENTIALS,
    CREDENTIALS,
    TOKEN_BY,
    account_with,
    claims_of,
    control,
    get_order,
    token_by_secret,
)


@pytest.mark.parametrize("at", NATIONAL_CLOUDS)
@pytest.mark.parametrize("credential", CREDENTIALS)
def test_each_credential_gives_a_token_for_its_cloud_and_no_other(
    cloud: LocalCloud, http: httpx.Client, credential: str, at: NationalCloud
) -> None:
    account = account_with(cloud, credential, at)

    token = TOKEN_BY[credential](cloud, account)

    claims = claims_of(token)
    assert (claims["aud"], claims["tid"], claims["appid"]) == (
        CLOUD_FACTS[at].audience,
        account.tenant_id,
        account.client_id,
    )
    assert claims["iss"] == CLOUD_FACTS[at].issuer.format(tenant=account.tenant_id)
    is_user = credential == "user"
    assert ("scp" in claims, "upn" in claims, "mfa" in claims.get("amr", [])) == (is_user, is_user, is_user)
    assert {other: get_order(cloud, http, other, token).status_code for other in NATIONAL_CLOUDS} == {
        other: 200 if other == at else 401 for other in NATIONAL_CLOUDS
    }


def test_the_clouds_share_their_orders(cloud: LocalCloud, http: httpx.Client) -> None:
    path = "/v1/customers/45411344-b09d-47e7-9653-542006bf9766/orders/2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1"
    headers = {
        at: {"Authorization": f"Bearer {token_by_secret(cloud, account_with(cloud, 'secret', at))}"}
        for at in NATIONAL_CLOUDS
    }

    http.patch(
        f"{cloud.url('partner_center', 'china')}{path}", json={"status": "cancelled"}, headers=headers["china"]
    ).raise_for_status()

    statuses = {
        http.get(f"{cloud.url('partner_center', at)}{path}", headers=headers[at]).json()["status"]
        for at in NATIONAL_CLOUDS
    }
    assert statuses == {"cancelled"}


@pytest.mark.parametrize("credential", APP_CREDENTIALS)
def test_an_app_is_unknown_to_the_other_clouds(cloud: LocalCloud, credential: str) -> None:
    account = account_with(cloud, credential, "china")

    with pytest.raises((ClientAuthenticationError, ValueError), match=r"AADSTS90002|Unable to get authority"):
        TOKEN_BY[credential](cloud, replace(account, national_cloud="usgov"))


def test_the_description_has_each_account_with_its_secrets(cloud: LocalCloud) -> None:
    description = cloud.describe()

    assert description["clouds"]["global"] == {name: description[name] for name in ("partnerCenterUrl", "entraUrl")}
    urls = {url for urls in description["clouds"].values() for url in urls.values()}
    assert len(urls) == 6
    settings = cloud.environment()["PARTNER_CENTER_ACCOUNTS"]
    for name, account in description["accounts"].items():
        suffix = name.rpartition("-")[2]
        assert account["cloud"] == (suffix if suffix in NATIONAL_CLOUDS else "global")
        credential = account["credential"]
        assert (credential in account) == (credential != "managedIdentity")
        for member in {"secretName", "certificateName", "refreshTokenName"} & account.keys():
            assert f'"{account[member]}"' in settings
            if name != "no-secret":
                [version] = control(cloud, "GET", f"secrets/{account[member]}")
                assert version["value"] == account[{"secretName": "clientSecret"}.get(member, member[:-4])]
