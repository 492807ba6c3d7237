"""The setting `tell` of the local cloud's callers: it leads to a stand-in, and Key Vault has its credentials."""

import httpx
import pytest

from infra.local.cloud import LocalCloud
from infra.local.tickets.systems import SYSTEMS
from tests.support.local_cloud import Json


def tell_of(cloud: LocalCloud, caller: str) -> Json:
    """Return the setting, with the secrets from Key Vault in the place of their names."""
    tell: Json = cloud.callers.settings()[caller]["tell"]
    secrets = {
        name: cloud.key_vault.versions(tell[name])[-1]["value"] for name in ("secret", "urlSecret") if name in tell
    }
    return tell | secrets


def ask(http: httpx.Client, tell: Json) -> httpx.Response:
    """Send the least request that shows whether the credentials are good."""
    match tell["system"]:
        case "zendesk":
            grant = {
                "grant_type": "client_credentials",
                "client_id": tell["clientId"],
                "client_secret": tell["secret"],
                "scope": "tickets:read tickets:write",
            }
            return http.post(f"{tell['url']}/oauth/tokens", json=grant)
        case "jira":
            url = f"{tell['url']}/rest/api/3/mypermissions?permissions=ADD_COMMENTS"
            return http.get(url, auth=(tell["user"], tell["secret"]))
        case "freshdesk" | "freshservice":
            return http.get(f"{tell['url']}/api/v2/tickets?per_page=1", auth=(tell["secret"], "X"))
        case _:
            assert tell["secret"].startswith("whsec_")
            return http.post(tell["urlSecret"], json={})


@pytest.mark.parametrize("caller", SYSTEMS)
def test_it_leads_to_the_stand_in_of_its_system(cloud: LocalCloud, http: httpx.Client, caller: str) -> None:
    tell = tell_of(cloud, caller)

    answer = ask(http, tell)

    # An unsigned message is refused, but only behind the secret of the URL.
    assert answer.status_code == (400 if caller == "standard-webhooks" else 200)
    assert tell["system"] == ("webhook" if caller == "standard-webhooks" else caller)


@pytest.mark.parametrize("caller", SYSTEMS)
def test_the_description_has_the_setting_and_its_secrets(cloud: LocalCloud, caller: str) -> None:
    setting, secrets = cloud.callers.settings()[caller]["tell"], tell_of(cloud, caller)

    described = cloud.callers.describe(cloud.url("entra"))[caller]["tell"]

    values = {f"{name}Value": secrets[name] for name in ("secret", "urlSecret") if name in setting}
    assert described == setting | values


def test_the_other_callers_have_no_way_back(cloud: LocalCloud) -> None:
    callers = cloud.callers.settings()

    assert {name for name, caller in callers.items() if "tell" in caller} == set(SYSTEMS)
