"""Nothing that would be deployed gives anything away: keys, secrets, roles, outputs, the private network."""

import json
import re
from typing import Any

import pytest

from tests.support.compiled_bicep import GROUP, SUBSCRIPTION, TENANT, of_type, one, value_at
from tests.support.local_cloud import Json

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
}


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
    (
        "Storage Queue Data Contributor",
        "Microsoft.Storage/storageAccounts/st/queueServices/default/queues/follow-up",
    ),
    (
        "Storage Queue Data Contributor",
        "Microsoft.Storage/storageAccounts/st/queueServices/default/queues/follow-up-poison",
    ),
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
# Only Resource Manager reaches these, or they are part of a resource above.
WITHOUT_AN_ADDRESS = {
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
    "Microsoft.Storage/storageAccounts/queueServices",
    "Microsoft.Storage/storageAccounts/queueServices/queues",
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


def test_in_a_private_network_each_service_has_an_endpoint_and_the_zone_of_its_cloud(closed: list[Json]) -> None:
    """Without its zone the function would look for a private service at its public address, which is shut."""
    endpoints = of_type(closed, "Microsoft.Network/privateEndpoints")
    groups = of_type(closed, "Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
    links = of_type(closed, "Microsoft.Network/privateDnsZones/virtualNetworkLinks")
    zones = {
        re.findall(r"/pe-(\w+)-", group["id"])[0]: value_at(
            group, "properties.privateDnsZoneConfigs.0.properties.privateDnsZoneId"
        )
        for group in groups
    }

    assert sorted(
        (member, value_at(endpoint, "properties.privateLinkServiceConnections.0.properties.privateLinkServiceId"))
        for endpoint in endpoints
        for member in value_at(endpoint, "properties.privateLinkServiceConnections.0.properties.groupIds")
    ) == [
        ("blob", one(closed, "Microsoft.Storage/storageAccounts")["id"]),
        ("queue", one(closed, "Microsoft.Storage/storageAccounts")["id"]),
        ("vault", one(closed, "Microsoft.KeyVault/vaults")["id"]),
    ]
    assert zones.keys() == {"blob", "queue", "vault"}
    for service in ("blob", "queue"):
        assert f"format('privatelink.{service}.{{0}}', environment().suffixes.storage)" in zones[service]
    assert len(links) == len(zones)


def test_a_deleted_vault_is_recovered_only_when_asked(least: list[Json], most: list[Json]) -> None:
    assert value_at(one(least, "Microsoft.KeyVault/vaults"), "properties.createMode") == "default"
    assert value_at(one(most, "Microsoft.KeyVault/vaults"), "properties.createMode") == "recover"
    assert value_at(one(most, "Microsoft.KeyVault/vaults"), "properties.tenantId") == TENANT
