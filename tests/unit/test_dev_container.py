"""The dev container has the versions that the repository asks for. It cannot be started here."""

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


def test_no_feature_is_the_latest() -> None:
    assert [name for name in CONTAINER["features"] if not re.fullmatch(r"ghcr\.io/[\w/-]+:\d+", name)] == []


def test_it_installs_with_make_and_shows_the_port_of_make_serve() -> None:
    command, target = CONTAINER["postCreateCommand"].split()

    assert command == "make"
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)
    assert CONTAINER["forwardPorts"] == [int(port) for port in re.findall(r"\$\(or \$\(PORT\),(\d+)\)", MAKEFILE)]
