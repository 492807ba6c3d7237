"""The dev container has the versions that the repository asks for. No test starts it."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / ".devcontainer/devcontainer.json").read_text()
CONTAINER: dict[str, Any] = json.loads(re.sub(r"(?m)^ *//.*$", "", TEXT))  # the form allows comments
MAKEFILE = (ROOT / "Makefile").read_text()


def test_its_python_is_the_one_of_the_repository() -> None:
    python = (ROOT / ".python-version").read_text().strip()

    assert re.fullmatch(rf"mcr\.microsoft\.com/devcontainers/python:{re.escape(python)}-[a-z]+", CONTAINER["image"])


def test_its_azd_is_the_one_that_deploys_from_github() -> None:
    deploy = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text())
    [azd] = [step for step in deploy["jobs"]["deploy"]["steps"] if step.get("uses", "").startswith("Azure/setup-azd@")]

    assert CONTAINER["features"]["ghcr.io/azure/azure-dev/azd:0"] == azd["with"]


def test_its_az_is_the_one_whose_commands_are_in_the_documents() -> None:
    page = (ROOT / "docs/deploy.md").read_text()
    [compared] = re.findall(r"compared with those of `az` ([\d.]+\d)", page)

    assert CONTAINER["features"]["ghcr.io/devcontainers/features/azure-cli:1"]["version"].startswith(f"{compared}.")


def test_no_feature_is_the_latest() -> None:
    """The number after the colon is the version of the script that installs. What it installs has a version too."""
    for name, options in CONTAINER["features"].items():
        assert re.fullmatch(r"ghcr\.io/[\w/-]+:\d+", name)
        assert re.fullmatch(r"\d+\.\d+\.\d+", options.get("version", "latest")), name


def test_it_installs_with_make_and_shows_the_ports_of_make_serve() -> None:
    """The page has the port after that of the function."""
    command, target = CONTAINER["postCreateCommand"].split()

    assert command == "make"
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)
    [port] = re.findall(r"\$\(or \$\(PORT\),(\d+)\)", MAKEFILE)
    assert CONTAINER["forwardPorts"] == [int(port), int(port) + 1]
