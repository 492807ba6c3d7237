"""Connections to Partner Center: one transport each, the one used last taken first.

httpcore's pool looks at every connection for every request, with a system call for each idle one,
and counts busy ones against those that it may keep: beyond 20 in flight it connected anew for each
request. A transport of one connection has nothing to look through. Called directly it costs 0.2 ms
less than through an AsyncClient, and knows neither cookies nor redirects.

Source: httpx 0.28.1, httpcore 1.0.9, measured; github.com/encode/httpx/issues/3215.
"""

import time
from collections import defaultdict, deque
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

from shared.tls import tls_context

KEEPALIVE_S = 120.0  # tickets come minutes apart; Azure drops an idle outbound flow after 4

_ONE = httpx.Limits(max_connections=1, keepalive_expiry=KEEPALIVE_S)


class Connections:
    """Those that are idle, by origin; one in use belongs to its request."""

    def __init__(self) -> None:
        self._idle: defaultdict[str, deque[tuple[float, httpx.AsyncHTTPTransport]]] = defaultdict(deque)

    async def aclose(self) -> None:
        for idle in self._idle.values():
            while idle:
                await idle.pop()[1].aclose()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: AsyncIterable[bytes] | None,
        timeouts: httpx.Timeout,
    ) -> AsyncIterator[httpx.Response]:
        """Send one request; yield its answer, whose body is read from its *stream*. Raises httpx.TransportError."""
        extensions = {"timeout": timeouts.as_dict()}
        request = httpx.Request(method, url, headers=headers, content=content, extensions=extensions)
        idle = self._idle[f"{request.url.scheme}://{request.url.netloc.decode()}"]
        while idle and time.monotonic() - idle[0][0] > KEEPALIVE_S:  # left over from a burst
            await idle.popleft()[1].aclose()
        transport = idle.pop()[1] if idle else httpx.AsyncHTTPTransport(verify=tls_context(), limits=_ONE)
        is_whole = False
        try:
            response = await transport.handle_async_request(request)
            try:
                yield response
            finally:
                await response.aclose()
            is_whole = True
        finally:
            # After an error it is not kept: a task that asyncio ended leaves httpcore's one place taken for good.
            if is_whole:
                idle.append((time.monotonic(), transport))
            else:
                await transport.aclose()
