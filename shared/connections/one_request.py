"""Sends one small request with a time limit and reads its answer whole: for the queue, ticketing systems, domains.

There are no repeats and no redirects here: a redirect could take a credential elsewhere.
"""

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

import anyio

from shared.connections.pool import ConnectionFailed, Connections

TIME_LIMIT_S = 10.0
CONNECT_TIMEOUT_S = 2.0
ANSWER_LIMIT_BYTES = 64 * 1024


class NoAnswer(Exception):
    """No whole answer came. The request may have been carried out."""


class Answer(NamedTuple):
    """An answer. The names of *headers* are in lower case. *body* is cut where it is longer than asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


async def send(
    connections: Connections,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    *,
    limit_s: float = TIME_LIMIT_S,
    limit_bytes: int = ANSWER_LIMIT_BYTES,
) -> Answer:
    """Return the answer to one request. Raises NoAnswer. *url* has an escaped path and query."""

    async def content(body: bytes) -> AsyncIterator[bytes]:
        yield body

    sent = {"Accept-Encoding": "identity", **headers}
    if body is not None:
        sent["Content-Length"] = str(len(body))
    try:
        # anyio's time limit, not asyncio's: httpcore protects its own clean-up only from anyio's.
        with anyio.fail_after(limit_s):
            async with connections.stream(
                method,
                url,
                headers=sent,
                content=None if body is None else content(body),
                connect_timeout_s=min(CONNECT_TIMEOUT_S, limit_s / 2),
            ) as response:
                read = b""
                async for chunk in response.body:
                    read += chunk
                    if len(read) > limit_bytes:
                        break
                return Answer(response.status, response.headers, read[:limit_bytes])
    except (ConnectionFailed, TimeoutError):
        raise NoAnswer from None
