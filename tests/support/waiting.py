"""Waits for events in another process, each with a limit."""

import asyncio
import time
from collections.abc import Callable

from tests.support.local_cloud import LocalCloud

LIMIT_S = 60.0
POLL_S = 0.02


def wait_until(condition: Callable[[], object], failure: str, *, poll_s: float = POLL_S) -> None:
    """Return once *condition* holds; fail with the message *failure* if it does not within LIMIT_S."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, failure
        time.sleep(poll_s)


async def wait_for_request(cloud: LocalCloud, service: str, method: str | None = None) -> None:
    """Return once a request has arrived at *service*, with *method* if that is given."""
    async with asyncio.timeout(LIMIT_S):
        while not await asyncio.to_thread(cloud.requests, service, method):  # noqa: ASYNC110  (in another process)
            await asyncio.sleep(POLL_S)
