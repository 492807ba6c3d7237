"""A local cloud of their own: its callers have `tell`, and no timer takes messages out of the queue."""

from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest

from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.support.local_cloud import LocalCloud, order_id_of, running, software_order, write_orders
from tests.support.telling import TellingApp, Tickets, worker

ORDERS = 800  # more than all tests here use in one process

_ticket_numbers = count(48_000)


@pytest.fixture(scope="session")
def whole_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """In place of the one that all other tests share. The timer is off in the host's process alone."""
    directory = tmp_path_factory.mktemp("telling-cloud")
    ids = (order_id_of(f"telling-order-{number:04}") for number in range(ORDERS))
    orders = write_orders(directory / "orders", (software_order(order_id, CUSTOMER, lines=3) for order_id in ids))
    timer_is_off = {"AzureWebJobs.tell_ticket.Disabled": "true"}
    with running(directory, "--callers", "--orders", orders, **timer_is_off) as cloud:
        yield cloud


@pytest.fixture
def telling_cloud(cloud: LocalCloud) -> LocalCloud:
    """The local cloud with empty queues, without requests and faults of the test before."""
    Tickets(cloud).clear()
    cloud.forget_requests()
    return cloud


@pytest.fixture
def telling_settings(telling_cloud: LocalCloud, settings: Settings) -> Settings:  # noqa: ARG001
    """The settings for that local cloud, with CALLERS and the queue."""
    return settings


@pytest.fixture
async def telling_app(telling_cloud: LocalCloud, telling_settings: Settings) -> AsyncIterator[TellingApp]:
    """A worker that has just started: no token, no secret, no connection."""
    async with worker(telling_settings, telling_cloud) as app:
        yield app


@pytest.fixture
def tickets(telling_cloud: LocalCloud) -> Tickets:
    return Tickets(telling_cloud)


@pytest.fixture
def ticket_id() -> str:
    """The id of a ticket that no other test has touched, for the systems that number their tickets."""
    return str(next(_ticket_numbers))


@pytest.fixture(scope="session")
def _order_ids() -> Iterator[str]:
    return (order_id_of(f"telling-order-{number:04}") for number in range(ORDERS))


@pytest.fixture
def order_ids(_order_ids: Iterator[str]) -> Iterator[str]:
    """Orders of three lines that no other test has touched."""
    return _order_ids
