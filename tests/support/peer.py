"""The other end of a connection: an HTTP server over TLS that shows which request came on which connection."""

import asyncio
import re
from typing import NamedTuple

LIMIT_S = 30.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Request(NamedTuple):
    """A request: the number of its *connection*, from 1, and everything before its body."""

    connection: int
    head: str


class Peer:
    """Serves one request after the other on each connection.

    Attributes:
        url: the address, without a path
        answer: the bytes sent for each request
        extra: more bytes, sent right after the answer in a TLS record of their own
        hangs_up: whether the connection is closed after an answer
        may_answer: while it is not set, requests are read and not answered
        requests: the requests so far
        connections: the writer of each open connection, by its number
    """

    def __init__(self) -> None:
        self.url = ""
        self.answer = ANSWER
        self.extra = b""
        self.hangs_up = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.requests: list[Request] = []
        self.connections: dict[int, asyncio.StreamWriter] = {}
        self._accepted = 0
        self._changed = asyncio.Condition()

    @property
    def used(self) -> list[int]:
        """The connection of each request."""
        return [request.connection for request in self.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._accepted += 1
        number = self._accepted
        self.connections[number] = writer
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.requests.append(Request(number, head))
                await self._notify()
                length = re.search(r"(?i)content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                await self.may_answer.wait()
                writer.write(self.answer)
                writer.write(self.extra)
                await writer.drain()
                if self.hangs_up:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            del self.connections[number]
            writer.close()
            await self._notify()

    async def wait_until(self, *, requests: int | None = None, connections: int | None = None) -> None:
        """Return once so many *requests* have arrived, or so many *connections* are open."""
        async with asyncio.timeout(LIMIT_S), self._changed:
            await self._changed.wait_for(
                lambda: requests in {None, len(self.requests)} and connections in {None, len(self.connections)}
            )

    async def hang_up(self, *numbers: int) -> None:
        """Close the connections of these *numbers*."""
        left = len(self.connections) - len(numbers)
        for number in numbers:
            self.connections[number].transport.abort()
        await self.wait_until(connections=left)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
