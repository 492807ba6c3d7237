"""One TLS server for all these tests; each test puts a Partner Center of its own behind it."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import trustme
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.local.partner_center.catalogue import built_in_orders
from infra.local.partner_center.entries import Entry, SubscriptionEntry
from infra.local.partner_center.server import PartnerCenter
from infra.local.partner_center.subscription_catalogue import built_in_subscriptions
from infra.local.serving import server_for
from tests.support.clock import Clock
from tests.support.partner_center import AUDIENCE, KEY, NOW, PRODUCTION, SANDBOX, OpenPartnerCenter


class TlsServer:
    """An ASGI app that passes every request to *app*, which each test sets."""

    app: ASGIApp
    url: str
    ca_file: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    folder, authority = tmp_path_factory.mktemp("tls"), trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    # The protocol is named because asyncio turns Nagle's algorithm off only for such sockets. With it, an answer
    # in two writes waits 40 ms for the client's delayed acknowledgement.
    tls_server, listener = TlsServer(), socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    tls_server.url, tls_server.ca_file = f"https://127.0.0.1:{listener.getsockname()[1]}", str(folder / "ca.pem")
    server = server_for(tls_server, certificate=str(folder / "server.pem"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    thread.start()
    deadline = time.monotonic() + 5
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    yield tls_server
    server.should_exit = True
    thread.join(5)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def http(tls_server: TlsServer) -> Iterator[httpx.Client]:
    trust = ssl.create_default_context(cafile=tls_server.ca_file)
    with httpx.Client(base_url=tls_server.url, verify=trust, timeout=5) as client:
        yield client


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW.timestamp())


@pytest.fixture
def open_partner_center(tls_server: TlsServer, clock: Clock) -> OpenPartnerCenter:
    """Return a function that opens a Partner Center with these contents, or with those of the catalogue."""

    def open_partner_center(
        orders: list[Entry] | None = None, subscriptions: list[SubscriptionEntry] | None = None, **options: Any
    ) -> PartnerCenter:
        partner_center = PartnerCenter(
            tenants={SANDBOX: "sandbox", PRODUCTION: "production"},
            public_key=KEY.public_key(),
            audiences=[AUDIENCE],
            orders=built_in_orders(NOW) if orders is None else orders,
            subscriptions=built_in_subscriptions(NOW) if subscriptions is None else subscriptions,
            clock=clock,
            **options,
        )
        tls_server.app = partner_center.app
        return partner_center

    return open_partner_center


@pytest.fixture
def partner_center(open_partner_center: OpenPartnerCenter) -> PartnerCenter:
    return open_partner_center()
