"""Looking up the host names of Partner Center: one that hangs stops no other, and no thread of anybody else."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import httpcore
import pytest

from shared.connections.host_names import THREADS, HostNames, ResolvingBackend

pytestmark = pytest.mark.anyio

LIMIT_S = 30.0


class Resolver:
    """Stands in for the system's resolver.

    Attributes:
        addresses: by host name; other names do not exist
        hanging: names that are not answered before *may_answer*
        asked: the names that were looked up
        threads: the names of the threads that did it
    """

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.hanging: set[str] = set()
        self.may_answer = threading.Event()
        self.asked: list[str] = []
        self.threads: set[str] = set()

    def getaddrinfo(self, host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        self.threads.add(threading.current_thread().name)
        if host in self.hanging:
            self.may_answer.wait(LIMIT_S)
        if host not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in self.addresses[host]]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver.getaddrinfo)
    yield resolver
    resolver.may_answer.set()


@pytest.fixture
def host_names(resolver: Resolver) -> Iterator[HostNames]:
    host_names = HostNames()
    yield host_names
    resolver.may_answer.set()  # a thread that waits would keep this process from ending
    host_names.close()


@pytest.fixture
async def server() -> AsyncIterator[int]:
    """The port of a server on 127.0.0.1 that accepts connections."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_calls_of_one_name_share_a_look_up(host_names: HostNames, resolver: Resolver) -> None:
    resolver.addresses["shared.example"] = ["127.0.0.1"]
    resolver.hanging.add("shared.example")

    calls = [asyncio.create_task(host_names.resolve("shared.example")) for _ in range(50)]
    await asyncio.sleep(0.05)
    resolver.may_answer.set()
    async with asyncio.timeout(LIMIT_S):
        found = await asyncio.gather(*calls)

    assert found == [["127.0.0.1"]] * 50
    assert resolver.asked == ["shared.example"]


async def test_a_name_that_hangs_stops_no_other(host_names: HostNames, resolver: Resolver) -> None:
    """More calls than the pool has threads, or asyncio's own pool."""
    resolver.addresses["works.example"] = ["127.0.0.1"]
    resolver.hanging.add("hangs.example")
    calls = [asyncio.create_task(host_names.resolve("hangs.example")) for _ in range(4 * THREADS)]
    await asyncio.sleep(0.05)

    async with asyncio.timeout(LIMIT_S):
        assert await host_names.resolve("works.example") == ["127.0.0.1"]
        assert await asyncio.to_thread(lambda: "free") == "free"

    assert resolver.asked == ["hangs.example", "works.example"]
    assert all(name.startswith("host-names") for name in resolver.threads)
    resolver.may_answer.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} == {socket.gaierror}


async def test_a_call_that_gives_up_leaves_the_look_up_to_the_others(host_names: HostNames, resolver: Resolver) -> None:
    resolver.addresses["shared.example"] = ["127.0.0.1"]
    resolver.hanging.add("shared.example")
    first, second = [asyncio.create_task(host_names.resolve("shared.example")) for _ in range(2)]
    await asyncio.sleep(0.05)

    first.cancel()
    resolver.may_answer.set()

    async with asyncio.timeout(LIMIT_S):
        assert await second == ["127.0.0.1"]
    assert first.cancelled()


async def test_a_failure_is_not_remembered(host_names: HostNames, resolver: Resolver) -> None:
    with pytest.raises(socket.gaierror):
        await host_names.resolve("new.example")
    resolver.addresses["new.example"] = ["127.0.0.1"]

    assert await host_names.resolve("new.example") == ["127.0.0.1"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_an_address_needs_no_look_up(host_names: HostNames, resolver: Resolver, address: str) -> None:
    assert await host_names.resolve(address) == [address]
    assert resolver.asked == []


async def test_a_name_that_hangs_ends_with_the_time_to_connect(host_names: HostNames, resolver: Resolver) -> None:
    resolver.hanging.add("hangs.example")

    with pytest.raises(httpcore.ConnectTimeout):
        await ResolvingBackend(host_names).connect_tcp("hangs.example", 443, timeout=0.05)


@pytest.mark.parametrize("host", ["unknown.example", "a..example"])
async def test_a_name_without_an_address_is_no_connection(
    host_names: HostNames, resolver: Resolver, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if host == "a..example":
        monkeypatch.undo()  # the real resolver refuses it before it asks anybody
        assert resolver.asked == []

    with pytest.raises(httpcore.ConnectError):
        await ResolvingBackend(host_names).connect_tcp(host, 443, timeout=LIMIT_S)


async def test_another_address_is_tried_beside_one_that_does_not_answer(
    host_names: HostNames, resolver: Resolver, server: int
) -> None:
    """The server's name has an address that drops what comes, and one that works."""
    resolver.addresses["server.example"] = ["127.0.0.2", "127.0.0.1"]
    with socket.create_server(("127.0.0.2", server), backlog=0), ExitStack() as waiting:
        for _ in range(3):  # more than the queue holds: later ones get no answer
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.2", server))

        stream = await ResolvingBackend(host_names).connect_tcp("server.example", server, timeout=LIMIT_S)

        assert stream.get_extra_info("server_addr") == ("127.0.0.1", server)
        await stream.aclose()


async def test_another_address_is_tried_after_one_that_refuses(
    host_names: HostNames, resolver: Resolver, server: int
) -> None:
    resolver.addresses["server.example"] = ["127.0.0.3", "127.0.0.1"]

    stream = await ResolvingBackend(host_names).connect_tcp("server.example", server, timeout=LIMIT_S)

    assert stream.get_extra_info("server_addr") == ("127.0.0.1", server)
    await stream.aclose()


async def test_if_every_address_refuses_there_is_no_connection(host_names: HostNames, resolver: Resolver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    resolver.addresses["server.example"] = ["127.0.0.2", "127.0.0.1"]

    with pytest.raises(httpcore.ConnectError):
        await ResolvingBackend(host_names).connect_tcp("server.example", port, timeout=LIMIT_S)
