"""A relay in front of a server, which shows what happens to its connections: TLS goes through it unread."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tests.support.dead_flow import drop_packets


class Relay:
    """Passes bytes between clients and a server.

    Attributes:
        url: its address
        opened: the number of connections that clients have opened
    """

    def __init__(self) -> None:
        self.url = ""
        self.opened = 0
        self._reset_until = 0
        self._sockets: list[socket.socket] = []

    def reset_on_next_byte(self) -> None:
        """Reset each of the connections that are open now when its client sends the next byte."""
        self._reset_until = self.opened

    def drop_packets(self) -> None:
        """Drop what arrives from the clients on the connections that are open now, without an acknowledgement."""
        for connection in self._sockets:
            drop_packets(connection)

    async def relay(self, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        number = self.opened
        connection = writer.get_extra_info("socket")
        self._sockets.append(connection)
        from_server, to_server = await asyncio.open_connection(host, port)
        answering = asyncio.create_task(_pass_on(from_server, writer))
        try:
            while (piece := await reader.read(65_536)) and number > self._reset_until:
                to_server.write(piece)
        except ConnectionError:
            pass
        finally:
            answering.cancel()
            self._sockets.remove(connection)
            writer.transport.abort()
            to_server.transport.abort()


@asynccontextmanager
async def relay_to(url: str) -> AsyncIterator[Relay]:
    """Run a relay to the server at *url*."""
    relay, target = Relay(), urlsplit(url)
    host, port = target.hostname or "", target.port or 443

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await relay.relay(host, port, reader, writer)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        relay.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield relay
        finally:
            server.abort_clients()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65_536):
        writer.write(piece)
    writer.close()
