"""Connections that were lost while they were idle: what the next call pays for it.

Azure drops idle flows, and Partner Center's front ends restart. A relay in front of Partner Center resets its
connections at their next byte, or drops their packets as a middlebox does that has forgotten them.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable

from tests.benchmarks.clients import Function
from tests.benchmarks.partner_center import PartnerCenter
from tests.benchmarks.results import Comparison
from tests.support.relay import Relay, relay_to

ROUNDS, ROUNDS_DEAD = 5, 2
IDLE = 4  # connections
OPENING_MS = 100  # Partner Center takes so long while they are opened, so that each call needs its own


async def measure(partner_center: PartnerCenter) -> list[Comparison]:
    async with relay_to(partner_center.description["partnerCenterUrl"]) as relay:
        accounts = json.loads(os.environ["PARTNER_CENTER_ACCOUNTS"])
        accounts["default"]["apiRoot"] = relay.url
        os.environ["PARTNER_CENTER_ACCOUNTS"] = json.dumps(accounts)
        ours = await Function.start()
        reset = [await _after(relay.reset_on_next_byte, relay, ours, partner_center) for _ in range(ROUNDS)]
        dead = [await _after(relay.drop_packets, relay, ours, partner_center) for _ in range(ROUNDS_DEAD)]
    title = f"{IDLE} idle connections were lost: new ones of the next call"
    return [
        Comparison("lost/connections", title, "", [opened for opened, _ in reset]),
        Comparison("lost/reset", "the call that finds them reset", "ms", [seconds * 1000 for _, seconds in reset]),
        Comparison("lost/dead", "the call that finds them dead", "s", [seconds for _, seconds in dead]),
    ]


async def _after(
    lose: Callable[[], None], relay: Relay, ours: Function, partner_center: PartnerCenter
) -> tuple[float, float]:
    """Open connections, *lose* them, and return the new ones that the next call opened, and its seconds."""
    partner_center.answer_after(OPENING_MS)
    await asyncio.gather(*(ours.call() for _ in range(IDLE)))
    partner_center.answer_after(0)
    before = relay.opened
    lose()
    began = time.perf_counter()
    await ours.call()
    return float(relay.opened - before), time.perf_counter() - began
