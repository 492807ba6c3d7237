"""Keeps idle connections to Partner Center. A request takes the most recently used one and shares it with none.

httpcore's connections are used directly, without its pool and without httpx. The pool looks at every connection for
every request, and opens a new connection for each request when more than 20 are in flight. httpx would add cookies
and redirects, which are not wanted here. docs/decisions/0027-dead-connections.md has the reasons and the numbers.

Source: httpcore 1.0.9 (encode.io/httpcore: "Connections"), read and measured; github.com/encode/httpx/issues/3215.
"""

import socket
import ssl
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import anyio
import httpcore

from shared.connections.echoed_ids import EchoedIds
from shared.connections.host_names import HostNames, ResolvingBackend
from shared.tls import tls_context

KEEPALIVE_S = 120.0  # tickets come minutes apart; Azure drops an idle outbound flow after 4

# A middlebox that has dropped a flow swallows what is sent on it. With this the system gives the connection up when
# bytes are not acknowledged for 3 s, instead of leaving a PATCH waiting until the deadline. A server that
# acknowledges and is slow is waited for.
UNACKNOWLEDGED_MS = 3000
_SOCKET_OPTIONS = (
    [(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)] if hasattr(socket, "TCP_USER_TIMEOUT") else []
)

# Bytes after the end of an answer, in h11's buffer and in anyio's. The next request on the connection, which may
# be for another order, would take them for its answer (RFC 9112, 6.3). Neither buffer has a public name.
_leftovers = attrgetter("_connection._h11_state.trailing_data", "_connection._network_stream._stream._read_bio.pending")
_NOTHING = ((b"", False), 0)

# A TLS record that cannot be read is raised as ssl.SSLError.
_FAILURES = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, ssl.SSLError)

_parsed = lru_cache(httpcore.URL)


class ConnectionFailed(Exception):
    """No answer to the request came, or not all of it."""


class Response(NamedTuple):
    """An answer whose *body* is still to be read. The names of *headers* are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


class _Idle(NamedTuple):
    """A connection that waits for a request *since* a monotonic time, that of its last answer."""

    connection: httpcore.AsyncHTTPConnection
    since: float


class Connections:
    """Idle connections by origin. Each is kept for at most *keepalive_s* seconds."""

    def __init__(self, keepalive_s: float = KEEPALIVE_S) -> None:
        self._keepalive_s = keepalive_s
        self._idle: defaultdict[str, deque[_Idle]] = defaultdict(deque)
        self._host_names = HostNames()
        self._backend = ResolvingBackend(self._host_names)
        self._ids = EchoedIds()

    async def aclose(self) -> None:
        for idle in self._idle.values():
            while idle:
                await idle.pop().connection.aclose()
        self._host_names.close()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: AsyncIterable[bytes] | None,
        connect_timeout_s: float,
        is_fresh: bool = False,
    ) -> AsyncIterator[Response]:
        """Send one request and yield its response.

        *url* has an escaped path and query. *content* is asked for its first piece after the connection is
        open and the headers have left. *connect_timeout_s* applies to TCP and to TLS separately; there is no
        other time limit here. *is_fresh* opens a new connection.

        Raises ConnectionFailed, also for an answer to another request. What ended one connection has often ended
        all, so the idle connections of its origin that have not answered since are closed.
        """
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        request = _request(method, parts, headers, content, connect_timeout_s)
        sent = {name.lower(): value for name, value in headers.items()}
        self._ids.note_sent(sent)
        reused = None if is_fresh else await self._take(origin)
        connection = reused or self._new_connection(origin)
        started_at = time.monotonic()
        is_reusable = False
        are_idle_suspect = reused is not None  # also if the caller's deadline ends the request
        try:
            response = await connection.handle_async_request(request)
            are_idle_suspect = False
            try:
                answer = Response(response.status, _decoded(response.headers), response.aiter_stream())
                if self._ids.is_of_another_request(origin, sent, answer.headers, is_first=reused is None):
                    raise httpcore.RemoteProtocolError("the answer has the ids of another request")
                yield answer
            finally:
                await response.aclose()
            is_reusable = connection.is_available() and _leftovers(connection) == _NOTHING
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise ConnectionFailed from error  # it shows nothing about the connections that are open
        except _FAILURES as error:
            are_idle_suspect = True
            raise ConnectionFailed from error
        finally:
            if is_reusable:
                self._idle[origin].append(_Idle(connection, time.monotonic()))
            else:
                suspects = [connection]
                if are_idle_suspect:
                    suspects += self._take_idle(origin, started_at)
                # In a time limit of anyio's that is over, the first close would end this loop.
                with anyio.CancelScope(shield=True):
                    for suspect in suspects:
                        await suspect.aclose()

    def _new_connection(self, origin: str) -> httpcore.AsyncHTTPConnection:
        return httpcore.AsyncHTTPConnection(
            _parsed(origin).origin,
            tls_context(),
            self._keepalive_s,
            network_backend=self._backend,
            socket_options=_SOCKET_OPTIONS,
        )

    def _take_idle(self, origin: str, started_at: float) -> list[httpcore.AsyncHTTPConnection]:
        """Take out the idle connections to *origin* that have not answered since *started_at*."""
        idle = self._idle[origin]
        taken = [entry for entry in idle if entry.since < started_at]
        for entry in taken:  # before the first is closed: meanwhile another call may take one
            idle.remove(entry)
        return [entry.connection for entry in taken]

    async def _take(self, origin: str) -> httpcore.AsyncHTTPConnection | None:
        """Return the most recently used idle connection. Close those that are too old or closed by the other end."""
        idle = self._idle[origin]
        while len(idle) > 1 and idle[0].connection.has_expired():  # kept since a burst of requests
            await idle.popleft().connection.aclose()
        while idle:
            newest = idle.pop().connection
            if not newest.has_expired():
                return newest
            await newest.aclose()
        return None


def _request(
    method: str,
    parts: SplitResult,
    headers: Mapping[str, str],
    content: AsyncIterable[bytes] | None,
    connect_timeout_s: float,
) -> httpcore.Request:
    parsed = _parsed(f"{parts.scheme}://{parts.netloc}")
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return httpcore.Request(
        method,
        # Path and query go out as they are. A second parsing and escaping could turn it into that of another order.
        httpcore.URL(scheme=parsed.scheme, host=parsed.host, port=parsed.port, target=target),
        headers=[("Host", parts.netloc), *headers.items()],
        content=content,
        extensions={"timeout": {"connect": connect_timeout_s}},
    )


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
