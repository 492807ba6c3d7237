"""From a new process to its first answer: the function beside a bare script with the same packages and requests.

The two alternate. The parts of the time come from the process's own marks and from the stand-ins' log of requests. The
share of a request begins with the answer to the request before it and ends with its own answer.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from tests.benchmarks.partner_center import CUSTOMER, ORDER, PartnerCenter
from tests.benchmarks.results import Comparison
from tests.support.local_cloud import ROOT

ROUNDS, ROUNDS_UNCOMPILED = 15, 3
LIMIT_S = 60.0
SCRIPTS = ("ours", "bare")
AGAINST = "a bare script"
PARTS = {
    "interpreter": "interpreter",
    "imports": "imports: runtime, httpx, pydantic",
    "settings": "settings, HTTP client",
    "sdks": "imports: SDKs",
    "key_vault": "Key Vault",
    "identity": "managed identity",
    "entra": "Entra ID",
    "partner_center": "PATCH and answer",
}


async def measure(partner_center: PartnerCenter) -> list[Comparison]:
    partner_center.answer_after(0)
    for script in SCRIPTS:
        await _first_answer(partner_center, script, {})  # compiles the modules that are not compiled yet
    compiled = await _alternate(partner_center, ROUNDS, {})
    with tempfile.TemporaryDirectory(prefix="no-bytecode-") as empty:
        no_bytecode = {"PYTHONPYCACHEPREFIX": empty, "PYTHONDONTWRITEBYTECODE": "1"}
        uncompiled = await _alternate(partner_center, ROUNDS_UNCOMPILED, no_bytecode)

    counts = [round_["requests"] for round_ in compiled["ours"]]
    return [
        _compare("answer", "cold: new process to first answer", compiled),
        _compare("uncompiled", "the same without .pyc files", uncompiled),
        *(_compare(part, f"cold, of which {title}", compiled) for part, title in PARTS.items()),
        Comparison("requests/cold", "requests for a whole order, cold", "", [max(counts)]),
    ]


def _compare(key: str, title: str, rounds: Mapping[str, list[dict[str, float]]]) -> Comparison:
    part = "answer" if key == "uncompiled" else key
    ours, bare = ([round_[part] for round_ in rounds[script]] for script in SCRIPTS)
    return Comparison(f"cold/{key}", title, "ms", ours, AGAINST, bare)


async def _alternate(
    partner_center: PartnerCenter, rounds: int, environment: Mapping[str, str]
) -> dict[str, list[dict[str, float]]]:
    """Run both scripts in each round, every time in the opposite order; return their rounds by script."""
    by_script: dict[str, list[dict[str, float]]] = {script: [] for script in SCRIPTS}
    order = SCRIPTS
    for _ in range(rounds):
        for script in order:
            by_script[script].append(await _first_answer(partner_center, script, environment))
        order = order[::-1]
    return by_script


async def _first_answer(partner_center: PartnerCenter, script: str, environment: Mapping[str, str]) -> dict[str, float]:
    """Run one process; return the milliseconds of each part and of the whole, and the number of requests."""
    partner_center.forget()
    spawned = time.time()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.benchmarks.first_answer", script, CUSTOMER, ORDER),
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{script} ended with status {process.returncode}")
    return parts(spawned, json.loads(output), partner_center.requests())


def parts(spawned: float, marks: Mapping[str, float], requests: list[dict[str, Any]]) -> dict[str, float]:
    """Return the milliseconds of each of PARTS and of the whole, and the number of *requests*."""
    times = [spawned, marks["started"], marks["imported"], marks["ready"], requests[0]["time"]]
    seconds = dict.fromkeys(PARTS, 0.0)
    for name, began, ended in zip(PARTS, times, times[1:], strict=False):
        seconds[name] = ended - began
    before = times[-1]
    for request in requests:
        ended = request["time"] + request["took_s"]
        seconds[request["service"]] += ended - before
        before = ended
    seconds["partner_center"] += marks["answered"] - before
    milliseconds = {name: taken * 1000 for name, taken in seconds.items()}
    return milliseconds | {"answer": (marks["answered"] - spawned) * 1000, "requests": float(len(requests))}
