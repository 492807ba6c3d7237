"""One comparison in a process of its own, in the local cloud that its environment names; JSON to stdout.

`python -m tests.benchmarks.measure NAME`: each begins with nothing loaded and no setting of another's.
"""

import asyncio
import importlib
import json
import os
import sys
from dataclasses import asdict

from tests.benchmarks.partner_center import OtherEnd
from tests.benchmarks.results import Comparison

# In the order of the report: the modules here that have a `measure`, and what to say meanwhile.
COMPARISONS = {
    "warm": "warm calls, one at a time",
    "load": "1, 16 and 64 calls in flight",
    "cold": "new processes to their first answer",
    "endurance": "50,000 calls",
    "refused": "refused requests",
}


def main() -> None:
    module = importlib.import_module(f"tests.benchmarks.{sys.argv[1]}")
    found: list[Comparison] = asyncio.run(module.measure(OtherEnd.from_environ(os.environ)))
    json.dump([asdict(one) for one in found], sys.stdout)


if __name__ == "__main__":
    main()
