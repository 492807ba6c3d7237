"""Connections to Partner Center: which one a request takes, when each ends, and when the body is sent."""

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Mapping
from typing import NoReturn
from uuid import uuid4

import anyio
import httpcore
import pytest

from shared.connections.host_names import ResolvingBackend
from shared.connections.pool import ConnectionFailed, Connections
from shared.tls import tls_context
from tests.support.peer import ANSWER, LIMIT_S, Peer

pytestmark = pytest.mark.anyio

BURST = 40  # more than the 20 that httpcore's own pool keeps


async def send(
    connections: Connections,
    peer: Peer,
    body: AsyncIterator[bytes] | None = None,
    *,
    ids: Mapping[str, str] | None = None,
    is_fresh: bool = False,
) -> bytes:
    """Send a PATCH with *body* and the headers *ids*, and return the body of its answer."""
    url = f"{peer.url}/v1/customers/a%2Fb/orders/c"
    headers = dict(ids or {}) | ({"Content-Length": "2"} if body else {})
    async with (
        asyncio.timeout(LIMIT_S),
        connections.stream(
            "PATCH", url, headers=headers, content=body, connect_timeout_s=LIMIT_S, is_fresh=is_fresh
        ) as response,
    ):
        return b"".join([piece async for piece in response.body])


async def send_at_once(connections: Connections, peer: Peer, count: int) -> None:
    """Send *count* requests, and let the first be answered when all have arrived."""
    peer.may_answer.clear()
    before = len(peer.requests)
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(send(connections, peer))
        await peer.wait_until(requests=before + count)
        peer.may_answer.set()


# Which connection a request takes


async def test_requests_one_after_the_other_share_a_connection(connections: Connections, peer: Peer) -> None:
    answers = [await send(connections, peer) for _ in range(3)]

    assert answers == [b"{}"] * 3
    assert peer.used == [1, 1, 1]


async def test_a_request_arrives_as_it_was_written(connections: Connections, peer: Peer) -> None:
    """The path is escaped once; a second parsing and escaping could turn it into the path of another order."""
    await send(connections, peer)

    [request] = peer.requests
    assert request.head.startswith("PATCH /v1/customers/a%2Fb/orders/c HTTP/1.1\r\n")
    assert f"\r\nhost: {peer.url.removeprefix('https://')}\r\n" in request.head.lower()


async def test_a_burst_keeps_its_connections(connections: Connections, peer: Peer) -> None:
    """A new connection costs two round trips, and with 64 requests in flight four fifths of the throughput."""
    for _ in range(3):
        await send_at_once(connections, peer, BURST)

    assert sorted(peer.used) == sorted(list(range(1, BURST + 1)) * 3)


async def test_the_connection_used_last_is_taken_first(connections: Connections, peer: Peer) -> None:
    """The other connections of a burst grow old and are closed."""
    await send_at_once(connections, peer, 3)

    for _ in range(3):
        await send(connections, peer)

    assert len(set(peer.used[3:])) == 1


async def test_a_connection_that_partner_center_closed_is_not_used(connections: Connections, peer: Peer) -> None:
    """A PATCH would be lost on it, and the order would have to be read."""
    await send_at_once(connections, peer, 3)
    await peer.hang_up(1, 2, 3)

    await send(connections, peer)

    assert peer.used[3:] == [4]


# When a connection ends


async def test_idle_connections_of_a_burst_are_closed(connections: Connections, peer: Peer) -> None:
    """The oldest are checked whenever a request takes a connection; here the peer ends them early."""
    await send_at_once(connections, peer, 3)
    await send(connections, peer)
    newest = peer.used[-1]
    for number in {1, 2, 3} - {newest}:
        peer.connections[number].write(b"HTTP/1.1 408 Request Timeout\r\n\r\n")

    await send(connections, peer)

    await peer.wait_until(connections=1)
    assert list(peer.connections) == [newest]


async def test_an_idle_connection_is_kept_for_its_time_only(peer: Peer) -> None:
    """Azure drops an idle flow without notice; a request sent on it is lost."""
    connections = Connections(keepalive_s=0)

    for _ in range(3):
        await send(connections, peer)
    await connections.aclose()

    assert peer.used == [1, 2, 3]


async def test_connection_close_in_an_answer_ends_the_connection(connections: Connections, peer: Peer) -> None:
    peer.answer = ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

    await send(connections, peer)
    await send(connections, peer)

    assert peer.used == [1, 2]


@pytest.mark.parametrize("written", ["with-the-answer", "after-it"])
async def test_bytes_after_an_answer_are_no_answer_to_another_request(
    connections: Connections, peer: Peer, written: str
) -> None:
    """The next order would be reported as refused although it was cancelled, or the other way round."""
    second = ANSWER.replace(b"200 OK", b"409 Conflict")
    peer.answer, peer.extra = (ANSWER + second, b"") if written == "with-the-answer" else (ANSWER, second)

    assert await send(connections, peer) == b"{}"
    peer.answer, peer.extra = ANSWER, b""
    assert await send(connections, peer) == b"{}"

    assert peer.used == [1, 2]


