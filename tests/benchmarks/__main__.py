"""`python -m tests.benchmarks`: make every comparison with one local cloud, then print the table."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from tests.benchmarks import plot, report
from tests.benchmarks.measure import COMPARISONS
from tests.benchmarks.partner_center import running_partner_center
from tests.benchmarks.results import Comparison, exit_status, join_rounds
from tests.support.local_cloud import ROOT

LIMIT_S = 900  # for one comparison; each takes one or two minutes

# The number of processes that share the rounds of a comparison. A process keeps its layout of memory and of hashes:
# the same warm call took 1.25 times as long as the bare one in one process, and 1.6 times in the next.
PROCESSES = {"warm": 3, "telling": 3}


def main() -> int:
    arguments = _parser().parse_args()
    # A file or a pipe has no width; the table needs 150 columns.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
    progress = Console(stderr=True, highlight=False)
    machine = report.machine()
    began = time.monotonic()
    comparisons: list[Comparison] = []
    with running_partner_center() as environment:
        for name in arguments.only or COMPARISONS:
            with progress.status(f"{COMPARISONS[name]} …"):
                comparisons += join_rounds([_measure(name, environment) for _ in range(PROCESSES.get(name, 1))])
            progress.print(f"{time.monotonic() - began:4.0f} s  {COMPARISONS[name]}")
    took_s = time.monotonic() - began

    console.print(report.table(comparisons))
    if arguments.json:
        arguments.json.write_text(report.as_json(comparisons, machine, took_s))
    if arguments.plot:
        arguments.plot.write_text(plot.svg(comparisons))
    return exit_status(comparisons)


def _measure(name: str, environment: Mapping[str, str]) -> list[Comparison]:
    command = [sys.executable, "-m", "tests.benchmarks.measure", name]
    done = subprocess.run(  # noqa: S603  (our own interpreter and code)
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, timeout=LIMIT_S
    )
    return [Comparison(**members) for members in json.loads(done.stdout)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measure the function beside the clients that it replaces. Exit status 1 if a budget is missed.",
    )
    parser.add_argument(
        "--only", action="append", choices=list(COMPARISONS), help="only this comparison; may be repeated"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write every round, the machine and the versions as JSON"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write three plots as SVG")
    return parser


if __name__ == "__main__":
    sys.exit(main())
