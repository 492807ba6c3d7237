"""The requirement files: each package has one version, and hashes for every machine that installs it."""

import importlib.metadata
import json
import re
from collections import Counter

import pytest

from infra.audit import canonical
from tests.support.requirements import FILES, ROOT, Pin, read_pins

# Linux on x64 and on arm64, macOS, Windows.
MACHINES = 4


@pytest.mark.parametrize("file", FILES)
def test_every_requirement_is_pinned_with_its_hashes(file: str) -> None:
    """Also no address of an index: the hashes alone say which files are good, wherever they come from."""
    pins = read_pins(file)

    assert pins
    assert all(pin.hashes for pin in pins)


@pytest.mark.parametrize(
    "files",
    [(*FILES[:2], "requirements-browser.txt"), *((file,) for file in FILES[2:-1])],
    ids=["-dev", "-scan", "-audit", "-witness"],
)
def test_no_package_is_pinned_twice_in_an_environment(files: tuple[str, ...]) -> None:
    """The tests run the very pins that Azure runs; those of the browser are added to the same environment."""
    counted = Counter(pin.canonical for file in files for pin in read_pins(file))

    assert [name for name, count in counted.items() if count > 1] == []


def test_a_package_is_the_same_release_in_every_file() -> None:
    """checkov limits the versions of some packages. A pin has the same hashes wherever it has the same version."""
    pins = {(pin.canonical, pin.version): pin.hashes for pin in all_pins()}

    assert [pin for pin in all_pins() if pins[pin.canonical, pin.version] != pin.hashes] == []


def test_the_environment_of_the_tests_is_the_pinned_one() -> None:
    for pin in all_pins(FILES[:2]):
        assert importlib.metadata.version(pin.name) == pin.version


def test_packages_with_machine_code_have_the_hashes_of_other_machines_too() -> None:
    """`pip hash` or a lock made on one machine would list the file of this machine alone."""
    compiled = {
        canonical(package.name)
        for package in importlib.metadata.distributions()
        if not re.search(r"(?m)^Tag: \S+-any$", package.read_text("WHEEL") or "Tag: none-none-any")
    }
    pins = [pin for pin in all_pins() if pin.canonical in compiled]

    assert {"cryptography", "pydantic-core", "grpcio", "ruff"} <= {pin.canonical for pin in pins}
    assert [pin.name for pin in pins if len(pin.hashes) < MACHINES] == []


def test_make_installs_nothing_without_its_hash() -> None:
    makefile = (ROOT / "Makefile").read_text()
    [options] = re.findall(r"^PIP_INSTALL := (.*)$", makefile, re.MULTILINE)

    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(options.split())
    assert re.findall(r"\bpip install\b.*", makefile.replace(options, "")) == []
    assert sorted(re.findall(r"\$\(PIP_INSTALL\) -r (\S+)", makefile)) == sorted(set(FILES) - {"requirements.txt"})


def test_what_npm_installs_has_hashes_too() -> None:
    """`npm ci` installs what the lock names. `make witness` lets no package run a script of its own."""
    folder = ROOT / "tests/support/witness"
    named = json.loads((folder / "package.json").read_text())["dependencies"]
    lock = json.loads((folder / "package-lock.json").read_text())["packages"]
    root = lock.pop("")

    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in named.values()), "a version that moves"
    assert root["dependencies"] == named
    assert all(package["integrity"].startswith("sha512-") for package in lock.values())
    [command] = re.findall(r"bin/npm (.*)", (ROOT / "Makefile").read_text())
    assert command.split()[0] == "ci"
    assert "--ignore-scripts" in command


def all_pins(files: tuple[str, ...] = FILES) -> list[Pin]:
    return [pin for file in files for pin in read_pins(file)]
