"""The deployment, as far as it can be checked without deploying it.

What a compiler would refuse (names, modules, parameters), and what would not fit the code. What would be unsafe is in
test_bicep_safety.py.
"""

import json
import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from shared.http_request import BODY_LIMIT_BYTES
from shared.settings import Account, EntraCaller, KeyCaller, Settings, SigningCaller
from tests.support.bicep import FILES, INFRA, ROOT, body, declared_at, expressions, names, parse, resources

MAIN = parse(INFRA / "main.bicep")

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
