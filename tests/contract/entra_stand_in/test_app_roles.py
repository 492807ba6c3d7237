"""The function's own app as a resource, and the app roles in tokens for it."""

import httpx
from azure.identity import ClientSecretCredential

from infra.local.cloud import LocalCloud
from infra.local.national_clouds import CLOUD_FACTS
from tests.support.entra import claims_of
from tests.support.local_cloud import Json


def claims_for_function(cloud: LocalCloud, flow: Json) -> Json:
    """Return the claims of the token for the function that the app *flow* gets."""
    authority = {"authority": cloud.url("entra"), "disable_instance_discovery": True}
    with ClientSecretCredential(flow["tenantId"], flow["clientId"], flow["clientSecret"], **authority) as credential:
        return claims_of(credential.get_token(flow["scope"]).token)


def test_an_app_s_token_for_the_function_has_the_app_s_roles(cloud: LocalCloud) -> None:
    flow = cloud.callers.describe(cloud.url("entra"))["flow"]

    with_role, without = claims_for_function(cloud, flow), claims_for_function(cloud, flow["withoutRole"])

    assert with_role["roles"] == [flow["role"]]
    assert "roles" not in without
    assert (with_role["aud"], with_role["iss"]) == (cloud.trusted_issuer.audiences[0], cloud.trusted_issuer.issuer)
    assert with_role["oid"] != without["oid"]


def test_no_role_of_the_function_is_in_a_token_for_partner_center(cloud: LocalCloud, http: httpx.Client) -> None:
    flow = cloud.callers.describe(cloud.url("entra"))["flow"]
    form = {"client_id": flow["clientId"], "client_secret": flow["clientSecret"]}
    form |= {"grant_type": "client_credentials", "scope": f"{CLOUD_FACTS['global'].audience}/.default"}

    token = http.post(flow["tokenUrl"], data=form).json()["access_token"]

    assert "roles" not in claims_of(token)
