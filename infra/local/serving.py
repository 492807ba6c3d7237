"""Serve an ASGI app on a socket of ours, over TLS where it has a certificate."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol


class _Protocol(H11Protocol):
    """uvicorn's own, which also hands the transport to the app so that it can hang up."""

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401  (uvicorn's signature)
        super().connection_made(transport)
        inner = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            await inner({**scope, "transport": transport}, receive, send)

        self.app = with_transport


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to whoever runs several of them in one loop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server(app: ASGIApp, *, certificate: str | None = None) -> Server:
    """Return a server for *app*, over TLS where *certificate* (a PEM file with its key) is given."""
    return Server(
        uvicorn.Config(
            app,
            http=_Protocol,
            loop="asyncio",
            lifespan="off",
            log_level="warning",
            access_log=False,
            log_config=None,  # the root handler's form for all
            server_header=False,
            timeout_keep_alive=130,  # longer than any client here keeps a connection
            timeout_graceful_shutdown=1,
            ssl_certfile=certificate,
        )
    )


async def read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None where the caller left before its end."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)
