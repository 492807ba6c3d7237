"""Keeps idle connections to Partner Center. A request takes the most recently used one and shares it with none.

httpx's transport is called directly, and holds one httpcore connection in place of its pool. The pool
looks at every connection for every request, and opens a new connection for each request when more than
20 are in flight. An AsyncClient around the transport would add cookies and redirects, which are not wanted
here. Without the pool and the client a request costs 0.3 ms less.

Source: httpx 0.28.1 (python-httpx.org: "Transports", "Extensions"), httpcore 1.0.9, read and measured;
github.com/encode/httpx/issues/3215.
"""

from collections import defaultdict, deque
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from operator import attrgetter
from urllib.parse import urlsplit

import httpcore
import httpx

from shared.tls import tls_context

KEEPALIVE_S = 120.0  # tickets come minutes apart; Azure drops an idle outbound flow after 4

_parsed = lru_cache(httpx.URL)

# Bytes after the end of an answer, in h11's buffer and in anyio's. The next request on the connection, which may
# be for another order, would take them for its answer (RFC 9112, 6.3). Neither buffer has a public name.
_leftovers = attrgetter("_connection._h11_state.trailing_data", "_connection._network_stream._stream._read_bio.pending")
_NOTHING = ((b"", False), 0)


class _SingleConnection(httpx.AsyncHTTPTransport):
    """httpx's transport over one connection to the origin of *url*. Its first request opens the connection."""

    def __init__(self, url: httpx.URL, keepalive_s: float) -> None:
        self.connection = httpcore.AsyncHTTPConnection(httpcore.URL(str(url)).origin, tls_context(), keepalive_s)
        # A connection has all the methods that the transport calls on its pool.
        self._pool = self.connection  # type: ignore[assignment]


class Connections:
    """Idle connections by origin. Each is kept for at most *keepalive_s* seconds."""

    def __init__(self, keepalive_s: float = KEEPALIVE_S) -> None:
        self._keepalive_s = keepalive_s
        self._idle: defaultdict[str, deque[_SingleConnection]] = defaultdict(deque)

    async def aclose(self) -> None:
        for idle in self._idle.values():
            while idle:
                await idle.pop().aclose()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: AsyncIterable[bytes] | None,
        connect_timeout_s: float,
    ) -> AsyncIterator[httpx.Response]:
        """Send one request and yield its response, whose body is read from `response.stream`.

        *url* has an escaped path and no query. *content* is asked for its first piece after the connection is
        open and the headers have left. *connect_timeout_s* applies to TCP and to TLS separately; there is no
        other time limit here. Raises httpx.TransportError.
        """
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        # The path is handed to httpcore as it is. Parsing and writing it again in httpx takes longer than the rest.
        extensions = {"timeout": {"connect": connect_timeout_s}, "target": parts.path.encode()}
        request = httpx.Request(method, _parsed(origin), headers=headers, content=content, extensions=extensions)
        transport = await self._take(origin) or _SingleConnection(request.url, self._keepalive_s)
        is_reusable = False
        try:
            response = await transport.handle_async_request(request)
            try:
                yield response
            finally:
                await response.aclose()
            is_reusable = transport.connection.is_available() and _leftovers(transport.connection) == _NOTHING
        finally:
            if is_reusable:
                self._idle[origin].append(transport)
            else:
                await transport.aclose()

    async def _take(self, origin: str) -> _SingleConnection | None:
        """Return the most recently used idle connection. Close old ones, and connections that the other end closed."""
        idle = self._idle[origin]
        while len(idle) > 1 and idle[0].connection.has_expired():  # kept since a burst of requests
            await idle.popleft().aclose()
        while idle:
            newest = idle.pop()
            if not newest.connection.has_expired():
                return newest
            await newest.aclose()
        return None
