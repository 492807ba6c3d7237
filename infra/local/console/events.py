"""The events that the server pushes to the page, as Server-Sent Events.

Source: html.spec.whatwg.org, section 9.2 (read 2026-11-30).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

KEPT = 2_000  # events of a slow reader; beyond them its stream is ended, and the browser connects again
QUIET_S = 15.0  # a comment is sent after so long, so that a connection that is dead is noticed
START = b"retry: 1000\nevent: start\ndata: {}\n\n"  # at each connection: the reader must ask for the state as it is now
COMMENT = b": nothing new\n\n"


class Events:
    """Publishes events to every stream."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[bytes | None]] = set()
        self._is_closed = False

    def publish(self, event: str, make: Callable[[], Any]) -> None:
        """Send *event* to every stream. *make* returns its content, JSON, and is not called if there is no stream."""
        if not self._queues:
            return
        text = f"event: {event}\ndata: {json.dumps(make())}\n\n".encode()
        for queue in list(self._queues):
            if queue.qsize() < KEPT:
                queue.put_nowait(text)
            else:
                self._end(queue)

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield events as they come, until `close`."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        if self._is_closed:
            return
        self._queues.add(queue)
        try:
            yield START
            while True:
                try:
                    async with asyncio.timeout(QUIET_S):
                        text = await queue.get()
                except TimeoutError:
                    text = COMMENT
                if text is None:
                    return
                yield text
        finally:
            self._queues.discard(queue)

    def close(self) -> None:
        """End every stream: a server does not end while an answer is on its way."""
        self._is_closed = True
        for queue in list(self._queues):
            self._end(queue)

    def _end(self, queue: asyncio.Queue[bytes | None]) -> None:
        self._queues.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)
