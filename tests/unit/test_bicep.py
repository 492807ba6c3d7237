"""The deployment, as far as it can be held to its promises without deploying it.

What a compiler would refuse (names, modules, parameters), what would be unsafe, and what would not fit the code.
"""

import json
import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from shared.contract import BODY_LIMIT_BYTES
from shared.settings import Account, EntraCaller, KeyCaller, Settings, SigningCaller
from tests.bicep import FILES, INFRA, ROOT, body, declared_at, expressions, names, parse, resources

MAIN = parse(INFRA / "main.bicep")

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLES = {
    "storageBlobDataOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "monitoringMetricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "keyVaultSecretsUser": "4633458b-17de-408a-b874-0445c86b69e6",
    "keyVaultSecretsOfficer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
}
BY_AZURE = {"IDENTITY_ENDPOINT", "WEBSITE_AUTH_ENABLED"}  # set by the platform itself
FOR_AZURE = {  # read by the Functions host. Flex Consumption refuses the usual FUNCTIONS_WORKER_RUNTIME and its like.
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
}
KNOWN_FUNCTIONS = {
    *(
        "concat",
        "empty",
        "environment",
        "filter",
        "guid",
        "items",
        "length",
        "listKeys",
        "loadTextContent",
        "map",
        "max",
    ),
    *("replace", "resourceGroup", "subscription", "subscriptionResourceId", "tenant", "union", "uniqueString"),
}
EACH_FILE = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(INFRA)))


def aliases(model: type[BaseModel]) -> set[str]:
    return {str(field.alias) for field in model.model_fields.values()}


# ---------------------------------------------------------------- what a compiler would refuse


@EACH_FILE
def test_it_parses(path: Path) -> None:
    assert any(parse(path).values())
    assert "'''" not in path.read_text(), "strings of several lines would be misread by these tests"


@EACH_FILE
def test_every_name_is_declared_and_every_declaration_used(path: Path) -> None:
    declared, used, called = names(path)
    tree = parse(path)

    assert used - declared == set()
    assert declared - used - set(tree["resources"]) - set(tree["modules"]) == set()
    assert called - KNOWN_FUNCTIONS == set()


@pytest.mark.parametrize("symbol", MAIN["modules"])
def test_a_module_is_given_what_it_asks_for(symbol: str) -> None:
    module = MAIN["modules"][symbol]
    asked = parse(INFRA / module["detail"]["path"])
    text = expressions((INFRA / "main.bicep").read_text())

    given = set(body(module)["params"])

    assert given <= set(asked["parameters"])
    assert given >= {name for name, parameter in asked["parameters"].items() if parameter["default"] is None}
    assert set(re.findall(rf"\b{symbol}!?\.outputs\.(\w+)", text)) <= set(asked["outputs"])


def test_every_module_is_deployed() -> None:
    deployed = {INFRA / module["detail"]["path"] for module in MAIN["modules"].values()}

    assert deployed == set(FILES) - {INFRA / "main.bicep", INFRA / "availability.bicep"}


def test_api_versions_are_one_per_kind_and_not_previews() -> None:
    versions: dict[str, set[str]] = {}
    for path in FILES:
        for declared in parse(path)["resources"].values():
            versions.setdefault(declared["type"].split("/")[0], set()).add(declared["api_version"])

    assert min(versions["Microsoft.KeyVault"]) >= "2026-02-01", "older ones end on 2027-02-27"
    for path, _, declared in resources():
        preview = declared["type"] == "Microsoft.Insights/diagnosticSettings"  # which never had any other
        assert declared["api_version"].endswith("-preview") is preview, path
    assert {space for space, found in versions.items() if len(found) > 1} <= {
        "Microsoft.Insights",  # each kind of resource has versions of its own
        "Microsoft.Network",
        "Microsoft.OperationalInsights",
    }


# ---------------------------------------------------------------- what would be unsafe

