"""The product in this process, its real SDKs and sockets against the local cloud's stand-ins."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import trustme
from azure.keyvault.secrets._shared import http_challenge_cache

from shared.connections.pool import Connections
from shared.credentials.tokens import Credentials
from shared.runtime import Runtime
from shared.settings import Settings
from shared.tls import tls_context
from tests.support.clock import Clock
from tests.support.in_process import App
from tests.support.local_cloud import LocalCloud
from tests.support.peer import Peer

SHORT_PAUSE_S = 0.002  # between the attempts of a flight


@pytest.fixture
def settings(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings for the local cloud. Its certificate is trusted as on Azure: through the environment."""
    environment = cloud.description["environment"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    http_challenge_cache.clear()  # azure-keyvault-secrets keeps a vault's challenge for the whole process
    tls_context.cache_clear()  # a context made before the local cloud started does not trust it
    return Settings.from_environ(environment)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    """A worker that has just started: no token, no connection."""
    async with Runtime(settings) as runtime:
        yield App(runtime)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def credentials(settings: Settings, clock: Clock) -> Iterator[Credentials]:
    credentials = Credentials(settings, clock, first_pause_s=SHORT_PAUSE_S)
    yield credentials
    credentials.close()


@pytest.fixture
def spare_account(cloud: LocalCloud) -> Iterator[str]:
    """The name of an account whose secret and app a test may change; both are put back."""
    name = "limited"
    yield name
    cloud.repair(name)
    cloud.change_app(name, tokenLifetime_s=3599)


@pytest.fixture
def secret_name(cloud: LocalCloud) -> Iterator[str]:
    """The name of a secret in Key Vault that no other test uses; its value is "first"."""
    name = f"signing-{uuid4().hex[:8]}"
    cloud.store_secret(name, "first")
    yield name
    cloud.store_secret(name, "gone", attributes={"enabled": False})


@pytest.fixture
async def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Peer]:
    """A server in this process, which is trusted instead of the local cloud."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    tls_context.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    peer = Peer()
    async with await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=context) as server:
        peer.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield peer
        peer.may_answer.set()
        try:
            await peer.wait_until(connections=0)
        finally:
            server.abort_clients()  # the end of the block waits for the clients without a limit
    tls_context.cache_clear()


@pytest.fixture
async def connections(peer: Peer) -> AsyncIterator[Connections]:  # noqa: ARG001  (the peer must end after them)
    connections = Connections()
    yield connections
    await connections.aclose()
