"""The deployment as Microsoft's compiler sees it: what it accepts, what it refuses, and what it would make.

Most tests look at the resources that Resource Manager would make, not at the text of the Bicep files. They need the
compiler: `make bicep`, or `make test` where BICEP names it or the PATH has it. tests/unit/test_bicep.py has the tests
that need no compiler.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.http_request import BODY_LIMIT_BYTES
from shared.settings import Account
from tests.support.bicep import INFRA, ROOT
from tests.support.compiled_bicep import (
    GROUP,
    SUBSCRIPTION,
    TENANT,
    Compiler,
    Refused,
    compiler,
    created_members,
    of_type,
    one,
    value_at,
)
from tests.support.kql import ALERTS
from tests.support.local_cloud import Json

PROGRAM = compiler()
if PROGRAM is None:
    pytest.skip(
        "Microsoft's Bicep compiler was not found: let BICEP name it, or put bicep on the PATH", allow_module_level=True
    )

MAIN = INFRA / "main.bicep"
AVAILABILITY = INFRA / "availability.bicep"
EACH_TEMPLATE = pytest.mark.parametrize("path", [MAIN, AVAILABILITY], ids=lambda path: path.stem)

GUID = "5f1c2a4e-7d0b-4a57-9a1c-3a5b1f0c9e11"
OTHER_GUID = "0a9e2c1d-33b4-4f6e-8d57-6b7c8d9e0f12"
ACCOUNT = {
    "cloud": "global",
    "tenantId": GUID,
    "clientId": GUID,
    "mode": "live",
    "clientSecret": "partner-center",
    "refreshToken": "renewed",
}
LEAST = {"environmentName": "test", "location": "westeurope", "accounts": {"default": ACCOUNT}}
CALLERS: dict[str, Json] = {
    "operator": {"proof": "key", "sha256": "0" * 64, "dryRunOnly": True},
    "zendesk": {"proof": "zendesk", "secrets": ["zendesk"], "customers": [GUID], "accounts": ["default"]},
    "svix": {"proof": "standard-webhooks", "secrets": ["svix-1", "svix-2"]},
    "flow": {"proof": "entra", "role": "Orders.Cancel"},
}
MOST = LEAST | {
    "accounts": {"default": ACCOUNT, "other": ACCOUNT, "third": ACCOUNT | {"refreshToken": "third"}},
    "callers": CALLERS,
    "entra": {"clientId": OTHER_GUID, "tenantId": GUID},
    "alwaysReadyInstances": 1,
    "allowedIpRanges": ["192.0.2.0/24"],
    "privateNetwork": True,
    "vaultIpRanges": ["198.51.100.7/32"],
    "alertEmail": "operators@example.com",
    "operatePage": "https://example.com/operate",
    "refreshTokensStored": True,
    "recoverVault": True,
}

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
}


@pytest.fixture(scope="module")
def bicep(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    assert PROGRAM
    return Compiler(PROGRAM, tmp_path_factory.mktemp("bicep"))


@pytest.fixture(scope="module")
def template(bicep: Compiler) -> Json:
    return bicep.template(MAIN)


@pytest.fixture(scope="module")
def least(bicep: Compiler) -> list[Json]:
    return bicep.predict(MAIN, LEAST)


@pytest.fixture(scope="module")
def most(bicep: Compiler) -> list[Json]:
    return bicep.predict(MAIN, MOST)


@pytest.fixture(scope="module")
def closed(bicep: Compiler) -> list[Json]:
    """A private network that no address of an operator may enter."""
    return bicep.predict(MAIN, LEAST | {"privateNetwork": True})


@pytest.fixture(scope="module")
def availability(bicep: Compiler) -> list[Json]:
    names = {"functionName": "func", "applicationInsightsName": "appi", "actionGroupName": "ag"}
    return bicep.predict(AVAILABILITY, names, group=GROUP)


def app_settings(predicted: list[Json]) -> dict[str, str]:
    [config] = [
        found for found in of_type(predicted, "Microsoft.Web/sites/config") if found["name"].endswith("settings")
    ]
    return created_members(config["properties"])


def authentication(predicted: list[Json]) -> Json:
    [config] = [found for found in of_type(predicted, "Microsoft.Web/sites/config") if found["name"].endswith("V2")]
    properties: Json = config["properties"]
    return properties


# ---------------------------------------------------------------- what the compiler says


@EACH_TEMPLATE
def test_the_linter_has_nothing_to_say(bicep: Compiler, path: Path) -> None:
    """Its exit status is 0 after warnings, so the output decides."""
    assert bicep.lint(path) == ""


# ---------------------------------------------------------------- parameters, as azd passes them

AZD_TYPES = {"string", "securestring", "bool", "int", "object", "secureobject", "array"}


def asked_for(template: Json) -> Iterator[str]:
    """Yield the parameters that azd asks for if the environment does not set them.

    `compileBicep` puts a type's definition in the place of a `$ref` and forgets `nullable`. `ensureParameters` then
    asks for every parameter that has no default and is not nullable. `ParameterTypeFromArmType` ends azd at a type that
    it does not know. Source: Azure/azure-dev at ae35809, cli/azd/pkg/infra/provisioning/bicep/bicep_provider.go.
    """
    for name, parameter in template["parameters"].items():
        reference = parameter.get("$ref")
        definition = template["definitions"][reference.rpartition("/")[2]] if reference else parameter
        assert definition["type"].lower() in AZD_TYPES, name
        if parameter.get("defaultValue") is None and not (parameter.get("nullable") and not reference):
            yield name


def test_azd_asks_for_nothing_but_what_must_be_given(template: Json) -> None:
    """`azd up --no-prompt` fails if it would have to ask."""
    assert set(asked_for(template)) == {"environmentName", "location", "accounts"}


def test_azd_sets_every_parameter_and_no_other(template: Json) -> None:
    file = json.loads((INFRA / "main.parameters.json").read_text())

    assert file["parameters"].keys() == template["parameters"].keys()


def test_azd_reads_a_list_or_an_object_from_json(template: Json) -> None:
    """azd does so for these types only, and refuses a blank value then: blank never comes to mean "open"."""
    kinds = {name: parameter.get("type", "object") for name, parameter in template["parameters"].items()}

    assert {name for name, kind in kinds.items() if kind in {"array", "object"}} == {
        *("accounts", "callers", "entra"),
        *("allowedIpRanges", "vaultIpRanges"),
    }


ACCOUNT_WITH_MODES = {"accounts": {"default": ACCOUNT | {"modes": "live"}}}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a misspelt member of an account": (ACCOUNT_WITH_MODES, r"'accounts\.default'.*unknown properties.*\['modes'\]"),
    "a misspelt member of a caller": (
        {"callers": {"operator": CALLERS["operator"] | {"dryrunonlly": True}}},
        r"'callers\.operator'.*unknown properties.*\['dryrunonlly'\]",
    ),
    "a misspelt member of the Entra app": (
        {"entra": {"clientId": GUID, "audience": ["api://x"]}},
        r"'entra'.*unknown properties.*\['audience'\]",
    ),
    "a placeholder for an id": (
        {"accounts": {"default": ACCOUNT | {"tenantId": "TENANT-ID"}}},
        r"'accounts\.default\.tenantId'.*Length",
    ),
    "an object for a name": (
        {"callers": {"zendesk": {"proof": "zendesk", "secrets": [{"name": "zendesk"}]}}},
        r"'callers\.zendesk\.secrets\[0\]'.*'Object'",
    ),
    "an empty list": (
        {"accounts": {"default": ACCOUNT | {"customers": []}}},
        r"'accounts\.default\.customers'.*Length",
    ),
    "no account": ({"accounts": {}}, "PARTNER_CENTER_ACCOUNTS names no account"),
    "no caller": ({"callers": {}}, "CALLERS names no caller.*set it to null"),
    "ranges without a network": ({"vaultIpRanges": ["198.51.100.7/32"]}, "VAULT_IP_RANGES needs PRIVATE_NETWORK=true"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_parameter_stops_the_deployment(bicep: Compiler, case: str) -> None:
    """Otherwise the function would answer 500 to every request, or a firewall would not do what its setting says."""
    parameters, message = REFUSED[case]

    with pytest.raises(Refused, match=message):
        bicep.predict(MAIN, LEAST | parameters)


# ---------------------------------------------------------------- the function and its settings


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


# ---------------------------------------------------------------- safety

SAFE: dict[str, dict[str, Any]] = {
    "Microsoft.KeyVault/vaults": {
        "properties.enableRbacAuthorization": True,
        "properties.enablePurgeProtection": True,
        "properties.enableSoftDelete": True,
        "properties.softDeleteRetentionInDays": 90,
        "properties.enabledForTemplateDeployment": False,
        "properties.networkAcls.bypass": "None",
    },
    "Microsoft.Insights/diagnosticSettings": {
        "properties.logs.0.categoryGroup": "audit",
        "properties.logs.0.enabled": True,
    },
    "Microsoft.Storage/storageAccounts": {
        "properties.allowSharedKeyAccess": False,
        "properties.allowBlobPublicAccess": False,
        "properties.minimumTlsVersion": "TLS1_2",
        "properties.supportsHttpsTrafficOnly": True,
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers": {"properties.publicAccess": "None"},
    "Microsoft.OperationalInsights/workspaces": {"properties.features.disableLocalAuth": True},
    "Microsoft.Insights/components": {
        "properties.DisableLocalAuth": "[equals(environment().name, 'AzureCloud')]",
        "properties.SamplingPercentage": 100,
    },
    "Microsoft.Web/sites": {
        "properties.httpsOnly": True,
        "properties.siteConfig.minTlsVersion": "1.2",
        "properties.siteConfig.scmMinTlsVersion": "1.2",
        "properties.siteConfig.ftpsState": "Disabled",
        "identity.type": "UserAssigned",
        "properties.functionAppConfig.deployment.storage.authentication.type": "UserAssignedIdentity",
    },
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {"properties.allow": False},
}


@pytest.mark.parametrize("kind", SAFE)
def test_every_resource_of_a_kind_is_safe(least: list[Json], most: list[Json], kind: str) -> None:
    for resource in of_type(least, kind) + of_type(most, kind):
        assert {path: value_at(resource, path) for path in SAFE[kind]} == SAFE[kind], resource["id"]


def test_authentication_keeps_no_tokens(most: list[Json]) -> None:
    config = authentication(most)

    assert config["httpSettings"]["requireHttps"] is True
    assert config["login"]["tokenStore"]["enabled"] is False


def test_reads_of_the_vault_are_logged(least: list[Json]) -> None:
    vault = one(least, "Microsoft.KeyVault/vaults")

    assert one(least, "Microsoft.Insights/diagnosticSettings")["id"].startswith(f"{vault['id']}/providers/")


def assigned_roles(predicted: list[Json]) -> list[tuple[str, str]]:
    """Return each role that is given to the function, with the place that it is for, below the resource group."""
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/"
    [identity] = of_type(predicted, "Microsoft.ManagedIdentity/userAssignedIdentities")
    roles = []
    for resource in of_type(predicted, "Microsoft.Authorization/roleAssignments"):
        scope = re.match(
            r"\[extensionResourceId\('([^']+)', 'Microsoft\.Authorization/roleAssignments'", resource["id"]
        )
        assert scope, resource["id"]
        assert scope[1].startswith(group), "wider than a resource"
        assert resource["properties"]["principalType"] == "ServicePrincipal"
        assert resource["properties"]["principalId"].startswith(f"[reference('{identity['id']}'")
        role = ROLES[resource["properties"]["roleDefinitionId"].rpartition("/")[2]]
        roles.append((role, re.sub(r"-?[a-z0-9]{13}(?=/|$)", "", scope[1].removeprefix(group))))
    return sorted(roles)


ROLES_OF_THE_FUNCTION = [
    ("Key Vault Secrets User", "Microsoft.KeyVault/vaults/kv"),
    ("Monitoring Metrics Publisher", "Microsoft.Insights/components/appi"),
    ("Storage Blob Data Owner", "Microsoft.Storage/storageAccounts/st"),
]


def test_no_role_is_wider_than_its_resource(least: list[Json]) -> None:
    """Azure accepts no role on a secret that does not exist, so the role to renew a refresh token comes later."""
    assert assigned_roles(least) == ROLES_OF_THE_FUNCTION


def test_the_function_may_write_the_secrets_of_refresh_tokens_and_no_other(most: list[Json]) -> None:
    assert assigned_roles(most) == [
        ("Key Vault Secrets Officer", "Microsoft.KeyVault/vaults/kv/secrets/renewed"),
        ("Key Vault Secrets Officer", "Microsoft.KeyVault/vaults/kv/secrets/third"),
        *ROLES_OF_THE_FUNCTION,
    ]


def test_no_secret_is_created(most: list[Json]) -> None:
    """A redeployment would restore a secret that was rotated since."""
    kinds = {resource["type"] for resource in most}

    assert {kind for kind in kinds if re.search("(?i)/(secrets|keys|functionKeys)$", kind)} == set()


def templates(template: Json) -> Iterator[Json]:
    """Yield *template* and the templates of its modules. A template without types has its resources in a list."""
    yield template
    resources = template["resources"]
    for resource in resources.values() if isinstance(resources, dict) else resources:
        if resource["type"] == "Microsoft.Resources/deployments":
            yield from templates(resource["properties"]["template"])


def test_no_secret_is_a_parameter_or_an_output(template: Json, bicep: Compiler) -> None:
    """Everyone with the role Reader can read both in the deployment's history."""
    harmless = {"secretTtlS", "secretName", "refreshTokensStored", "keyName"}
    for part in (*templates(template), bicep.template(AVAILABILITY)):
        names = {*part["parameters"], *part.get("outputs", {})} - harmless
        kinds = {parameter.get("type", "object").lower() for parameter in part["parameters"].values()}
        outputs = json.dumps(part.get("outputs", {}))

        assert {name for name in names if re.search("(?i)secret|token|key$|pass", name)} == set()
        assert kinds & {"securestring", "secureobject"} == set()
        assert re.findall(r"(?i)\blist\w*\(|connectionstring|instrumentationkey|accesskey", outputs) == []