SAFE = {
    "modules/vault:vault.properties.enableRbacAuthorization": True,
    "modules/vault:vault.properties.enablePurgeProtection": True,
    "modules/vault:vault.properties.enableSoftDelete": True,
    "modules/vault:vault.properties.softDeleteRetentionInDays": 90,
    "modules/vault:vault.properties.enabledForTemplateDeployment": False,
    "modules/vault:logs.scope": "vault",
    "modules/vault:logs.properties.logs.0.categoryGroup": "audit",
    "modules/vault:logs.properties.logs.0.enabled": True,
    "modules/storage:account.properties.allowSharedKeyAccess": False,
    "modules/storage:account.properties.allowBlobPublicAccess": False,
    "modules/storage:account.properties.minimumTlsVersion": "TLS1_2",
    "modules/storage:account.properties.supportsHttpsTrafficOnly": True,
    "modules/storage:packages.properties.publicAccess": "None",
    "modules/telemetry:workspace.properties.features.disableLocalAuth": True,
    "modules/telemetry:applicationInsights.properties.DisableLocalAuth": "entraOnly",
    "modules/telemetry:applicationInsights.properties.SamplingPercentage": 100,
    "modules/function:site.properties.httpsOnly": True,
    "modules/function:site.properties.siteConfig.minTlsVersion": "1.2",
    "modules/function:site.properties.siteConfig.scmMinTlsVersion": "1.2",
    "modules/function:site.properties.siteConfig.ftpsState": "Disabled",
    "modules/function:site.identity.type": "UserAssigned",
    "modules/function:site.properties.functionAppConfig.deployment.storage.authentication.type": "UserAssignedIdentity",
    "modules/function:ftp.properties.allow": False,
    "modules/function:scm.properties.allow": False,
    "modules/function:authentication.properties.httpSettings.requireHttps": True,
    "modules/function:authentication.properties.login.tokenStore.enabled": False,
    "availability:test.properties.ValidationRules.SSLCheck": True,
    "availability:test.properties.Request.FollowRedirects": False,
}


@pytest.mark.parametrize(("where", "value"), SAFE.items(), ids=SAFE)
def test_it_is_safe(where: str, value: object) -> None:
    assert declared_at(where) == value


def test_no_secret_is_made() -> None:
    """A redeployment would put back one that was rotated since."""
    assert list(resources("Microsoft.KeyVault/vaults/secrets")) == []
    assert [path for path, _, found in resources() if found["type"].endswith(("/keys", "/functionKeys"))] == []


@EACH_FILE
def test_no_secret_is_a_parameter_or_an_output(path: Path) -> None:
    """Both are kept in the deployment's history, for everyone with the role Reader."""
    known = {"secretTtlS", "secretName", "refreshTokensStored", "keyName"}
    tree = parse(path)

    told = {
        name
        for name in {*tree["parameters"], *tree["outputs"]} - known
        if re.search("(?i)secret|token|key$|pass", name)
    }
    secure = {name for name, one in tree["parameters"].items() if {"type": "secure"} in one["decorators"]}
    outputs = re.findall(r"^output .*", path.read_text(), re.MULTILINE)

    assert told | secure == set()
    assert [
        line for line in outputs if re.search(r"(?i)\blist\w*\(|connectionstring|instrumentationkey|accesskey", line)
    ] == []


def test_a_function_key_goes_into_the_availability_test_and_nowhere_else() -> None:
    found = [(path.stem, line.strip()) for path in FILES for line in path.read_text().splitlines() if "list" in line]
    calls = [(stem, line) for stem, line in found if re.search(r"\blist\w*\(", line)]

    assert calls == [("availability", "value: listKeys(function.id, function.apiVersion)[keyName]")]
    [header] = declared_at("availability:test.properties.Request.Headers")
    assert header["key"] == "x-functions-key"
    assert "listKeys" in json.dumps(header["value"])


@EACH_FILE
def test_no_cloud_is_written_down(path: Path) -> None:
    """US Government and 21Vianet have addresses of their own; environment() knows them."""
    code = "\n".join(line.partition("//")[0] for line in path.read_text().splitlines() if "description" not in line)

    assert re.findall(r"[\w.-]*(?:windows\.net|azure\.(?:net|com|us|cn)|microsoftonline\.\w+)", code) == []


