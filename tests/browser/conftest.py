"""A browser on the page of a local cloud. Each wait is for something to be seen, and has a limit."""

import contextlib
import json
from collections.abc import Iterator

import pytest

from tests.browser.console import Console, launched
from tests.support.local_cloud import LocalCloud, order_id_of, running, software_order, write_orders

CUSTOMER = "5f1c2a4e-7d0b-4a57-9a1c-3a5b1f0c9e11"
ORDERS = 30


@pytest.fixture(scope="session")
def browser(pytestconfig: pytest.Config) -> Iterator[object]:
    with launched(pytestconfig.getoption("--browser")) as browser:
        yield browser


@pytest.fixture(scope="session")
def _cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    directory = tmp_path_factory.mktemp("console")
    orders = [software_order(order_id_of(f"console-order-{number:02}"), CUSTOMER, lines=2) for number in range(ORDERS)]
    # What a customer's name for a product could do to a page that takes it for HTML.
    orders[-1]["lineItems"][0]["friendlyName"] = "<img src=x onerror=\"document.title='taken over'\">"
    with running(directory, "--callers", "--orders", write_orders(directory / "orders", orders)) as cloud:
        yield cloud


@pytest.fixture
def cloud(_cloud: LocalCloud) -> LocalCloud:
    """A local cloud with callers, without requests and faults of the test before."""
    _cloud.forget()
    return _cloud


@pytest.fixture(scope="session")
def _order_ids() -> Iterator[str]:
    return (order_id_of(f"console-order-{number:02}") for number in range(ORDERS - 1))


@pytest.fixture
def order_id(_order_ids: Iterator[str]) -> str:
    """An order of two lines that no other test has touched."""
    return next(_order_ids)


@pytest.fixture
def another_order_id(_order_ids: Iterator[str]) -> str:
    """An order like `order_id`."""
    return next(_order_ids)


@pytest.fixture
def console(browser: object, cloud: LocalCloud) -> Iterator[Console]:
    """The page, loaded, on a wide screen. A fault in its scripts fails the test."""
    with contextlib.closing(Console.open(browser, cloud)) as console:
        yield console
        assert console.faults == [], json.dumps(console.faults)