def test_only_the_availability_test_gets_a_function_key(most: list[Json], availability: list[Json]) -> None:
    [header] = one(availability, "Microsoft.Insights/webtests")["properties"]["Request"]["Headers"]

    assert header["key"] == "x-functions-key"
    assert re.fullmatch(
        r"\[listKeys\('[^']+/sites/func/functions/cancel_order', '[\d-]+'\)\.default\]", header["value"]
    )
    assert re.findall(r"\blist[A-Z]\w*\(", json.dumps([most, availability])) == ["listKeys("]


# ---------------------------------------------------------------- the private network

CLOSED_TO_THE_INTERNET = {"Microsoft.Storage/storageAccounts": "Disabled", "Microsoft.KeyVault/vaults": "Disabled"}
OPEN = {
    "Microsoft.Web/sites",  # callers are on the internet
    "Microsoft.Insights/components",  # telemetry in and out needs an Entra identity
    "Microsoft.OperationalInsights/workspaces",
}
WITHOUT_AN_ADDRESS = {  # for others than Azure Resource Manager, or part of a resource above
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.Insights/actionGroups",
    "Microsoft.Insights/diagnosticSettings",
    "Microsoft.Insights/scheduledQueryRules",
    "Microsoft.Insights/workbooks",
    "Microsoft.ManagedIdentity/userAssignedIdentities",
    "Microsoft.Network/natGateways",
    "Microsoft.Network/networkSecurityGroups",
    "Microsoft.Network/privateDnsZones",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks",
    "Microsoft.Network/privateEndpoints",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
    "Microsoft.Network/publicIPAddresses",  # of the gateway, which lets nothing in
    "Microsoft.Network/virtualNetworks",
    "Microsoft.OperationalInsights/queryPacks",
    "Microsoft.OperationalInsights/queryPacks/queries",
    "Microsoft.OperationalInsights/workspaces/tables",
    "Microsoft.Resources/resourceGroups",
    "Microsoft.Storage/storageAccounts/blobServices",
    "Microsoft.Storage/storageAccounts/blobServices/containers",
    "Microsoft.Web/serverfarms",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies",
    "Microsoft.Web/sites/config",
}


