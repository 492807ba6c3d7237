"""The gate that a 429 closes: for one Partner Center and one partner tenant, over all calls of a worker.

Requests that come too early count against the limit as well, so while the gate is closed none is
sent. When it opens one goes ahead; the others follow once that one was let in, spread over a while.

Source: Partner Center's "api-throttling-guidance" (read 2026-11-21): the limit is per partner
tenant, or per partner and customer, and dynamic.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.errors import Throttled
from shared.partner_center.orders import Reply
from shared.partner_center.refusals import ADVICE, THROTTLED_S

CLOSED_AT_MOST_S = 120.0
SPREAD_S = 1.0


class Passage:
    """One request on its way through the gate."""

    def __init__(self, *, is_probe: bool) -> None:
        self.is_probe = is_probe
        self.reply: Reply | None = None


class Gate:
    """Open until a 429; then closed for as long as Partner Center said."""

    def __init__(self) -> None:
        self._is_shut = False
        self._opens_at = 0.0
        self._probed: asyncio.Event | None = None  # set while a probe is on its way

    @asynccontextmanager
    async def passage(self, remaining_s: float) -> AsyncIterator[Passage]:
        """Let one request through, within *remaining_s*; its reply is left in the passage.

        Raises Throttled, with the time left, if the gate stays closed for longer.
        """
        passage = Passage(is_probe=await self._wait(time.monotonic() + remaining_s))
        try:
            yield passage
        finally:
            self._leave(passage)

    async def _wait(self, deadline: float) -> bool:
        """Wait until a request may be sent and return whether it is the probe."""
        while self._is_shut:
            now = time.monotonic()
            if now < self._opens_at:
                if self._opens_at > deadline:
                    raise _throttled(self._opens_at - now)
                await asyncio.sleep(self._opens_at - now)
            elif self._probed is None:
                self._probed = asyncio.Event()
                return True
            else:
                try:
                    async with asyncio.timeout(deadline - now):
                        await self._probed.wait()
                except TimeoutError:
                    raise _throttled(SPREAD_S) from None
                if not self._is_shut:
                    spread_s = min(SPREAD_S, (deadline - time.monotonic()) / 2)
                    # Spreads requests over time; nobody gains by guessing it.
                    await asyncio.sleep(random.random() * max(0.0, spread_s))  # noqa: S311
        return False

    def _leave(self, passage: Passage) -> None:
        reply = passage.reply
        if reply and reply.status == 429:
            closed_s = THROTTLED_S if reply.retry_after_s is None else reply.retry_after_s
            self._opens_at = max(self._opens_at, time.monotonic() + min(closed_s, CLOSED_AT_MOST_S))
            self._is_shut = True
        elif reply and passage.is_probe:
            self._is_shut = False
        if passage.is_probe and self._probed:
            self._probed.set()
            self._probed = None


def _throttled(left_s: float) -> Throttled:
    return Throttled("throttled", ADVICE["throttled"], retry_after_s=left_s)
