"""`make scan`: run checkov over the Bicep files, and also fail in cases where checkov's exit status is 0.

It runs in an environment of its own (.venv-scan, requirements-scan.txt): checkov pins an older pycep-parser than the
tests use. In one environment with the newer pycep-parser, pip would silently install a checkov of 2022.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 300


def main() -> int:
    """Print the findings. Return 1 if there are any, if a file was not parsed, or if checkov is not the pinned one."""
    checkov = Path(sys.executable).with_name("checkov")
    command = [str(checkov), "--config-file", "infra/checkov.yaml", "--output", "json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT_S)  # noqa: S603
    try:
        report = json.loads(ran.stdout)
        summary, results = report["summary"], report["results"]
    except (ValueError, KeyError, TypeError):
        print(ran.stdout, ran.stderr, "checkov gave no report.", sep="\n", file=sys.stderr)
        return 1
    for failed in results["failed_checks"]:
        print(f"{failed['check_id']} infra{failed['file_path']} {failed['resource']}: {failed['check_name']}")
    for path in results["parsing_errors"]:
        print(f"cannot be parsed: {path}")
    pinned = f"\ncheckov=={summary['checkov_version']} " in (ROOT / "requirements-scan.txt").read_text()
    print(f"checkov {summary['checkov_version']}: {summary['resource_count']} resources,", end=" ")
    print(f"{summary['passed']} passed, {summary['failed']} failed, {summary['parsing_errors']} files not parsed")
    is_clean = summary["passed"] and not summary["failed"] and not summary["parsing_errors"]
    return 0 if is_clean and pinned else 1


if __name__ == "__main__":
    sys.exit(main())
