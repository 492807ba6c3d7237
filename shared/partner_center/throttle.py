"""Closes a gate after a 429, for all calls of this worker to one API root and partner tenant.

Requests that are too early count against the limit as well, so no request is sent while the gate is
closed. When the time is over one request, the probe, is sent first. The others follow, spread over a
second, once the probe was not answered 429. If a probe has no answer after 2 s, another request becomes the
probe, and the answer of the first one no longer opens the gate.

Source: Partner Center's "api-throttling-guidance" (read 2026-11-21): the limit is per partner
tenant, or per partner and customer, and dynamic.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from shared.errors import Throttled
from shared.partner_center.retry import FIRST_DELAY_S
from shared.replies.answers import is_throttled, pause_s
from shared.replies.refusals import THROTTLED, THROTTLED_S
from shared.replies.reply import Reply

CLOSED_AT_MOST_S = 120.0
SPREAD_S = 1.0
LONGEST_GROWTH = 5  # doublings of a pause that Partner Center did not name
PROBE_LIMIT_S = 2.0


class Admission:
    """One request that the gate let through. The sender puts its *reply* here. *probe* is set for a probe."""

    def __init__(self, probe: asyncio.Event | None) -> None:
        self.probe = probe
        self.reply: Reply | None = None


class Gate:
    """Open until a 429 arrives, then closed for as long as Partner Center asked.

    After *probe_limit_s* without an answer to a probe, another request becomes the probe.
    """

    def __init__(self, probe_limit_s: float = PROBE_LIMIT_S) -> None:
        self._probe_limit_s = probe_limit_s
        self._is_closed = False
        self._opens_at = 0.0
        self._closings = 0  # one after the other, without an opening between them
        self._probe: asyncio.Event | None = None  # of the newest probe in flight; set when that has ended
        self._probe_due_at = 0.0  # when another probe may go

    @asynccontextmanager
    async def admit(self, remaining_s: float) -> AsyncIterator[Admission]:
        """Let one request through, within *remaining_s*.

        Raises Throttled, with the time left, if the gate stays closed for longer.
        """
        admission = Admission(await self._wait(time.monotonic() + remaining_s))
        try:
            yield admission
        finally:
            self._finish(admission)

    async def _wait(self, deadline: float) -> asyncio.Event | None:
        """Wait until a request may be sent. Return its probe's event, None if the request is no probe."""
        while self._is_closed:
            now = time.monotonic()
            if now < self._opens_at:
                if self._opens_at > deadline:
                    raise _throttled(self._opens_at - now)
                await asyncio.sleep(self._opens_at - now)
            elif self._probe is None or now >= self._probe_due_at:
                # A probe that hangs must not keep the gate shut for all: the next request takes its place.
                self._probe = asyncio.Event()
                self._probe_due_at = now + self._probe_limit_s
                return self._probe
            elif now >= deadline:
                raise _throttled(SPREAD_S)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(deadline, self._probe_due_at) - now):
                        await self._probe.wait()
                if not self._is_closed:
                    spread_s = min(SPREAD_S, (deadline - time.monotonic()) / 2)
                    # Spreads requests over time. Guessing it helps no attacker.
                    await asyncio.sleep(random.random() * max(0.0, spread_s))  # noqa: S311
        return None

    def _finish(self, admission: Admission) -> None:
        reply = admission.reply
        is_newest_probe = admission.probe is not None and admission.probe is self._probe
        if reply and is_throttled(reply):
            if not self._is_closed or is_newest_probe:  # others were sent before the gate closed
                self._closings += 1
            asked_s = pause_s(reply)
            closed_s = min(THROTTLED_S if asked_s is None else asked_s, CLOSED_AT_MOST_S)
            if closed_s < FIRST_DELAY_S:
                # "0", or a date in the past: Partner Center's clock and ours differ, or it does not know. Jitter
                # spreads the workers over time. Guessing it helps no attacker.
                growth = 2.0 ** min(self._closings - 1, LONGEST_GROWTH)
                closed_s = FIRST_DELAY_S * growth * (1 + random.random())  # noqa: S311
            self._opens_at = max(self._opens_at, time.monotonic() + closed_s)
            self._is_closed = True
        elif reply and is_newest_probe:
            self._is_closed = False
            self._closings = 0
        if admission.probe:
            admission.probe.set()
        if is_newest_probe:
            self._probe = None


def _throttled(left_s: float) -> Throttled:
    return Throttled(THROTTLED.code, THROTTLED.detail, retry_after_s=left_s)
