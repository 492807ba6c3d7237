"""What azd is told: azure.yaml, .funcignore."""

import subprocess
from pathlib import Path
from typing import Any

import pathspec
import pytest
import yaml

from infra.package import OUR_CODE, OUR_FILES

ROOT = Path(__file__).resolve().parents[2]
PYTHON = (ROOT / ".python-version").read_text().strip()
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "azure.yaml").read_text())["services"]


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


# .funcignore


def ignored() -> pathspec.GitIgnoreSpec:
    return pathspec.GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text().splitlines())


def test_only_what_runs_is_published_from_the_repository() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607  (whichever git there is)
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    files = {name for name in tracked.stdout.split("\0") if name}

    assert {name for name in files if not ignored().match_file(name)} == {
        name for name in files if name in OUR_FILES or name.partition("/")[0] in OUR_CODE
    }


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
