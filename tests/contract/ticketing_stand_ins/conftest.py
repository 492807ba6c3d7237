"""One set of stand-ins for all these tests; each test writes into a ticket of its own."""

import ssl
from collections.abc import Iterator
from itertools import count

import httpx
import pytest

from infra.local.cloud import LocalCloud
from tests.support.local_cloud import Json
from tests.support.stand_ins import serving_stand_ins
from tests.support.ticketing import Notes, SetStatus

_numbers = count(1000)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with serving_stand_ins(tmp_path_factory.mktemp("stand-ins")) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def http(cloud: LocalCloud) -> Iterator[httpx.Client]:
    trust = ssl.create_default_context(cafile=str(cloud.ca_file))
    with httpx.Client(verify=trust, trust_env=False, timeout=15) as client:
        yield client


@pytest.fixture
def ticket_id() -> str:
    """The id of a ticket that no other test has touched, for the systems that number their tickets."""
    return str(next(_numbers))


@pytest.fixture
def notes(cloud: LocalCloud, http: httpx.Client) -> Notes:
    """Return a ticket's notes as the control interface shows them, without their times."""

    def notes(system: str, ticket_id: str) -> list[tuple[str, bool]]:
        answer = http.get(f"{cloud.url('control')}/tickets/{system}/{ticket_id}")
        found: list[Json] = answer.raise_for_status().json()["notes"]
        return [(note["text"], note["private"]) for note in found]

    return notes


@pytest.fixture
def set_status(cloud: LocalCloud, http: httpx.Client) -> SetStatus:
    def set_status(system: str, ticket_id: str, status: str) -> None:
        http.put(f"{cloud.url('control')}/tickets/{system}/{ticket_id}", json={"status": status}).raise_for_status()

    return set_status
