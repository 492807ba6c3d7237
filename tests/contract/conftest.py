"""The product in this process, its real SDKs and sockets against the local cloud's stand-ins."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from azure.keyvault.secrets._shared import http_challenge_cache

from shared.credentials.tokens import Credentials
from shared.runtime import Runtime
from shared.settings import Settings
from shared.tls import tls_context
from tests.support.clock import Clock
from tests.support.in_process import App
from tests.support.local_cloud import LocalCloud

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