def test_in_a_private_network_only_the_function_can_be_reached(closed: list[Json]) -> None:
    assert {resource["type"] for resource in closed} - WITHOUT_AN_ADDRESS - OPEN == CLOSED_TO_THE_INTERNET.keys()
    for kind, access in CLOSED_TO_THE_INTERNET.items():
        properties = one(closed, kind)["properties"]
        assert (properties["publicNetworkAccess"], properties["networkAcls"]["defaultAction"]) == (access, "Deny"), kind
    assert value_at(one(closed, "Microsoft.Web/sites"), "properties.publicNetworkAccess") == "Enabled"


def test_in_a_private_network_operators_reach_the_vault_from_their_ranges_alone(most: list[Json]) -> None:
    storage = one(most, "Microsoft.Storage/storageAccounts")["properties"]
    vault = one(most, "Microsoft.KeyVault/vaults")["properties"]

    assert (storage["publicNetworkAccess"], storage["networkAcls"]["defaultAction"]) == ("Disabled", "Deny")
    assert vault["publicNetworkAccess"] == "Enabled"
    assert vault["networkAcls"] == {
        "defaultAction": "Deny",
        "bypass": "None",
        "ipRules": [{"value": "198.51.100.7/32"}],
    }


def test_in_a_private_network_the_function_reaches_storage_and_vault(least: list[Json], closed: list[Json]) -> None:
    network = one(closed, "Microsoft.Network/virtualNetworks")
    subnets = {subnet["name"]: subnet["properties"] for subnet in network["properties"]["subnets"]}
    endpoints = of_type(closed, "Microsoft.Network/privateEndpoints")

    assert value_at(one(closed, "Microsoft.Web/sites"), "properties.virtualNetworkSubnetId") == (
        f"{network['id']}/subnets/function"
    )
    assert value_at(one(least, "Microsoft.Web/sites"), "properties.virtualNetworkSubnetId") is None
    assert subnets["function"]["natGateway"]["id"] == one(closed, "Microsoft.Network/natGateways")["id"]
    assert {
        endpoint["properties"]["privateLinkServiceConnections"][0]["properties"]["privateLinkServiceId"]
        for endpoint in endpoints
    } == {one(closed, kind)["id"] for kind in CLOSED_TO_THE_INTERNET}


