"""`make audit`: run pip-audit over requirements-dev.txt, which includes requirements.txt, and say what was not checked.

pip-audit asks PyPI about each pin. If PyPI has no page for a pin, pip-audit reports "no known vulnerabilities" and a
status of 0 all the same, or with --strict the first such pin alone; without a connection it ends with a traceback.
It runs in an environment of its own (.venv-audit, requirements-audit.txt), so this file needs nothing but Python.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 600
SERVICE = "https://pypi.org/pypi/NAME/VERSION/json"  # in pip_audit/_service/pypi.py, whatever index pip uses
FILES = ("requirements.txt", "requirements-dev.txt")


def main() -> int:
    """Print the findings. Return 0 only if every pin was checked and none has a known vulnerability."""
    pip_audit = Path(sys.executable).with_name("pip-audit")
    options = ["--format=json", "--progress-spinner=off", "--disable-pip", "--require-hashes"]
    command = [str(pip_audit), *options, "-r", "requirements-dev.txt"]
    try:
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT_S)  # noqa: S603
    except subprocess.TimeoutExpired:
        print(f"NOTHING WAS CHECKED: pip-audit waited {LIMIT_S} s for {SERVICE}.", file=sys.stderr)
        return 1
    try:
        answers = {canonical(package["name"]): package for package in json.loads(ran.stdout)["dependencies"]}
    except (ValueError, KeyError, TypeError):
        print(f"NOTHING WAS CHECKED: pip-audit had no answer from {SERVICE}.", file=sys.stderr)
        print(f"Its last words, with status {ran.returncode}: {last_line(ran.stderr)}", file=sys.stderr)
        return 1
    lines = [line for file in FILES for line in (ROOT / file).read_text().splitlines()]
    pins = {canonical(pin[1]): pin[2] for line in lines if (pin := re.match(r"([\w.-]+)(?:\[.*?\])?==([^\s;]+)", line))}
    if not pins:
        print(f"NOTHING WAS CHECKED: no pins in {' and '.join(FILES)}.", file=sys.stderr)
        return 1
    unchecked = [
        name
        for name, version in sorted(pins.items())
        if "vulns" not in answers.get(name, {}) or answers[name].get("version") != version
    ]
    vulnerable = [name for name in pins if answers.get(name, {}).get("vulns")]
    for name in vulnerable:
        for found in answers[name]["vulns"]:
            fixed = ", ".join(found["fix_versions"]) or "no version"
            print(f"{name} {answers[name]['version']}: {found['id']}, fixed in {fixed}: {found['description'][:300]}")
    for name in unchecked:
        print(f"{name}: not checked: {answers.get(name, {}).get('skip_reason', 'pip-audit did not report it')}")
    print(f"{len(pins)} packages: {len(vulnerable)} with known vulnerabilities, {len(unchecked)} not checked")
    if unchecked:
        print(f"pip-audit asks {SERVICE}. A mirror in its place may lack these pages.")
    return 1 if vulnerable or unchecked else 0


def canonical(name: str) -> str:
    """Return the name of a package as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["(nothing)"])[-1][:500]


if __name__ == "__main__":
    sys.exit(main())
