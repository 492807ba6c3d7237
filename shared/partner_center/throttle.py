"""Closes a gate after a 429, for all calls of this worker to one API root and partner tenant.

Requests that are too early count against the limit as well, so no request is sent while the gate is
closed. When the time is over, one request (the probe) is sent first. The others are sent, spread over a
second, once the probe has an answer other than 429.

Source: Partner Center's "api-throttling-guidance" (read 2026-11-21): the limit is per partner
tenant, or per partner and customer, and dynamic.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.errors import Throttled
from shared.partner_center.refusals import THROTTLED, THROTTLED_S
from shared.partner_center.reply import Reply

CLOSED_AT_MOST_S = 120.0
SPREAD_S = 1.0


class Admission:
    """One request that the gate let through. The sender puts its *reply* here."""

    def __init__(self, *, is_probe: bool) -> None:
        self.is_probe = is_probe
        self.reply: Reply | None = None


class Gate:
    """Open until a 429 arrives, then closed for as long as Partner Center asked."""

    def __init__(self) -> None:
        self._is_closed = False
        self._opens_at = 0.0
        self._probe_done: asyncio.Event | None = None  # exists while a probe is in flight

    @asynccontextmanager
    async def admit(self, remaining_s: float) -> AsyncIterator[Admission]:
        """Let one request through, within *remaining_s*.

        Raises Throttled, with the time left, if the gate stays closed for longer.
        """
        admission = Admission(is_probe=await self._wait(time.monotonic() + remaining_s))
        try:
            yield admission
        finally:
            self._finish(admission)

    async def _wait(self, deadline: float) -> bool:
        """Wait until a request may be sent and return whether it is the probe."""
        while self._is_closed:
            now = time.monotonic()
            if now < self._opens_at:
                if self._opens_at > deadline:
                    raise _throttled(self._opens_at - now)
                await asyncio.sleep(self._opens_at - now)
            elif self._probe_done is None:
                self._probe_done = asyncio.Event()
                return True
            else:
                try:
                    async with asyncio.timeout(deadline - now):
                        await self._probe_done.wait()
                except TimeoutError:
                    raise _throttled(SPREAD_S) from None
                if not self._is_closed:
                    spread_s = min(SPREAD_S, (deadline - time.monotonic()) / 2)
                    # Spreads requests over time. Guessing it helps no attacker.
                    await asyncio.sleep(random.random() * max(0.0, spread_s))  # noqa: S311
        return False

    def _finish(self, admission: Admission) -> None:
        reply = admission.reply
        if reply and reply.status == 429:
            closed_s = THROTTLED_S if reply.retry_after_s is None else reply.retry_after_s
            self._opens_at = max(self._opens_at, time.monotonic() + min(closed_s, CLOSED_AT_MOST_S))
            self._is_closed = True
        elif reply and admission.is_probe:
            self._is_closed = False
        if admission.is_probe and self._probe_done:
            self._probe_done.set()
            self._probe_done = None


def _throttled(left_s: float) -> Throttled:
    return Throttled(THROTTLED.code, THROTTLED.detail, retry_after_s=left_s)
