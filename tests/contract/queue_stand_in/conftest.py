"""The stand-in of Queue Storage alone, with a clock that the tests move."""

from collections.abc import Iterator

import httpx
import pytest

from infra.local.storage_queue import QUEUES
from tests.support.storage_queue import QueueService, serving_storage_queue
from tests.support.witness.queue_users import RestUser


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueService]:
    with serving_storage_queue(tmp_path_factory.mktemp("queue")) as service:
        yield service


@pytest.fixture(scope="module")
def http(service: QueueService) -> Iterator[httpx.Client]:
    with service.http() as client:
        yield client


@pytest.fixture
def user(service: QueueService, http: httpx.Client) -> RestUser:
    """A client of the service, whose queues are empty."""
    user = RestUser(http, service.url)
    for queue in QUEUES:
        user.clear(queue)
    return user