def test_roles_are_the_documented_ones_and_no_wider_than_a_resource() -> None:
    written: dict[str, str] = {}
    for path in FILES:
        guid = r"var (\w+) = '([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'"
        written |= dict(re.findall(guid, path.read_text()))
    assigned = {symbol: body(found) for _, symbol, found in resources("Microsoft.Authorization/roleAssignments")}

    assert written == ROLES
    assert {symbol: role["scope"] for symbol, role in assigned.items()} == {
        "owner": "account",
        "publisher": "applicationInsights",
        "reader": "vault",
        "writer": "secret",
    }
    for symbol, role in {"owner": "storageBlobDataOwner", "publisher": "monitoringMetricsPublisher"}.items():
        assert role in json.dumps(assigned[symbol]["properties"]["roleDefinitionId"])
    assert "keyVaultSecretsUser" in json.dumps(assigned["reader"]["properties"]["roleDefinitionId"])
    assert "keyVaultSecretsOfficer" in json.dumps(assigned["writer"]["properties"]["roleDefinitionId"])
    assert {role["properties"]["principalType"] for role in assigned.values()} == {"ServicePrincipal"}


def test_a_secret_is_written_to_only_where_an_account_has_a_refresh_token() -> None:
    """And only once the operator says that it is stored: a role cannot be given on a secret that does not exist."""
    text = (INFRA / "main.bicep").read_text()

    assert MAIN["parameters"]["refreshTokensStored"]["default"] is False
    assert "'modules/secret-writer.bicep' = [for name in (refreshTokensStored ? refreshTokenSecrets : []): {" in text
    assert "filter(items(accounts), entry => !empty(entry.value.?refreshToken))" in text
    assert "map(usingRefreshTokens, entry => entry.value.?refreshToken ?? '')" in text


def test_entra_callers_are_verified_and_the_others_let_through() -> None:
    text = (INFRA / "modules/function.bicep").read_text()
    validation = declared_at("modules/function:authentication.properties.globalValidation")

    assert validation == {"requireAuthentication": False, "unauthenticatedClientAction": "AllowAnonymous"}
    assert re.search(r"platform: \{\s+enabled: !empty\(entra\)\s+\}", text)
    assert re.search(r"validation: \{\s+allowedAudiences: entra\.\?audiences \?\? \[\s+entra\.clientId", text)


def test_ip_restrictions_leave_the_availability_test_in() -> None:
    text = (INFRA / "modules/function.bicep").read_text()
    [tag] = parse(INFRA / "modules/function.bicep")["variables"]["availabilityTest"]["value"]

    assert (tag["tag"], tag["ipAddress"]) == ("ServiceTag", "ApplicationInsightsAvailability")
    assert "ipSecurityRestrictions: empty(allowedIpRanges) ? [] : concat(ranges, availabilityTest)" in text
    assert "ipSecurityRestrictionsDefaultAction: empty(allowedIpRanges) ? 'Allow' : 'Deny'" in text


# ---------------------------------------------------------------- what would not fit the code


def test_it_runs_what_the_tests_run() -> None:
    config = declared_at("modules/function:site.properties.functionAppConfig")
    version = (ROOT / ".python-version").read_text().strip()

    assert declared_at("modules/function:plan.sku") == {"name": "FC1", "tier": "FlexConsumption"}
    assert config["runtime"] == {"name": "python", "version": ".".join(version.split(".")[:2])}
    assert config["scaleAndConcurrency"]["triggers"]["http"]["perInstanceConcurrency"] == "perInstanceConcurrency"
    assert MAIN["parameters"]["perInstanceConcurrency"]["default"] == 16
    assert MAIN["parameters"]["alwaysReadyInstances"]["default"] == 0
    [service] = yaml.safe_load((ROOT / "azure.yaml").read_text())["services"]
    assert f"'azd-service-name': '{service}'" in (INFRA / "modules/function.bicep").read_text()


def test_the_availability_test_asks_for_the_health() -> None:
    request = declared_at("availability:test.properties.Request")
    binding = json.loads((ROOT / "cancel_order/function.json").read_text())["bindings"][0]
    prefix = json.loads((ROOT / "host.json").read_text())["extensions"]["http"]["routePrefix"]

    assert request["RequestUrl"].endswith(f"/{prefix}/{binding['route']}")
    assert request["HttpVerb"].lower() in binding["methods"]
    assert declared_at("availability:test.properties.Frequency") == 300
    assert declared_at("availability:test.properties.ValidationRules.ExpectedHttpStatusCode") == 200


