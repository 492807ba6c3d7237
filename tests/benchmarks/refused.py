"""What a refused request costs: how many a second one worker turns away before others would feel it."""

import hashlib
import json
import os
import time

from tests.benchmarks.clients import Ours
from tests.benchmarks.partner_center import OtherEnd
from tests.benchmarks.results import Comparison

ROUNDS = 7
CALLS = 200
KEY = "benchmark-key-of-more-than-32-characters"
CLOSED_S = 120  # longer than any call may take, and than this takes


async def measure(end: OtherEnd) -> list[Comparison]:
    end.answer(0)
    # Before the function reads its settings: with a caller named, whoever is none of them is refused.
    os.environ["CALLERS"] = json.dumps({"bench": {"proof": "key", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}})
    ours = await Ours.start()
    misspelt = ours.body.replace(b'"orderId"', b'"orderID"')

    await ours.send(ours.body, x_caller_key=KEY)  # cold
    cancelled = [await _per_second(ours, 200, ours.body, KEY) for _ in range(ROUNDS)]
    faulty = [await _per_second(ours, 400, misspelt, KEY) for _ in range(ROUNDS)]
    unknown = [await _per_second(ours, 401, ours.body, KEY[::-1]) for _ in range(ROUNDS)]
    end.throttle(CLOSED_S)
    await ours.send(ours.body, x_caller_key=KEY)  # closes the gate
    throttled = [await _per_second(ours, 429, ours.body, KEY) for _ in range(ROUNDS)]

    return [
        Comparison(f"refused/{status}", f"answered {status}: {why}", "/s", rates, "cancelled", cancelled)
        for status, why, rates in (
            (400, "a member misspelt", faulty),
            (401, "nobody's key", unknown),
            (429, "the gate closed", throttled),
        )
    ]


async def _per_second(ours: Ours, expected: int, body: bytes, key: str) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        status, answer = await ours.send(body, x_caller_key=key)
        if status != expected:
            raise RuntimeError(f"{status} {answer!r}")
    return CALLS / (time.perf_counter() - began)
