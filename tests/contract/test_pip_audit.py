"""`make audit`: the status is 0 only if every pin was checked, and everything else is said in words.

A program that plays back what pip-audit 2.10.1 printed stands in its place, because pip-audit needs PyPI.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.requirements import ROOT, read_pins

PINS = [*read_pins("requirements.txt"), *read_pins("requirements-dev.txt")]
CLEAN: list[dict[str, object]] = [{"name": pin.name, "version": pin.version, "vulns": []} for pin in PINS]
FLAW = {"id": "PYSEC-2026-1", "fix_versions": ["9.9.9"], "aliases": [], "description": "It lets in everybody."}
NO_NAMES = "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='pypi.org', port=443): Max retries exceeded"


def audit(folder: Path, packages: list[dict[str, object]] | None, stderr: str = "") -> subprocess.CompletedProcess[str]:
    """Run infra/audit.py beside a pip-audit that reports *packages*, or without a report if that is None."""
    (folder / "python").symlink_to(sys.executable)
    output = "" if packages is None else json.dumps({"dependencies": packages, "fixes": []})
    program = folder / "pip-audit"
    # pip-audit's own status is 1 for a vulnerability or a failure; skipped packages leave it at 0.
    status = int(packages is None or any(package.get("vulns") for package in packages))
    program.write_text(f"#!/bin/sh\necho {shlex.quote(output)}\necho {shlex.quote(stderr)} >&2\nexit {status}\n")
    program.chmod(0o755)
    command = [folder / "python", ROOT / "infra/audit.py"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603  (our own)


def test_if_every_pin_was_checked_the_status_is_0(tmp_path: Path) -> None:
    ran = audit(tmp_path, CLEAN)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == f"{len(PINS)} packages: 0 with known vulnerabilities, 0 not checked\n"


def test_an_answer_about_another_version_was_no_check(tmp_path: Path) -> None:
    ran = audit(tmp_path, [CLEAN[0] | {"version": "0.0.0"}, *CLEAN[1:]])

    assert ran.returncode == 1
    assert f"{PINS[0].name}: not checked" in ran.stdout


def test_a_vulnerability_is_named_with_its_cure(tmp_path: Path) -> None:
    ran = audit(tmp_path, [CLEAN[0] | {"vulns": [FLAW]}, *CLEAN[1:]])

    assert ran.returncode == 1
    assert f"{PINS[0].name} {PINS[0].version}: PYSEC-2026-1, fixed in 9.9.9: It lets in everybody." in ran.stdout
    assert f"{len(PINS)} packages: 1 with known vulnerabilities, 0 not checked" in ran.stdout


def test_a_pin_without_a_page_was_not_checked(tmp_path: Path) -> None:
    """pip-audit itself says "No known vulnerabilities found" then, with status 0."""
    reason = f"Dependency not found on PyPI and could not be audited: {PINS[0].name} ({PINS[0].version})"

    ran = audit(tmp_path, [{"name": PINS[0].name, "skip_reason": reason}, *CLEAN[1:]])

    assert ran.returncode == 1
    assert f"{PINS[0].name}: not checked: {reason}" in ran.stdout
    assert f"{len(PINS)} packages: 0 with known vulnerabilities, 1 not checked" in ran.stdout
    assert "https://pypi.org/pypi/NAME/VERSION/json" in ran.stdout


def test_a_pin_that_is_missing_in_the_report_was_not_checked(tmp_path: Path) -> None:
    ran = audit(tmp_path, CLEAN[1:])

    assert ran.returncode == 1
    assert f"{PINS[0].name}: not checked: pip-audit did not report it" in ran.stdout


@pytest.mark.parametrize(
    "said", [f"Traceback (most recent call last):\n{NO_NAMES}", NO_NAMES], ids=["traceback", "line"]
)
def test_without_a_connection_it_says_what_could_not_be_reached(tmp_path: Path, said: str) -> None:
    ran = audit(tmp_path, None, said)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.splitlines() == [
        "NOTHING WAS CHECKED: pip-audit had no answer from https://pypi.org/pypi/NAME/VERSION/json.",
        f"Its last words, with status 1: {NO_NAMES}",
    ]
