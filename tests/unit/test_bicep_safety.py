"""The settings of the deployment that keep it safe, each compared with its value."""

import json
import re
from pathlib import Path

import pytest

from tests.support.bicep import FILES, INFRA, body, parse, resources, value_at

MAIN = parse(INFRA / "main.bicep")

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLES = {
    "storageBlobDataOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "monitoringMetricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "keyVaultSecretsUser": "4633458b-17de-408a-b874-0445c86b69e6",
    "keyVaultSecretsOfficer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
}
EACH_FILE = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(INFRA)))

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


@pytest.mark.parametrize("place", SAFE)
def test_a_setting_is_safe(place: str) -> None:
    assert value_at(place) == SAFE[place]


def test_no_secret_is_created() -> None:
    """A redeployment would restore a secret that was rotated since."""
    assert list(resources("Microsoft.KeyVault/vaults/secrets")) == []
    assert [path for path, _, declared in resources() if declared["type"].endswith(("/keys", "/functionKeys"))] == []


@EACH_FILE
def test_no_secret_is_a_parameter_or_an_output(path: Path) -> None:
    """Everyone with the role Reader can read both in the deployment's history."""
    harmless = {"secretTtlS", "secretName", "refreshTokensStored", "keyName"}
    tree = parse(path)

    suspicious = {
        name
        for name in {*tree["parameters"], *tree["outputs"]} - harmless
        if re.search("(?i)secret|token|key$|pass", name)
    }
    secure = {name for name, parameter in tree["parameters"].items() if {"type": "secure"} in parameter["decorators"]}
    outputs = re.findall(r"^output .*", path.read_text(), re.MULTILINE)

    assert suspicious | secure == set()
    assert [
        line for line in outputs if re.search(r"(?i)\blist\w*\(|connectionstring|instrumentationkey|accesskey", line)
    ] == []


def test_only_the_availability_test_gets_a_function_key() -> None:
    lines = [(path.stem, line.strip()) for path in FILES for line in path.read_text().splitlines()]

    calls = [(stem, line) for stem, line in lines if re.search(r"\blist\w*\(", line)]

    assert calls == [("availability", "value: listKeys(function.id, function.apiVersion)[keyName]")]
    [header] = value_at("availability:test.properties.Request.Headers")
    assert header["key"] == "x-functions-key"
    assert "listKeys" in json.dumps(header["value"])


@EACH_FILE
def test_no_address_of_a_cloud_is_hard_coded(path: Path) -> None:
    """US Government and 21Vianet have other addresses; environment() returns them."""
    code = "\n".join(line.partition("//")[0] for line in path.read_text().splitlines() if "description" not in line)

    assert re.findall(r"[\w.-]*(?:windows\.net|azure\.(?:net|com|us|cn)|microsoftonline\.\w+)", code) == []


def test_roles_are_the_documented_ones_and_each_is_for_one_resource() -> None:
    guid = r"var (\w+) = '([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'"
    in_templates = {name: role for path in FILES for name, role in re.findall(guid, path.read_text())}
    assigned = {symbol: body(declared) for _, symbol, declared in resources("Microsoft.Authorization/roleAssignments")}

    assert in_templates == ROLES
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


def test_the_function_may_write_only_the_secrets_of_refresh_tokens() -> None:
    """The operator first says that they are stored, because Azure accepts no role on a secret that does not exist."""
    text = (INFRA / "main.bicep").read_text()

    assert MAIN["parameters"]["refreshTokensStored"]["default"] is False
    assert "'modules/secret-writer.bicep' = [for name in (refreshTokensStored ? refreshTokenSecrets : []): {" in text
    assert "filter(items(accounts), entry => !empty(entry.value.?refreshToken))" in text
    assert "map(usingRefreshTokens, entry => entry.value.?refreshToken ?? '')" in text


def test_tokens_are_verified_and_requests_without_one_pass() -> None:
    text = (INFRA / "modules/function.bicep").read_text()
    validation = value_at("modules/function:authentication.properties.globalValidation")

    assert validation == {"requireAuthentication": False, "unauthenticatedClientAction": "AllowAnonymous"}
    assert re.search(r"platform: \{\s+enabled: !empty\(entra\)\s+\}", text)
    assert re.search(r"validation: \{\s+allowedAudiences: entra\.\?audiences \?\? \[\s+entra\.clientId", text)


def test_ip_restrictions_allow_the_availability_test() -> None:
    text = (INFRA / "modules/function.bicep").read_text()
    [tag] = parse(INFRA / "modules/function.bicep")["variables"]["availabilityTest"]["value"]

    assert (tag["tag"], tag["ipAddress"]) == ("ServiceTag", "ApplicationInsightsAvailability")
    assert "ipSecurityRestrictions: empty(allowedIpRanges) ? [] : concat(ranges, availabilityTest)" in text
    assert "ipSecurityRestrictionsDefaultAction: empty(allowedIpRanges) ? 'Allow' : 'Deny'" in text
