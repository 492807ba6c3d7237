"""The hooks of azure.yaml that wait for Azure run as azd runs them, against a stand-in for `az`."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import azure_cli
from tests.support.bicep import INFRA, ROOT, parse

AZURE_YAML: dict[str, Any] = yaml.safe_load((ROOT / "azure.yaml").read_text())
HOOKS: dict[str, Any] = AZURE_YAML["services"]["api"]["hooks"] | AZURE_YAML["hooks"]
LIMIT_S = 60
FROM_AZD = {
    "AZURE_SUBSCRIPTION_ID": "sub-1",
    "AZURE_RESOURCE_GROUP": "rg-1",
    "AZURE_FUNCTION_NAME": "func-1",
    "AZURE_APPLICATION_INSIGHTS_NAME": "appi-1",
    "AZURE_ACTION_GROUP_NAME": "ag-1",
}


class Hook:
    """Runs a hook as azd does on POSIX, with a stand-in for `az` in whose first calls *failures* fail."""

    def __init__(self, directory: Path, name: str, variables: dict[str, str], **failures: int) -> None:
        self.record = directory / "calls.jsonl"
        settings = {
            "CLI_FAILURES": json.dumps({command.replace("_", " "): n for command, n in failures.items()}),
            "AZD_HOOKS_PAUSE_S": "0",
            "CLI_ENCODING": "latin-1",  # a console's own encoding must not end a hook
        }
        self.ran = subprocess.run(  # noqa: S603
            [shutil.which("sh") or "", "-ec", HOOKS[name]["posix"]["run"]],
            cwd=ROOT,
            env=azure_cli.install(directory) | variables | settings,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    @property
    def calls(self) -> list[dict[str, Any]]:
        return azure_cli.calls(self.record)

    @property
    def commands(self) -> list[str]:
        return [call["command"] for call in self.calls]


def test_azd_up_ends_with_the_availability_test(tmp_path: Path) -> None:
    """azd passes main.bicep's outputs to a hook as environment variables, and its own subscription."""
    parameters = parse(INFRA / "availability.bicep")["parameters"]
    outputs = parse(INFRA / "main.bicep")["outputs"]

    hook = Hook(tmp_path, "postup", FROM_AZD)

    options = hook.calls[-1]["options"]
    passed = dict(given.split("=") for given in options["--parameters"])
    assert hook.ran.returncode == 0, hook.ran.stderr
    assert FROM_AZD.keys() - {"AZURE_SUBSCRIPTION_ID"} <= outputs.keys()
    assert hook.commands == ["az account get-access-token", "az deployment group create"]
    assert (options["--subscription"], options["--resource-group"]) == (["sub-1"], ["rg-1"])
    assert options["--template-file"] == ["infra/availability.bicep"]
    assert passed == {"functionName": "func-1", "applicationInsightsName": "appi-1", "actionGroupName": "ag-1"}
    assert passed.keys() == {name for name, parameter in parameters.items() if parameter["default"] is None}


@pytest.mark.parametrize(("failures", "tries", "code"), [(0, 1, 0), (1, 2, 0), (9, 10, 0), (10, 10, 1), (99, 10, 1)])
def test_the_availability_test_is_deployed_again_while_the_key_is_not_there(
    tmp_path: Path, failures: int, tries: int, code: int
) -> None:
    """Right after a deployment the host does not always give the key that the template lists."""
    hook = Hook(tmp_path, "postup", FROM_AZD, az_deployment_group_create=failures)

    assert hook.commands.count("az deployment group create") == tries
    assert hook.ran.returncode == code
    assert ("azd hooks run postup" in hook.ran.stderr) is bool(code)


def test_the_availability_test_needs_a_sign_in(tmp_path: Path) -> None:
    """One that has expired too, which `az account show` would not notice."""
    hook = Hook(tmp_path, "postup", FROM_AZD, **{"az_account_get-access-token": 1})

    assert hook.commands == ["az account get-access-token"]
    assert hook.ran.returncode == 1
    assert "az login" in hook.ran.stderr


def test_a_deployment_goes_on_without_az(tmp_path: Path) -> None:
    """azd itself needs only its own sign-in."""
    hook = Hook(tmp_path, "predeploy", FROM_AZD, **{"az_account_get-access-token": 1})

    assert hook.commands == ["az account get-access-token"]
    assert (hook.ran.returncode, hook.ran.stderr) == (0, "")
    assert "does not wait" in hook.ran.stdout


def test_a_hook_that_gives_up_says_what_az_said(tmp_path: Path) -> None:
    hook = Hook(tmp_path, "postup", FROM_AZD, az_deployment_group_create=10)

    assert "from host runtime" in hook.ran.stderr


def test_a_hook_without_azd_says_what_is_missing(tmp_path: Path) -> None:
    hook = Hook(tmp_path, "postup", {})

    assert hook.ran.returncode == 1
    assert "AZURE_SUBSCRIPTION_ID is not set" in hook.ran.stderr
    assert "Traceback" not in hook.ran.stderr


@pytest.mark.parametrize(("failures", "tries"), [(0, 1), (4, 5), (99, 10)])
def test_the_first_deployment_waits_until_the_host_can_read_its_storage(
    tmp_path: Path, failures: int, tries: int
) -> None:
    """Until the roles take effect Azure refuses the package, and azd does not try again."""
    hook = Hook(tmp_path, "predeploy", FROM_AZD, az_functionapp_function_show=1, az_functionapp_keys_list=failures)

    assert hook.commands.count("az functionapp keys list") == tries
    assert hook.ran.returncode == 0, "the upload itself shows whether Azure accepts it"
    assert azure_cli.KEY not in hook.ran.stdout + hook.ran.stderr


def test_a_later_deployment_does_not_wait(tmp_path: Path) -> None:
    hook = Hook(tmp_path, "predeploy", FROM_AZD)

    assert hook.commands == ["az account get-access-token", "az functionapp function show"]


def test_the_workflow_does_not_wait(tmp_path: Path) -> None:
    """It knows no outputs of the provisioning, and is signed in to azd alone."""
    hook = Hook(tmp_path, "predeploy", {"AZURE_SUBSCRIPTION_ID": "sub-1", "AZURE_RESOURCE_GROUP": "rg-1"})

    assert (hook.commands, hook.ran.returncode) == ([], 0)
