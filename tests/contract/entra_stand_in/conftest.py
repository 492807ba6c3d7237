"""One set of stand-ins for all these tests; each test finds the app registrations as they are at the start."""

import ssl
from collections.abc import Iterator

import httpx
import pytest
from azure.keyvault.secrets._shared import http_challenge_cache

from infra.local.cloud import LocalCloud
from tests.support.stand_ins import serving_stand_ins


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with serving_stand_ins(tmp_path_factory.mktemp("stand-ins")) as cloud:
        yield cloud


@pytest.fixture(autouse=True)
def _environment(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the SDKs the environment that a function has, and restore every app registration."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    http_challenge_cache.clear()
    for account in cloud.accounts.values():
        app = cloud.entras[account.national_cloud].registrations[account.client_id]
        vars(app).update(vars(account.registration(cloud.identity.federated_credential(account.national_cloud))))


@pytest.fixture
def http(cloud: LocalCloud) -> Iterator[httpx.Client]:
    with httpx.Client(verify=ssl.create_default_context(cafile=str(cloud.ca_file)), trust_env=False) as client:
        yield client
