"""Connections to Partner Center: the one used last is taken first, and none is shared.

An idle connection belongs to nobody, one in use to its request. httpx's transport is called directly,
with one connection of httpcore's where it has a pool: the pool looks at every connection for every
request, and beyond 20 in flight it connects anew each time. An AsyncClient around it would add cookies
and redirects, neither of them wanted. Without both a request costs 0.3 ms less.

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

# What is left of an answer, in h11's buffer and in anyio's: it would be taken for the next one, which may be
# another order's (RFC 9112, 6.3). Neither is shown by a public name.
_leftovers = attrgetter("_connection._h11_state.trailing_data", "_connection._network_stream._stream._read_bio.pending")
_NOTHING = ((b"", False), 0)


class _Connection(httpx.AsyncHTTPTransport):
    """httpx's transport over *one* connection to the origin of *url*, which its first request opens."""

    def __init__(self, url: httpx.URL, keepalive_s: float) -> None:
        self.one = httpcore.AsyncHTTPConnection(httpcore.URL(str(url)).origin, tls_context(), keepalive_s)
        # The transport asks nothing of its pool that a connection does not do as well.
        self._pool = self.one  # type: ignore[assignment]


class Connections:
    """Those that are idle, by origin, for *keepalive_s* at most."""

    def __init__(self, keepalive_s: float = KEEPALIVE_S) -> None:
        self._keepalive_s = keepalive_s
        self._idle: defaultdict[str, deque[_Connection]] = defaultdict(deque)

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
        """Send one request; yield its answer, whose body is read from its *stream*.

        *url* has a path, escaped, and no query. *content* is asked for its first piece when the connection
        stands and the headers have left. *connect_timeout_s* is for TCP and for TLS each; nothing else is
        limited here. Raises httpx.TransportError.
        """
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        # The path goes past httpx, which would read and write it anew, for longer than all else takes.
        extensions = {"timeout": {"connect": connect_timeout_s}, "target": parts.path.encode()}
        request = httpx.Request(method, _parsed(origin), headers=headers, content=content, extensions=extensions)
        connection = await self._take(origin) or _Connection(request.url, self._keepalive_s)
        is_reusable = False
        try:
            response = await connection.handle_async_request(request)
            try:
                yield response
            finally:
                await response.aclose()
            is_reusable = connection.one.is_available() and _leftovers(connection.one) == _NOTHING
        finally:
            if is_reusable:
                self._idle[origin].append(connection)
            else:
                await connection.aclose()

    async def _take(self, origin: str) -> _Connection | None:
        """Return the idle connection used last; close those that are too old or that the other end has closed."""
        idle = self._idle[origin]
        while len(idle) > 1 and idle[0].one.has_expired():  # left over from a burst
            await idle.popleft().aclose()
        while idle:
            newest = idle.pop()
            if not newest.one.has_expired():
                return newest
            await newest.aclose()
        return None
