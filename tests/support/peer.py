"""The other end of a connection: an HTTP server over TLS that shows which request came on which connection."""

import asyncio
import re
from collections.abc import Callable
from typing import NamedTuple

from tests.support.dead_flow import drop_packets

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
        answer: the bytes sent for each request, or a function that makes them from the request's head
        extra: more bytes, sent right after the answer in a TLS record of their own
        hangs_up: whether the connection is closed after an answer
        silent: connections, by their number, whose requests get no answer
        resets: connections, by their number, that are reset on the next byte that arrives
        may_answer: while it is not set, requests are read and not answered
        requests: the requests so far
        bodies: the bodies of those that arrived whole
        connections: the writer of each open connection, by its number
    """

    def __init__(self) -> None:
        self.url = ""
        self.answer: bytes | Callable[[str], bytes] = ANSWER
        self.extra = b""
        self.hangs_up = False
        self.silent: set[int] = set()
        self.resets: set[int] = set()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.requests: list[Request] = []
        self.bodies: list[bytes] = []
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
                first = await reader.readexactly(1)
                if number in self.resets:
                    writer.transport.abort()
                    break
                head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
                self.requests.append(Request(number, head))
                await self._notify()
                length = re.search(r"(?i)content-length: (\d+)", head)
                self.bodies.append(await reader.readexactly(int(length[1]) if length else 0))
                if number in self.silent:
                    await reader.read()  # until the end of the connection
                await self.may_answer.wait()
                writer.write(self.answer(head) if callable(self.answer) else self.answer)
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

    def swallow(self, number: int) -> None:
        """Drop every packet that arrives on a connection, as a middlebox does that has forgotten it."""
        drop_packets(self.connections[number].get_extra_info("socket"))

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
