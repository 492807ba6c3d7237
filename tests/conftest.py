"""Fixtures for every folder: one local cloud for the whole run, and an order for each test."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.support.local_cloud import ROOT, LocalCloud, order_id_of, running, software_order, write_orders

BROWSER_TESTS = ROOT / "tests" / "browser"
ORDERS_PER_RUN = 400
CUSTOMER = "5f1c2a4e-7d0b-4a57-9a1c-3a5b1f0c9e11"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long tests at full length")
    parser.addoption("--browser", metavar="PROGRAM", help="run the tests of the page in this browser, a Chromium")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--soak"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip("it takes long; run it with --soak"))
    if not config.getoption("--browser"):
        for item in items:
            if item.path.is_relative_to(BROWSER_TESTS):
                item.add_marker(pytest.mark.skip("it needs a browser; run make browser-test"))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def tracked() -> frozenset[str]:
    """The names of the files under git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607  (any git will do)
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return frozenset(name for name in listed.stdout.split("\0") if name)


@pytest.fixture(scope="session")
def whole_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """The local cloud with its function, and enough orders for each test to have its own."""
    directory = tmp_path_factory.mktemp("cloud")
    orders = (
        software_order(order_id_of(f"test-order-{number:04}"), CUSTOMER, lines=3) for number in range(ORDERS_PER_RUN)
    )
    with running(directory, "--orders", write_orders(directory / "orders", orders)) as cloud:
        yield cloud


@pytest.fixture
def cloud(whole_cloud: LocalCloud) -> LocalCloud:
    """The local cloud, without requests and faults of the test before."""
    whole_cloud.forget()
    return whole_cloud


@pytest.fixture(scope="session")
def _order_ids() -> Iterator[str]:
    return (order_id_of(f"test-order-{number:04}") for number in range(ORDERS_PER_RUN))


@pytest.fixture
def order_id(_order_ids: Iterator[str]) -> str:
    """An order of three lines that no other test has touched."""
    return next(_order_ids)
