"""Connections to Partner Center, seen from its side: how many, which request on which, and when they end."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import trustme

from shared.partner_center.connections import Connections
from shared.tls import tls_context

pytestmark = pytest.mark.anyio

LIMIT_S = 30.0
BURST = 40  # more than the 20 that httpcore's own pool keeps
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Peer:
    """An HTTP server over TLS that answers with *answer* once it *may*, and hangs up where *hangs_up*.

    Connections are numbered from 1; *heads* has each request's connection, and all that comes before its body.
    """

    def __init__(self) -> None:
        self.url = ""
        self.answer = ANSWER
        self.afterthought = b""
        self.hangs_up = False
        self.may = asyncio.Event()
        self.may.set()
        self.heads: list[tuple[int, str]] = []
        self.open: dict[int, asyncio.StreamWriter] = {}
        self._made = 0
        self._changed = asyncio.Condition()

    @property
    def used(self) -> list[int]:
        """The connection of each request."""
        return [number for number, _ in self.heads]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._made += 1
        number = self._made
        self.open[number] = writer
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append((number, head))
                await self._tell()
                length = re.search(r"(?i)content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                await self.may.wait()
                writer.write(self.answer)
                writer.write(self.afterthought)  # in a TLS record of its own, on the heels of the answer
                await writer.drain()
                if self.hangs_up:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            del self.open[number]
            writer.close()
            await self._tell()

    async def until(self, *, heads: int | None = None, connections: int | None = None) -> None:
        """Wait until so many requests have arrived, or so many connections are open."""
        async with asyncio.timeout(LIMIT_S), self._changed:
            await self._changed.wait_for(
                lambda: heads in {None, len(self.heads)} and connections in {None, len(self.open)}
            )

    async def hang_up(self, *numbers: int) -> None:
        for number in numbers:
            self.open[number].transport.abort()
        await self.until(connections=len(self.open) - len(numbers))

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@pytest.fixture
async def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Peer]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    tls_context.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    found = Peer()
    async with await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=context) as server:
        found.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield found
        found.may.set()
        try:
            await found.until(connections=0)
        finally:
            server.abort_clients()  # else leaving would wait for them, without a limit
    tls_context.cache_clear()


@pytest.fixture
async def connections(peer: Peer) -> AsyncIterator[Connections]:  # noqa: ARG001  (which must outlive them)
    found = Connections()
    yield found
    await found.aclose()


async def ask(connections: Connections, peer: Peer, body: AsyncIterator[bytes] | None = None) -> bytes:
    url = f"{peer.url}/v1/customers/a%2Fb/orders/c"
    headers = {"Content-Length": "2"} if body else {}
    async with (
        asyncio.timeout(LIMIT_S),
        connections.stream("PATCH", url, headers=headers, content=body, connect_timeout_s=LIMIT_S) as response,
    ):
        assert isinstance(response.stream, httpx.AsyncByteStream)
        return b"".join([piece async for piece in response.stream])


async def burst(connections: Connections, peer: Peer, calls: int) -> None:
    """Make so many *calls* that all are on their way at one moment."""
    peer.may.clear()
    before = len(peer.heads)
    async with asyncio.TaskGroup() as group:
        for _ in range(calls):
            group.create_task(ask(connections, peer))
        await peer.until(heads=before + calls)
        peer.may.set()


async def test_calls_one_after_the_other_share_a_connection(connections: Connections, peer: Peer) -> None:
    answers = [await ask(connections, peer) for _ in range(3)]

    assert answers == [b"{}"] * 3
    assert peer.used == [1, 1, 1]


async def test_a_request_arrives_as_it_was_written(connections: Connections, peer: Peer) -> None:
    """Its path is escaped once, by us: parsed and written anew it could be another order's."""
    await ask(connections, peer)

    [(_, head)] = peer.heads
    assert head.startswith("PATCH /v1/customers/a%2Fb/orders/c HTTP/1.1\r\n")
    assert f"\r\nhost: {peer.url.removeprefix('https://')}\r\n" in head.lower()


async def test_a_burst_keeps_its_connections(connections: Connections, peer: Peer) -> None:
    """Connecting anew costs two round trips, and at 64 in flight four fifths of the throughput."""
    for _ in range(3):
        await burst(connections, peer, BURST)

    assert sorted(peer.used) == sorted(list(range(1, BURST + 1)) * 3)


async def test_the_connection_used_last_is_taken_first(connections: Connections, peer: Peer) -> None:
    """So that those of a burst grow old and are closed."""
    await burst(connections, peer, 3)

    for _ in range(3):
        await ask(connections, peer)

    assert len(set(peer.used[3:])) == 1


