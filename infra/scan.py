"""`make scan`: checkov over the Bicep files, with what its exit status does not tell.

It runs in an environment of its own (.venv-scan, requirements-scan.txt): checkov pins an older pycep-parser than the
tests use, and beside the newer one pip settles for a checkov of 2022 without a word.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 300


def main() -> int:
    """Print what checkov found; 1 if anything, if it skipped a file that it cannot read, or is another release."""
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
    pinned = f"checkov=={summary['checkov_version']}" in (ROOT / "requirements-scan.txt").read_text().splitlines()
    print(f"checkov {summary['checkov_version']}: {summary['resource_count']} resources,", end=" ")
    print(f"{summary['passed']} passed, {summary['failed']} failed, {summary['parsing_errors']} files not parsed")
    good = summary["passed"] and not summary["failed"] and not summary["parsing_errors"]
    return 0 if good and pinned else 1


if __name__ == "__main__":
    sys.exit(main())
