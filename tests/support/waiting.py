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


async def wait_for_request(
    cloud: LocalCloud, service: str, method: str | None = None, path: str = "", *, count: int = 1
) -> None:
    """Return once *count* requests have arrived at *service*, in another process; with *method* and *path* if given."""
    async with asyncio.timeout(LIMIT_S):
        while len(await asyncio.to_thread(cloud.requests, service, method, path)) < count:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