async def test_a_connection_that_partner_center_closed_is_not_used(connections: Connections, peer: Peer) -> None:
    """Else a PATCH would be lost on it, and the order have to be read."""
    await burst(connections, peer, 3)
    await peer.hang_up(1, 2, 3)

    await ask(connections, peer)

    assert peer.used[3:] == [4]


async def test_what_a_burst_leaves_behind_is_closed(connections: Connections, peer: Peer) -> None:
    """The oldest are looked at whenever one is taken; here they have ended before their time."""
    await burst(connections, peer, 3)
    await ask(connections, peer)
    newest = peer.used[-1]
    for number in {1, 2, 3} - {newest}:
        peer.open[number].write(b"HTTP/1.1 408 Request Timeout\r\n\r\n")

    await ask(connections, peer)

    await peer.until(connections=1)
    assert list(peer.open) == [newest]


async def test_an_answer_that_ends_its_connection_ends_it(connections: Connections, peer: Peer) -> None:
    peer.answer = ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

    await ask(connections, peer)
    await ask(connections, peer)

    assert peer.used == [1, 2]


@pytest.mark.parametrize("written", ["with-the-answer", "after-it"])
async def test_what_comes_beside_an_answer_answers_nobody(connections: Connections, peer: Peer, written: str) -> None:
    """It would be the next order's: told of as refused though it was cancelled, or the other way round."""
    another = ANSWER.replace(b"200 OK", b"409 Conflict")
    peer.answer, peer.afterthought = (ANSWER + another, b"") if written == "with-the-answer" else (ANSWER, another)

    assert await ask(connections, peer) == b"{}"
    peer.answer, peer.afterthought = ANSWER, b""
    assert await ask(connections, peer) == b"{}"

    assert peer.used == [1, 2]


async def test_an_idle_connection_has_its_time(peer: Peer) -> None:
    """Azure drops an idle flow without telling: what is sent on it is lost."""
    connections = Connections(keepalive_s=0)

    for _ in range(3):
        await ask(connections, peer)
    await connections.aclose()

    assert peer.used == [1, 2, 3]


async def test_an_answer_that_its_reader_rejects_gives_its_connection_up(connections: Connections, peer: Peer) -> None:
    async def reader() -> None:
        async with connections.stream("GET", f"{peer.url}/", headers={}, content=None, connect_timeout_s=LIMIT_S) as it:
            assert isinstance(it.stream, httpx.AsyncByteStream)
            assert [piece async for piece in it.stream] == [b"{}"]
            raise ValueError("no order")

    with pytest.raises(ValueError, match="no order"):
        await reader()

    await peer.until(connections=0)


async def test_a_connection_that_failed_is_given_up(connections: Connections, peer: Peer) -> None:
    peer.answer = ANSWER[:-1]
    peer.hangs_up = True

    with pytest.raises(httpx.RemoteProtocolError):
        await ask(connections, peer)
    peer.answer, peer.hangs_up = ANSWER, False
    await ask(connections, peer)

    assert peer.used == [1, 2]


async def test_an_answer_left_unread_gives_its_connection_up(connections: Connections, peer: Peer) -> None:
    """The next answer on it would be the rest of this one."""
    async with connections.stream("GET", f"{peer.url}/", headers={}, content=None, connect_timeout_s=LIMIT_S):
        pass
    await ask(connections, peer)

    assert peer.used == [1, 2]


async def test_a_call_that_is_ended_ends_its_connection(connections: Connections, peer: Peer) -> None:
    peer.may.clear()
    call = asyncio.create_task(ask(connections, peer))
    await peer.until(heads=1)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    peer.may.set()

    await peer.until(connections=0)
    await ask(connections, peer)
    assert peer.used == [1, 2]


async def test_the_body_is_asked_for_when_the_headers_have_left(connections: Connections, peer: Peer) -> None:
    """Until it is, no PATCH can have arrived: what is told of a failure rests on that."""
    arrived = []

    async def body() -> AsyncIterator[bytes]:
        await peer.until(heads=1)
        arrived.append(len(peer.heads))
        yield b"{}"

    await ask(connections, peer, body())

    assert arrived == [1]


@pytest.mark.parametrize("fault", ["nobody-listens", "not-trusted"])
async def test_the_body_of_a_request_that_reached_nobody_is_not_asked_for(
    connections: Connections, peer: Peer, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def body() -> AsyncIterator[bytes]:
        asked.append(True)
        yield b"{}"

    if fault == "nobody-listens":
        with socket.create_server(("127.0.0.1", 0)) as closed:
            peer.url = f"https://127.0.0.1:{closed.getsockname()[1]}"
    else:
        monkeypatch.delenv("SSL_CERT_FILE")
        tls_context.cache_clear()
    with pytest.raises(httpx.ConnectError):
        await ask(connections, peer, body())

    assert asked == []
