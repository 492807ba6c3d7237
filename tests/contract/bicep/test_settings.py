"""The function that would be deployed: its settings, its runtime, and which callers reach it."""

import json
import re

import yaml

from shared.http_request import BODY_LIMIT_BYTES
from shared.settings import Account
from tests.support.bicep import ROOT
from tests.support.compiled_bicep import (
    CALLERS,
    GUID,
    LEAST,
    MAIN,
    MOST,
    OTHER_GUID,
    Compiler,
    created_members,
    of_type,
    one,
    value_at,
)
from tests.support.local_cloud import Json


def app_settings(predicted: list[Json]) -> dict[str, str]:
    [config] = [
        found for found in of_type(predicted, "Microsoft.Web/sites/config") if found["name"].endswith("settings")
    ]
    return created_members(config["properties"])


def authentication(predicted: list[Json]) -> Json:
    [config] = [found for found in of_type(predicted, "Microsoft.Web/sites/config") if found["name"].endswith("V2")]
    properties: Json = config["properties"]
    return properties


def test_without_callers_there_is_no_setting_for_them(least: list[Json], most: list[Json]) -> None:
    """The function takes a blank setting for an error."""
    assert "CALLERS" not in app_settings(least)
    assert json.loads(app_settings(most)["CALLERS"]) == CALLERS


def test_accounts_arrive_as_they_were_given(most: list[Json]) -> None:
    accounts = json.loads(app_settings(most)["PARTNER_CENTER_ACCOUNTS"])

    assert accounts == MOST["accounts"]
    assert all(Account.model_validate(account) for account in accounts.values())


def test_no_setting_is_or_fetches_a_secret(most: list[Json]) -> None:
    """Everyone with the role Reader may list the settings' names; many roles may read their values."""
    settings = app_settings(most)
    expressions = " ".join(value for value in settings.values() if value.startswith("["))
    known = {
        "CALLERS",
        "PARTNER_CENTER_ACCOUNTS",  # names of secrets in the Key Vault
        "SECRET_TTL_S",  # a time
        "APPLICATIONINSIGHTS_CONNECTION_STRING",  # of no use without the identity, since local authentication is off
    }

    assert set(re.findall(r"\b([a-z]\w*)\(", expressions)) == {"reference", "format", "parameters"}
    assert "parameters('identityClientId')" in expressions
    assert {name for name in settings if re.search("(?i)secret|key$|token|pass|connection", name)} <= known
    assert "AzureWebJobsStorage" not in settings, "it would hold the storage account's key"
    assert not any(re.search("(?i)accountkey|sharedaccess|@microsoft|sig=", value) for value in settings.values())


def test_the_host_finds_its_storage_by_identity(least: list[Json]) -> None:
    settings = app_settings(least)
    account = one(least, "Microsoft.Storage/storageAccounts")

    assert settings["AzureWebJobsStorage__credential"] == "managedidentity"
    assert settings["AzureWebJobsStorage__accountName"] == account["name"]
    assert f"{account['id']}'" in settings["AzureWebJobsStorage__blobServiceUri"]


def test_the_function_finds_its_queues_in_the_same_storage(least: list[Json]) -> None:
    account = one(least, "Microsoft.Storage/storageAccounts")
    address = app_settings(least)["AzureWebJobsStorage__queueServiceUri"]
    queues = of_type(least, "Microsoft.Storage/storageAccounts/queueServices/queues")

    assert f"{account['id']}'" in address
    assert address.endswith(".primaryEndpoints.queue]"), "the host's name is another one in each cloud"
    assert [queue["id"] for queue in queues] == [
        f"{account['id']}/queueServices/default/queues/{name}" for name in ("follow-up", "follow-up-poison")
    ]


DISABLED = "AzureWebJobs.tell_ticket.Disabled"


def test_the_timer_runs_only_where_a_ticket_is_told(bicep: Compiler, least: list[Json], most: list[Json]) -> None:
    """A run a minute costs money."""
    nobody = bicep.predict(MAIN, LEAST | {"callers": {"operator": CALLERS["operator"]}})

    assert "tell" not in CALLERS["operator"]
    assert [app_settings(predicted)[DISABLED] for predicted in (least, nobody, most)] == ["true", "true", "false"]


def test_the_host_shows_no_page_of_its_own_and_takes_larger_bodies_than_the_function(least: list[Json]) -> None:
    settings = app_settings(least)

    assert settings["AzureWebJobsDisableHomepage"] == "true"
    assert int(settings["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"]) > BODY_LIMIT_BYTES


def test_it_runs_the_python_of_the_tests(least: list[Json], most: list[Json]) -> None:
    version = (ROOT / ".python-version").read_text().strip()
    site = one(least, "Microsoft.Web/sites")
    [service] = yaml.safe_load((ROOT / "azure.yaml").read_text())["services"]
    scale = value_at(site, "properties.functionAppConfig.scaleAndConcurrency")

    assert one(least, "Microsoft.Web/serverfarms")["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
    assert value_at(site, "properties.functionAppConfig.runtime") == {"name": "python", "version": version}
    assert site["tags"]["azd-service-name"] == service
    assert (scale["alwaysReady"], scale["triggers"]["http"]["perInstanceConcurrency"]) == ([], 16)
    assert value_at(
        one(most, "Microsoft.Web/sites"), "properties.functionAppConfig.scaleAndConcurrency.alwaysReady"
    ) == [{"name": "http", "instanceCount": 1}]


def test_tokens_are_verified_and_requests_without_one_pass(least: list[Json], most: list[Json]) -> None:
    off, on = authentication(least), authentication(most)
    directory = value_at(on, "identityProviders.azureActiveDirectory")

    assert (off["platform"], off["identityProviders"]) == ({"enabled": False}, {})
    assert on["platform"] == {"enabled": True}
    assert directory["registration"]["clientId"] == OTHER_GUID
    assert f"'{GUID}'" in directory["registration"]["openIdIssuer"]
    assert directory["validation"] == {"allowedAudiences": [OTHER_GUID, f"api://{OTHER_GUID}"]}
    for config in (off, on):
        assert config["globalValidation"] == {
            "requireAuthentication": False,
            "unauthenticatedClientAction": "AllowAnonymous",
        }


def test_authentication_keeps_no_tokens(most: list[Json]) -> None:
    config = authentication(most)

    assert config["httpSettings"]["requireHttps"] is True
    assert config["login"]["tokenStore"]["enabled"] is False


def test_ip_restrictions_let_in_the_ranges_and_the_availability_test(least: list[Json], most: list[Json]) -> None:
    nobody, somebody = (
        one(predicted, "Microsoft.Web/sites")["properties"]["siteConfig"] for predicted in (least, most)
    )

    assert (nobody["ipSecurityRestrictionsDefaultAction"], nobody["ipSecurityRestrictions"]) == ("Allow", [])
    assert somebody["ipSecurityRestrictionsDefaultAction"] == "Deny"
    assert [(rule["action"], rule["ipAddress"], rule.get("tag")) for rule in somebody["ipSecurityRestrictions"]] == [
        ("Allow", "192.0.2.0/24", None),
        ("Allow", "ApplicationInsightsAvailability", "ServiceTag"),
    ]
