"""The deployment, as far as its text can be checked.

These tests read the text of the files and find settings that do not fit the code. They need no compiler;
tests/contract/bicep has the tests that do.
"""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from shared.caller_settings import MEMBERS_OF_TELL, EntraCaller, KeyCaller, SigningCaller, Tell
from shared.settings import Account, Settings
from tests.support.bicep import FILES, INFRA, ROOT, body, declared_at, parse, resources
from tests.support.compiled_bicep import compiler

MAIN = parse(INFRA / "main.bicep")
DEPLOY_PAGE = (ROOT / "docs/deploy.md").read_text()

SET_BY_AZURE = {"IDENTITY_ENDPOINT", "WEBSITE_AUTH_ENABLED"}
SET_BY_THE_TEMPLATES = {  # from what they deploy, not from a parameter
    "AZURE_CLIENT_ID",
    "AzureWebJobs.tell_ticket.Disabled",
    "AzureWebJobsStorage__queueServiceUri",
    "KEY_VAULT_URL",
}
READ_BY_AZURE = {  # by the Functions host. Flex Consumption refuses FUNCTIONS_WORKER_RUNTIME and similar settings.
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AzureWebJobsDisableHomepage",
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
}


def aliases(model: type[BaseModel]) -> set[str]:
    return {str(field.alias) for field in model.model_fields.values()}


def test_every_module_is_deployed() -> None:
    deployed = {INFRA / module["detail"]["path"] for module in MAIN["modules"].values()}

    assert deployed == set(FILES) - {INFRA / "main.bicep", INFRA / "availability.bicep"}


def test_each_provider_has_one_api_version_and_no_preview() -> None:
    versions: dict[str, set[str]] = {}
    for path in FILES:
        for declared in parse(path)["resources"].values():
            versions.setdefault(declared["type"].split("/")[0], set()).add(declared["api_version"])

    assert min(versions["Microsoft.KeyVault"]) >= "2026-02-01", "older versions end on 2027-02-27"
    for path, _, declared in resources():
        has_only_previews = declared["type"] == "Microsoft.Insights/diagnosticSettings"
        assert declared["api_version"].endswith("-preview") is has_only_previews, path
    assert {provider for provider, found in versions.items() if len(found) > 1} <= {
        "Microsoft.Insights",  # each type of these providers has versions of its own
        "Microsoft.Network",
        "Microsoft.OperationalInsights",
    }


# ---------------------------------------------------------------- settings that must fit the code


def app_settings() -> set[str]:
    """Return the names of all app settings that the templates can set."""
    from_main = body(MAIN["modules"]["function"])["params"]["settings"]["function"]["parameters"]["arg_2"]
    parameters = declared_at("modules/function:appSettings.properties")["function"]["parameters"]
    optional = re.findall(r"== null \? \{\} : \{\s+(\w+): ", (INFRA / "main.bicep").read_text())
    sign_in = re.findall(r"var telemetrySignIn = .*\{\s+(\w+): ", (INFRA / "modules/function.bicep").read_text())
    return {name.strip("'") for name in (*from_main, *parameters[max(parameters)], *optional, *sign_in)}


def test_every_setting_of_the_function_is_set_and_no_other() -> None:
    expected = (aliases(Settings) - SET_BY_AZURE) | SET_BY_THE_TEMPLATES | READ_BY_AZURE

    assert app_settings() == expected, "infra/main.bicep: the function's app settings differ from shared/settings.py"


def parameters_by_variable() -> dict[str, str]:
    """Return the parameters of main.bicep by the variables of azd's environment that set them."""
    parameters = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    return {parameter["value"].strip("${}"): name for name, parameter in parameters.items()}


def missing_for(setting: str) -> Iterator[str]:
    """Yield what the deployment lacks for *setting*, with the file."""
    if setting not in app_settings():
        yield "infra/main.bicep: a line in the function's app settings, and a parameter for it"
    if setting not in parameters_by_variable():
        yield f"infra/main.parameters.json: the parameter with the value ${{{setting}}}"
    if f"`{setting}`" not in DEPLOY_PAGE:
        yield "docs/deploy.md: a row in the table of the deployment's settings"


@pytest.mark.parametrize("setting", sorted(aliases(Settings) - SET_BY_AZURE - SET_BY_THE_TEMPLATES))
def test_the_deployment_is_complete_for_each_setting(setting: str) -> None:
    assert list(missing_for(setting)) == []


def test_what_the_deployment_lacks_for_a_new_setting_is_named() -> None:
    assert [line.partition(":")[0] for line in missing_for("NEW_SETTING")] == [
        "infra/main.bicep",
        "infra/main.parameters.json",
        "docs/deploy.md",
    ]


