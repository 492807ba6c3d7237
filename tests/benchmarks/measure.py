"""`python -m tests.benchmarks.measure NAME`: make one comparison and write it as JSON to stdout.

Each comparison has a process of its own, so that it begins with nothing loaded and no settings of another one. The
environment names the local cloud.
"""

import asyncio
import importlib
import json
import os
import sys
from dataclasses import asdict

from tests.benchmarks.partner_center import PartnerCenter
from tests.benchmarks.results import Comparison

# The modules here that have a `measure`, in the order of the report, with the text to show while it runs.
COMPARISONS = {
    "warm": "warm calls, one at a time",
    "licences": "licences, one call at a time",
    "telling": "calls whose tickets are told",
    "load": "1, 16 and 64 calls in flight",
    "lost": "connections that were lost",
    "cold": "new processes to their first answer",
    "endurance": "50,000 calls",
    "refused": "refused requests",
}


def main() -> None:
    module = importlib.import_module(f"tests.benchmarks.{sys.argv[1]}")
    comparisons: list[Comparison] = asyncio.run(module.measure(PartnerCenter.from_environ(os.environ)))
    json.dump([asdict(comparison) for comparison in comparisons], sys.stdout)


if __name__ == "__main__":
    main()