def test_a_deleted_vault_is_recovered_only_when_asked(least: list[Json], most: list[Json]) -> None:
    assert value_at(one(least, "Microsoft.KeyVault/vaults"), "properties.createMode") == "default"
    assert value_at(one(most, "Microsoft.KeyVault/vaults"), "properties.createMode") == "recover"
    assert value_at(one(most, "Microsoft.KeyVault/vaults"), "properties.tenantId") == TENANT


# ---------------------------------------------------------------- alerts


def headings(page: Path) -> set[str]:
    return set(re.findall(r"^#+ ([a-z-]+)$", page.read_text(), re.MULTILINE))


def test_an_alerts_mail_links_to_its_paragraph(least: list[Json], most: list[Json]) -> None:
    """The mail shows the description. Mail programs make a link of an address, and of a full stop after it."""
    pattern = re.compile(r".+\. More: (https://[^ ]+)#([a-z-]+)")
    links = {}
    for place, predicted in (("default", least), ("own", most)):
        rules = of_type(predicted, "Microsoft.Insights/scheduledQueryRules")
        links[place] = [pattern.fullmatch(rule["properties"]["description"]) for rule in rules]

    assert [link and link[2] for link in links["default"]] == [link and link[2] for link in links["own"]]
    assert sorted(link[2] for link in links["own"] if link) == ALERTS
    assert {link[1] for link in links["own"] if link} == {"https://example.com/operate"}
    [default] = {link[1] for link in links["default"] if link}
    assert re.fullmatch(r"https://github\.com/OWNER/REPO/blob/main/docs/operate\.md", default)
    assert set(ALERTS) <= headings(ROOT / "docs/operate.md")