@pytest.mark.parametrize(
    ("system", "variable"), [("posix", r"\$(\w+)"), ("windows", r"\$env:(\w+)")], ids=["sh", "pwsh"]
)
def test_azd_up_ends_with_the_availability_test(system: str, variable: str) -> None:
    """azd hands main.bicep's outputs to a hook as environment variables."""
    command = yaml.safe_load((ROOT / "azure.yaml").read_text())["hooks"]["postup"][system]["run"]
    asked = parse(INFRA / "availability.bicep")["parameters"]

    given = dict(re.findall(rf'(\w+)="{variable}"', command))

    assert "--template-file infra/availability.bicep --parameters " in command
    assert given.keys() == {name for name, one in asked.items() if one["default"] is None}
    assert set(re.findall(rf'"{variable}"', command)) == {*given.values(), "AZURE_RESOURCE_GROUP"}
    assert set(re.findall(rf'"{variable}"', command)) <= MAIN["outputs"].keys()


def app_settings() -> set[str]:
    given = body(MAIN["modules"]["function"])["params"]["settings"]["function"]["parameters"]["arg_2"]
    parameters = declared_at("modules/function:appSettings.properties")["function"]["parameters"]
    optional = re.findall(r"== null \? \{\} : \{\s+(\w+): ", (INFRA / "main.bicep").read_text())
    sign_in = re.findall(r"var telemetrySignIn = .*\{\s+(\w+): ", (INFRA / "modules/function.bicep").read_text())
    return {*given, *parameters[max(parameters)], *optional, *sign_in}


def test_every_setting_of_the_function_is_set_and_no_other() -> None:
    assert app_settings() == (aliases(Settings) - BY_AZURE) | FOR_AZURE


def test_the_hosts_body_limit_lies_above_ours() -> None:
    parameters = declared_at("modules/function:appSettings.properties")["function"]["parameters"]

    assert int(parameters[max(parameters)]["FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"]) > BODY_LIMIT_BYTES


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("account", Account),
        ("zendeskCaller", SigningCaller),
        ("standardWebhooksCaller", SigningCaller),
        ("entraCaller", EntraCaller),
        ("keyCaller", KeyCaller),
    ],
)
def test_a_type_has_the_members_of_the_setting(name: str, model: type[BaseModel]) -> None:
    declared = re.search(
        rf"^type {name} = \{{\n(.*?)^\}}", (INFRA / "main.bicep").read_text(), re.MULTILINE | re.DOTALL
    )
    assert declared
    members = dict(re.findall(r"^  (\w+): (.+)$", declared[1], re.MULTILINE))

    assert set(members) == aliases(model)
    assert {member for member, kind in members.items() if not kind.endswith("?")} == {
        field.alias for field in model.model_fields.values() if field.is_required()
    }
    assert {"type": "sealed"} in MAIN["types"][name]["decorators"], "a misspelt member would pass"


def test_every_parameter_can_be_set_from_azds_environment() -> None:
    parameters = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]

    assert list(parameters) == [name for name in MAIN["parameters"] if name in parameters]
    assert set(parameters) == set(MAIN["parameters"])
    for one in parameters.values():
        assert re.fullmatch(r"\$\{[A-Z][A-Z0-9_]*\}", one["value"]), (
            "azd leaves out what is not set, if nothing is around it"
        )


# ---------------------------------------------------------------- make scan


def test_the_scan_leaves_nothing_out_without_a_reason() -> None:
    text = (INFRA / "checkov.yaml").read_text()
    config = yaml.safe_load(text)
    left_out = {*config["skip-check"], *config["skip-path"]}

    assert {name for name in left_out if re.search(rf"^  - {name}  +# \S.{{10,}}$", text, re.MULTILINE)} == left_out
    assert config["skip-path"] == ["infra/main.bicep"]
    assert [found["type"] for path, _, found in resources() if path == INFRA / "main.bicep"] == [
        "Microsoft.Resources/resourceGroups"
    ]
    assert config["skip-download"] is True