@pytest.mark.parametrize(
    "field",
    [field for field in Settings.model_fields.values() if isinstance(field.default, int | float)],
    ids=lambda field: str(field.alias),
)
def test_a_number_has_the_default_and_the_bounds_of_the_setting(field: FieldInfo) -> None:
    """Parameters are whole numbers, so the bound "more than 0" is 1."""
    bounds = {
        name: getattr(rule, name) for rule in field.metadata for name in ("gt", "ge", "le") if hasattr(rule, name)
    }
    least = math.floor(bounds["gt"]) + 1 if "gt" in bounds else math.ceil(bounds["ge"]) if "ge" in bounds else None
    most = math.floor(bounds["le"]) if "le" in bounds else None
    parameter = MAIN["parameters"][parameters_by_variable()[str(field.alias)]]
    decorators = {decorator["type"]: decorator["argument"] for decorator in parameter["decorators"]}

    assert (parameter["default"], decorators.get("min_value"), decorators.get("max_value")) == (
        field.default,
        least,
        most,
    ), "infra/main.bicep: default, @minValue and @maxValue differ from shared/settings.py"


def test_the_page_has_the_defaults_of_the_templates() -> None:
    """Only numbers and switches: the page describes the other defaults in words."""
    shown: dict[str, str] = {}
    for cell, defaults in re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \| (.+?) \|", DEPLOY_PAGE, re.MULTILINE):
        variables = re.findall(r"\w+", cell)
        shown |= dict(zip(variables, defaults.split(", ") if len(variables) > 1 else [defaults], strict=True))
    declared = {
        variable: str(MAIN["parameters"][name]["default"]).lower()
        for variable, name in parameters_by_variable().items()
        if isinstance(MAIN["parameters"][name]["default"], int)
    }

    assert {variable: shown.get(variable) for variable in declared} == declared, (
        "docs/deploy.md: the column of defaults differs from infra/main.bicep"
    )


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

    assert set(members) == aliases(model), f"infra/main.bicep: `type {name}` differs from shared/settings.py"
    assert {member for member, kind in members.items() if not kind.endswith("?")} == {
        field.alias for field in model.model_fields.values() if field.is_required()
    }
    assert {"type": "sealed"} in MAIN["types"][name]["decorators"], "otherwise a misspelt member would be accepted"


@pytest.mark.parametrize("system", MEMBERS_OF_TELL)
def test_a_tell_has_the_members_that_its_system_needs(system: str) -> None:
    found = re.search(
        rf"^type {system}Tell = \{{\n(.*?)^\}}", (INFRA / "main.bicep").read_text(), re.MULTILINE | re.DOTALL
    )
    assert found
    needed = {"system", "secret"} | {Tell.model_fields[name].alias for name in MEMBERS_OF_TELL[system]}

    assert set(re.findall(r"^  (\w+): ", found[1], re.MULTILINE)) == needed


def test_every_parameter_can_be_set_from_azds_environment() -> None:
    parameters = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]

    assert list(parameters) == [name for name in MAIN["parameters"] if name in parameters]
    for parameter in parameters.values():
        assert re.fullmatch(r"\$\{[A-Z][A-Z0-9_]*\}", parameter["value"]), (
            "azd leaves out a parameter whose variable is not set, but only if its value is that variable alone"
        )


# ---------------------------------------------------------------- make scan


def test_the_scan_skips_nothing_without_a_reason() -> None:
    text = (INFRA / "checkov.yaml").read_text()
    config = yaml.safe_load(text)
    skipped = {*config["skip-check"], *config["skip-path"]}

    assert {name for name in skipped if re.search(rf"^  - {name}  +# \S.{{10,}}$", text, re.MULTILINE)} == skipped
    assert config["skip-path"] == ["infra/main.bicep"]
    assert [declared["type"] for path, _, declared in resources() if path == INFRA / "main.bicep"] == [
        "Microsoft.Resources/resourceGroups"
    ], "checkov does not read main.bicep, so it must create nothing else"
    assert config["skip-download"] is True


# ---------------------------------------------------------------- make bicep


def test_a_compiler_that_is_named_but_missing_skips_no_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BICEP", str(tmp_path / "bicep"))

    with pytest.raises(FileNotFoundError, match="BICEP="):
        compiler()


def test_the_compiler_is_the_one_on_the_path_if_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BICEP", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    before = compiler()
    (tmp_path / "bicep").touch(mode=0o755)

    assert (before, compiler()) == (None, tmp_path / "bicep")
