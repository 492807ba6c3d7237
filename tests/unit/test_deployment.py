"""The settings of azd and of the Functions host: azure.yaml, .funcignore, host.json."""

import ast
import json
import re
from typing import Any

import pathspec
import pytest
import yaml

from infra.package import OUR_CODE, OUR_FILES
from shared.settings import Settings
from shared.tickets import tell
from tests.support.bicep import INFRA, ROOT

PYTHON = (ROOT / ".python-version").read_text().strip()
AZURE_YAML: dict[str, Any] = yaml.safe_load((ROOT / "azure.yaml").read_text())
SERVICES: dict[str, Any] = AZURE_YAML["services"]
HOOKS: dict[str, Any] = SERVICES["api"]["hooks"] | AZURE_YAML["hooks"]
HOST: dict[str, Any] = json.loads((ROOT / "host.json").read_text())
HTTP: dict[str, Any] = HOST["extensions"]["http"]
FRONT_END_LIMIT_S = 230  # of Azure's load balancer, whatever functionTimeout says


# azure.yaml


def test_azd_uploads_what_is_built_here() -> None:
    """Without remoteBuild: false Azure would build it again, without byte code."""
    [(name, service)] = SERVICES.items()

    assert name == "api"  # main.bicep tags the site with it
    assert (service["host"], service["language"]) == ("function", "python")
    assert (service["project"], service["dist"], service["remoteBuild"]) == (".", "dist", False)


def test_azd_builds_it_first_on_every_system() -> None:
    hook = SERVICES["api"]["hooks"]["prepackage"]

    assert hook["posix"] == {"shell": "sh", "run": "make package"}
    assert hook["windows"] == {"shell": "pwsh", "run": f"py -{PYTHON} -m infra.package"}


# infra/azd_hooks.py


@pytest.mark.parametrize("name", ["predeploy", "postup"])
def test_a_hook_is_the_same_on_every_system(name: str) -> None:
    assert HOOKS[name] == {
        "posix": {"shell": "sh", "run": f"python3 -m infra.azd_hooks {name}"},
        "windows": {"shell": "pwsh", "run": f"py -{PYTHON} -m infra.azd_hooks {name}"},
    }


def test_a_hook_runs_with_an_older_python3() -> None:
    ast.parse((INFRA / "azd_hooks.py").read_text(), feature_version=(3, 9))


# .funcignore


def ignored() -> pathspec.GitIgnoreSpec:
    return pathspec.GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text().splitlines())


def test_only_what_runs_is_published_from_the_repository(tracked: frozenset[str]) -> None:
    assert {name for name in tracked if not ignored().match_file(name)} == {
        name for name in tracked if name in OUR_FILES or name.partition("/")[0] in OUR_CODE
    }


def test_every_function_is_published(tracked: frozenset[str]) -> None:
    """A function whose folder is missing in the package would never run, and nobody would be told."""
    functions = {name.partition("/")[0] for name in tracked if name.count("/") == 1 and name.endswith("/function.json")}

    assert functions - set(OUR_CODE) == set(), "add them to OUR_CODE in infra/package.py, and to .funcignore"


@pytest.mark.parametrize("name", ["local.settings.json", ".env", ".venv/bin/python", ".git/config", ".azure/x/.env"])
def test_what_only_this_machine_has_is_not_published(name: str) -> None:
    assert ignored().match_file(name)


@pytest.mark.parametrize("name", [*OUR_CODE, ".python_packages"])
def test_folders_ship_for_every_reader_of_the_format(name: str) -> None:
    """azd's own reader lets `/*` reach into folders, git's does not let `**` name the folder itself.

    Source: denormal/go-gitignore, pattern.go (an anchored name is matched without FNM_PATHNAME).
    """
    lines = (ROOT / ".funcignore").read_text().splitlines()

    assert {f"!/{name}/", f"!/{name}/**"} <= set(lines)


# host.json


def test_a_call_ends_before_azure_hangs_up_and_after_its_own_deadline() -> None:
    hours, minutes, seconds = map(int, HOST["functionTimeout"].split(":"))
    longest_s = Settings.model_fields["max_wait_s"].default

    assert longest_s * 2 < hours * 3600 + minutes * 60 + seconds < FRONT_END_LIMIT_S


def test_the_host_ends_no_run_of_the_timer() -> None:
    """It would end the worker's process with it, and with that any call that runs there."""
    hours, minutes, seconds = map(int, HOST["functionTimeout"].split(":"))

    assert hours * 3600 + minutes * 60 + seconds > tell.RUN_WITHIN_S + tell.ONE_WITHIN_S
    assert tell.RUN_WITHIN_S + tell.ONE_WITHIN_S < tell.TAKEN_S, "no other run gets the message meanwhile"


def test_how_many_calls_run_at_once_is_left_to_the_instance() -> None:
    """A limit of the host's would answer 429 with an empty body and no Retry-After, unseen by our audit."""
    assert (HTTP["maxConcurrentRequests"], HTTP["maxOutstandingRequests"]) == (-1, -1)
    assert HTTP["dynamicThrottlesEnabled"] is False
    assert "concurrency" not in HOST


def test_no_extension_bundle_is_looked_up_at_a_cold_start() -> None:
    """HTTP is built into the host."""
    assert HOST["version"] == "2.0"
    assert "extensionBundle" not in HOST


def test_no_audit_record_is_sampled_away() -> None:
    """They are traces in Application Insights; requests and exceptions are counted by the alerts."""
    sampling = HOST["logging"]["applicationInsights"]["samplingSettings"]

    assert set(sampling["excludedTypes"].split(";")) == {"Request", "Exception", "Trace"}
    assert "logLevel" not in HOST["logging"]  # the records are INFO


def test_browsers_are_told_to_stay_with_https_and_the_content_type() -> None:
    assert HTTP["hsts"] == {"isEnabled": True, "maxAge": "365"}  # days
    assert HTTP["customHeaders"] == {"X-Content-Type-Options": "nosniff"}


def test_the_route_is_the_one_in_the_documents() -> None:
    binding = json.loads((ROOT / "cancel_order/function.json").read_text())["bindings"][0]

    assert re.search(rf"`POST /{HTTP['routePrefix']}/{binding['route']}`", (ROOT / "README.md").read_text())