async def test_a_connection_that_failed_is_not_used_again(connections: Connections, peer: Peer) -> None:
    peer.answer = ANSWER[:-1]
    peer.hangs_up = True

    with pytest.raises(ConnectionFailed):
        await send(connections, peer)
    peer.answer, peer.hangs_up = ANSWER, False
    await send(connections, peer)

    assert peer.used == [1, 2]


async def test_an_answer_that_its_reader_rejects_ends_the_connection(connections: Connections, peer: Peer) -> None:
    async def read() -> None:
        async with connections.stream(
            "GET", f"{peer.url}/", headers={}, content=None, connect_timeout_s=LIMIT_S
        ) as response:
            assert [piece async for piece in response.body] == [b"{}"]
            raise ValueError("no order")

    with pytest.raises(ValueError, match="no order"):
        await read()

    await peer.wait_until(connections=0)


async def test_an_answer_left_unread_ends_the_connection(connections: Connections, peer: Peer) -> None:
    """The next answer on it would be the rest of this one."""
    async with connections.stream("GET", f"{peer.url}/", headers={}, content=None, connect_timeout_s=LIMIT_S):
        pass
    await send(connections, peer)

    assert peer.used == [1, 2]


async def test_a_cancelled_call_ends_its_connection(connections: Connections, peer: Peer) -> None:
    peer.may_answer.clear()
    call = asyncio.create_task(send(connections, peer))
    await peer.wait_until(requests=1)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    peer.may_answer.set()

    await peer.wait_until(connections=0)
    await send(connections, peer)
    assert peer.used == [1, 2]


# Connections that died while they were idle


async def test_a_failed_connection_takes_the_idle_ones_along(connections: Connections, peer: Peer) -> None:
    """A reset of all connections costs one attempt, not one for each connection."""
    await send_at_once(connections, peer, 4)
    peer.resets.update(peer.connections)

    with pytest.raises(ConnectionFailed):
        await send(connections, peer)
    answer = await send(connections, peer)

    assert answer == b"{}"
    assert peer.used[4:] == [5]
    assert list(peer.connections) == [5]


async def test_a_deadline_without_an_answer_takes_the_idle_connections_along(
    connections: Connections, peer: Peer
) -> None:
    """They may have died together, and the next calls would wait for each of them in turn."""
    await send_at_once(connections, peer, 4)
    await send(connections, peer)
    peer.silent.add(peer.used[-1])
    waiting = asyncio.create_task(send(connections, peer))
    await peer.wait_until(requests=6)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await send(connections, peer)

    assert peer.used[-1] == 5
    await peer.wait_until(connections=1)


async def test_a_time_limit_closes_each_of_the_idle_connections(connections: Connections, peer: Peer) -> None:
    """anyio's time limit ends each await after it, too, so the first close must not end the others."""
    await send_at_once(connections, peer, 4)
    await send(connections, peer)
    peer.silent.add(peer.used[-1])

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(send, connections, peer)
            await peer.wait_until(requests=6)
            scope.cancel()

    await peer.wait_until(connections=0)
    gc.collect()  # a connection that was not closed is a warning now


