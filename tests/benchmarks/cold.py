"""New processes to their first answer: ours beside a bare script of the same packages and requests.

The two in turns. Where the time goes is read off the process's own marks and off the stand-ins' log
of requests: each request's share runs from the end of the one before to its own answer.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from tests.benchmarks.partner_center import CUSTOMER, ORDER, OtherEnd
from tests.benchmarks.results import Comparison
from tests.support.local_cloud import ROOT

ROUNDS, ROUNDS_UNCOMPILED = 15, 3
LIMIT_S = 60.0
SIDES = ("ours", "bare")
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


async def measure(end: OtherEnd) -> list[Comparison]:
    end.answer(0)
    for side in SIDES:
        await _first_answer(end, side, {})  # compiles what is not compiled yet
    compiled = await _in_turns(end, ROUNDS, {})
    with tempfile.TemporaryDirectory(prefix="no-bytecode-") as nothing:
        without = {"PYTHONPYCACHEPREFIX": nothing, "PYTHONDONTWRITEBYTECODE": "1"}
        uncompiled = await _in_turns(end, ROUNDS_UNCOMPILED, without)

    found = [
        _compare("answer", "cold: new process to first answer", compiled),
        _compare("uncompiled", "the same without .pyc files", uncompiled),
        *(_compare(part, f"cold, of which {words}", compiled) for part, words in PARTS.items()),
    ]
    counts = [one["requests"] for one in compiled["ours"]]
    found.append(Comparison("requests/cold", "requests for a whole order, cold", "", [max(counts)]))
    return found


def _compare(key: str, what: str, rounds: Mapping[str, list[dict[str, float]]]) -> Comparison:
    ours, bare = ([one[key if key != "uncompiled" else "answer"] for one in rounds[side]] for side in SIDES)
    return Comparison(f"cold/{key}", what, "ms", ours, AGAINST, bare)


async def _in_turns(end: OtherEnd, rounds: int, environment: Mapping[str, str]) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    names = SIDES
    for _ in range(rounds):
        for side in names:
            found[side].append(await _first_answer(end, side, environment))
        names = names[::-1]
    return found


async def _first_answer(end: OtherEnd, side: str, environment: Mapping[str, str]) -> dict[str, float]:
    """Run one process and return the milliseconds of each part, of the whole, and its requests."""
    end.forget()
    spawned = time.time()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.benchmarks.first_answer", side, CUSTOMER, ORDER),
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
        raise RuntimeError(f"{side} ended with status {process.returncode}")
    return parts(spawned, json.loads(output), end.requests())


def parts(spawned: float, marks: Mapping[str, float], requests: list[dict[str, Any]]) -> dict[str, float]:
    """Return the milliseconds of each of PARTS and of the whole, and how many *requests* there were."""
    at = [spawned, marks["started"], marks["imported"], marks["ready"], requests[0]["time"]]
    seconds = dict.fromkeys(PARTS, 0.0)
    for name, began, ended in zip(PARTS, at, at[1:], strict=False):
        seconds[name] = ended - began
    before = at[-1]
    for request in requests:
        ended = request["time"] + request["took_s"]
        seconds[request["service"]] += ended - before
        before = ended
    seconds["partner_center"] += marks["answered"] - before
    found = {name: one * 1000 for name, one in seconds.items()}
    return found | {"answer": (marks["answered"] - spawned) * 1000, "requests": float(len(requests))}