def test_the_mail_about_availability_links_to_the_same_page(most: list[Json], availability: list[Json]) -> None:
    """The file is deployed after the code, without azd's settings, so the action group keeps the page's address."""
    description = one(availability, "Microsoft.Insights/metricAlerts")["properties"]["description"]

    assert one(most, "Microsoft.Insights/actionGroups")["tags"]["operatePage"] == MOST["operatePage"]
    assert re.search(r"format\('\{0\} More: \{1\}#unavailable', ", description)
    assert re.search(r"actionGroups/ag', '[\d-]+', 'full'\)\.tags, 'operatePage'\), 'docs/operate\.md'\)", description)
    assert "unavailable" in headings(ROOT / "docs/operate.md")


# ---------------------------------------------------------------- the availability test


def test_the_availability_test_calls_the_health_check(availability: list[Json]) -> None:
    test = one(availability, "Microsoft.Insights/webtests")["properties"]
    binding = json.loads((ROOT / "cancel_order/function.json").read_text())["bindings"][0]
    prefix = json.loads((ROOT / "host.json").read_text())["extensions"]["http"]["routePrefix"]

    assert f"'https://{{0}}/{prefix}/{binding['route']}'" in test["Request"]["RequestUrl"]
    assert test["Request"]["HttpVerb"].lower() in binding["methods"]
    assert test["Request"]["FollowRedirects"] is False, "it would send the key to another address"
    assert test["Frequency"] == 300
    assert (test["ValidationRules"]["ExpectedHttpStatusCode"], test["ValidationRules"]["SSLCheck"]) == (200, True)