async def test_calls_that_fail_together_close_each_idle_connection_once(connections: Connections, peer: Peer) -> None:
    """While one of them closes a connection, another may take or close the next one."""
    await send_at_once(connections, peer, BURST)
    peer.resets.update(peer.connections)

    ends = await asyncio.gather(*(send(connections, peer) for _ in range(BURST // 2)), return_exceptions=True)

    assert {type(end) for end in ends} <= {ConnectionFailed, bytes}
    assert await send(connections, peer) == b"{}"


async def test_only_a_connection_that_answered_since_is_kept(connections: Connections, peer: Peer) -> None:
    """It has shown that it lives."""
    await send_at_once(connections, peer, 3)
    await send(connections, peer)
    broken = peer.used[-1]
    peer.silent.add(broken)
    failing = asyncio.create_task(send(connections, peer))
    await peer.wait_until(requests=5)
    await send(connections, peer)
    kept = peer.used[-1]

    peer.connections[broken].transport.abort()
    with pytest.raises(ConnectionFailed):
        await failing
    await send(connections, peer)

    assert peer.used[-1] == kept != broken
    await peer.wait_until(connections=1)


async def test_a_new_connection_is_opened_if_that_is_asked_for(connections: Connections, peer: Peer) -> None:
    await send(connections, peer)

    await send(connections, peer, is_fresh=True)
    await send(connections, peer)

    assert peer.used == [1, 2, 2]


async def test_a_server_that_refuses_new_connections_leaves_the_idle_ones(
    connections: Connections, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure to connect shows nothing about connections that are open."""
    await send(connections, peer)
    with monkeypatch.context() as patch:
        patch.setattr(ResolvingBackend, "connect_tcp", refuse)
        with pytest.raises(ConnectionFailed):
            await send(connections, peer, is_fresh=True)

    await send(connections, peer)

    assert peer.used == [1, 1]


async def refuse(*_: object, **__: object) -> NoReturn:
    raise httpcore.ConnectError("refused")


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux only")
async def test_a_connection_that_swallows_bytes_is_given_up_and_a_slow_server_is_not(
    connections: Connections, peer: Peer
) -> None:
    """A middlebox that forgot a flow drops what is sent on it. The slow server acknowledges what it gets."""
    await send(connections, peer)
    peer.swallow(1)
    swallowed = asyncio.create_task(send(connections, peer))
    await asyncio.sleep(0.1)  # it has taken the idle connection
    peer.may_answer.clear()
    slow = asyncio.create_task(send(connections, peer))
    await peer.wait_until(requests=2)

    with pytest.raises(ConnectionFailed):
        await swallowed
    peer.may_answer.set()

    assert await slow == b"{}"
    await peer.hang_up(1)  # it does not learn that the other end is gone


async def test_a_broken_tls_record_is_a_failed_connection(connections: Connections, peer: Peer) -> None:
    await send(connections, peer)
    peer.may_answer.clear()
    call = asyncio.create_task(send(connections, peer))
    await peer.wait_until(requests=2)
    os.write(peer.connections[1].get_extra_info("socket").fileno(), b"HTTP/1.1 502 Bad Gateway\r\n\r\n")

    with pytest.raises(ConnectionFailed):
        await call
    peer.may_answer.set()


# Answers to other requests


def echo(head: str) -> bytes:
    """Answer as Partner Center does: with the ids of the request."""
    ids = "".join(f"{line}\r\n" for line in head.split("\r\n") if line.lower().startswith("ms-"))
    return ANSWER.replace(b"Content-Length", ids.encode() + b"Content-Length")


def ids_of(request: str, call: str) -> dict[str, str]:
    return {"MS-RequestId": request, "MS-CorrelationId": call}


async def test_a_stray_answer_is_not_believed(connections: Connections, peer: Peer) -> None:
    """It comes between two requests, and the second one, for another order, would be reported as refused."""
    peer.answer = echo
    await send(connections, peer, ids=ids_of("request-1", "call-1"))
    stray = echo("ms-requestid: 1\r\nms-correlationid: 1").replace(b"200 OK", b"404 Not Found")
    peer.answer = lambda head: stray + echo(head)

    with pytest.raises(ConnectionFailed):
        await send(connections, peer, ids=ids_of("request-2", "call-2"))
    peer.answer = echo
    await send(connections, peer, ids=ids_of("request-3", "call-3"))

    assert peer.used == [1, 1, 2]


async def test_a_late_answer_to_an_earlier_request_is_not_believed(connections: Connections, peer: Peer) -> None:
    """A look has the correlation id of its PATCH."""
    peer.answer = echo
    await send(connections, peer, ids=ids_of("patch", "call"))
    peer.answer = lambda _: echo("ms-requestid: PATCH\r\nms-correlationid: call")

    with pytest.raises(ConnectionFailed):
        await send(connections, peer, ids=ids_of("look", "call"))


async def test_a_gateway_that_makes_its_own_ids_is_believed(connections: Connections, peer: Peer) -> None:
    peer.answer = lambda _: echo(f"ms-requestid: {uuid4()}\r\nms-correlationid: {uuid4()}")

    answers = [await send(connections, peer, ids=ids_of(f"request-{number}", "call")) for number in range(3)]

    assert answers == [b"{}"] * 3
    assert peer.used == [1, 1, 1]


# When the body of a request is asked for


async def test_the_body_is_asked_for_when_the_headers_have_left(connections: Connections, peer: Peer) -> None:
    """Until then no PATCH can have arrived. The answer after a failure depends on this."""
    arrived = []

    async def body() -> AsyncIterator[bytes]:
        await peer.wait_until(requests=1)
        arrived.append(len(peer.requests))
        yield b"{}"

    await send(connections, peer, body())

    assert arrived == [1]


@pytest.mark.parametrize("fault", ["nobody-listens", "not-trusted"])
async def test_without_a_connection_the_body_is_not_asked_for(
    connections: Connections, peer: Peer, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    async def body() -> AsyncIterator[bytes]:
        begun.append(True)
        yield b"{}"

    if fault == "nobody-listens":
        with socket.create_server(("127.0.0.1", 0)) as closed:
            peer.url = f"https://127.0.0.1:{closed.getsockname()[1]}"
    else:
        monkeypatch.delenv("SSL_CERT_FILE")
        tls_context.cache_clear()
    with pytest.raises(ConnectionFailed):
        await send(connections, peer, body())

    assert begun == []
