"""Refused requests: how many of them one worker answers in a second."""

import hashlib
import json
import os
import time

from tests.benchmarks.clients import Function
from tests.benchmarks.partner_center import PartnerCenter
from tests.benchmarks.results import Comparison

ROUNDS = 7
CALLS = 200
KEY = "benchmark-key-of-more-than-32-characters"
CLOSED_S = 120  # longer than a call may take, and longer than this measurement takes


async def measure(partner_center: PartnerCenter) -> list[Comparison]:
    partner_center.answer_after(0)
    # Set before the function reads its settings: with CALLERS, it refuses every other caller.
    os.environ["CALLERS"] = json.dumps({"bench": {"proof": "key", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}})
    ours = await Function.start()
    misspelt = ours.body.replace(b'"orderId"', b'"orderID"')

    await ours.send(ours.body, x_caller_key=KEY)  # the cold start
    cancelled = [await _per_second(ours, 200, ours.body, KEY) for _ in range(ROUNDS)]
    invalid = [await _per_second(ours, 400, misspelt, KEY) for _ in range(ROUNDS)]
    wrong_key = [await _per_second(ours, 401, ours.body, KEY[::-1]) for _ in range(ROUNDS)]
    partner_center.throttle(CLOSED_S)
    await ours.send(ours.body, x_caller_key=KEY)  # closes the gate
    throttled = [await _per_second(ours, 429, ours.body, KEY) for _ in range(ROUNDS)]

    return [
        Comparison(f"refused/{status}", f"answered {status}: {reason}", "/s", rates, "cancelled", cancelled)
        for status, reason, rates in (
            (400, "a misspelt member", invalid),
            (401, "a wrong key", wrong_key),
            (429, "the closed gate", throttled),
        )
    ]


async def _per_second(ours: Function, expected: int, body: bytes, key: str) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        status, answer = await ours.send(body, x_caller_key=key)
        if status != expected:
            raise RuntimeError(f"{status} {answer!r}")
    return CALLS / (time.perf_counter() - began)
