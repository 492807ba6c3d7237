"""Serves an ASGI app on a socket that is already open, over TLS if there is a certificate."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol


class _Protocol(H11Protocol):
    """uvicorn's protocol, which also gives the app the transport, so that the app can drop the connection."""

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401  (uvicorn's signature)
        super().connection_made(transport)
        app = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "transport": transport}, receive, send)

        self.app = with_transport


class Server(uvicorn.Server):
    """A uvicorn server that installs no signal handlers, because several servers share one loop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_for(app: ASGIApp, *, certificate: str | None = None) -> Server:
    """Return a server for *app*, over TLS if *certificate* is given, a PEM file that has its key too."""
    return Server(
        uvicorn.Config(
            app,
            http=_Protocol,
            loop="asyncio",
            lifespan="off",
            log_level="warning",
            access_log=False,
            log_config=None,  # so that the root logger's format is used
            server_header=False,
            timeout_keep_alive=130,  # longer than any client here keeps a connection
            timeout_graceful_shutdown=1,
            ssl_certfile=certificate,
        )
    )


async def read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None if the client disconnected before its end."""
    body, has_more = bytearray(), True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
    return bytes(body)
