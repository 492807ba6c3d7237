"""One worker, many requests: nothing grows.

The function's process is looked at from outside, after some requests to warm up and at the end. Some
of the requests fail on the way, since what breaks off is what leaks. `--soak` sends 20,000.
"""

import asyncio
import json
from collections.abc import Iterator

import pytest

from shared.runtime import Runtime
from shared.settings import Settings
from tests.conftest import CUSTOMER
from tests.e2e.conftest import FunctionProcess
from tests.support.in_process import post
from tests.support.local_cloud import Json, LocalCloud, running, software_order

REQUESTS, SOAK_REQUESTS = 300, 20_000
WARM_UP, SOAK_WARM_UP = 100, 2_000
GROWTH_MIB = 5
ORDERS = 30
TROUBLE_EACH = 25  # requests

# Each breaks off a connection, or an answer, in another way.
TROUBLE: list[Json] = [
    {"hang_up": "before"},
    {"hang_up": "after"},
    {"hang_up": "halfway"},
    {"status": 401},
    {"status": 503, "headers": {"retry-after": "0"}},
    {"delay_s": 1.5},
    {"slow_s": 1.5},
    {"body_bytes": 1_200_000},  # more than is read of an answer
]


@pytest.fixture(scope="module")
def soaked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud whose function has answered nothing yet."""
    directory = tmp_path_factory.mktemp("soak")
    (directory / "orders").mkdir()
    for number in range(ORDERS):
        order = software_order(f"soak-{number:04}", CUSTOMER, lines=3)
        (directory / "orders" / f"{order['id']}.json").write_text(json.dumps(order))
    with running(directory, "--orders", str(directory / "orders")) as cloud:
        yield cloud


def body_of(number: int) -> object:
    """Return one of everything that callers send, what they get wrong too."""
    request: Json = {"customerTenantId": CUSTOMER, "orderId": f"soak-{number % ORDERS:04}", "ticketId": f"T-{number}"}
    return (
        request,
        request | {"lineItems": [{"lineItemNumber": 1}]},
        request | {"dryRun": True},
        request | {"orderId": "no-such-order"},
        request | {"account": "rehearsal"},
        request | {"lineItems": []},
        b"{",
    )[number % 7]


def send(cloud: LocalCloud, numbers: range) -> None:
    for number in numbers:
        if number % TROUBLE_EACH == 0:
            cloud.forget()
            cloud.fault(**TROUBLE[number // TROUBLE_EACH % len(TROUBLE)])
        assert cloud.post(body_of(number), prefer="wait=1").status_code in {200, 400, 404, 422, 502, 503}


def test_memory_connections_and_threads_stay_as_they_are(
    soaked: LocalCloud, pytestconfig: pytest.Config, report: list[str]
) -> None:
    is_long = pytestconfig.getoption("--soak")
    warm_up, requests = (SOAK_WARM_UP, SOAK_REQUESTS) if is_long else (WARM_UP, REQUESTS)
    send(soaked, range(warm_up))
    process = FunctionProcess(soaked.log.parent)
    memory_mib, sockets, threads = process.memory_mib, process.sockets, process.threads

    send(soaked, range(warm_up, requests))

    grown_mib = process.memory_mib - memory_mib
    found = (
        f"memory {grown_mib:+.1f} MiB, sockets {sockets} to {process.sockets}, threads {threads} to {process.threads}"
    )
    report += ["", f"{requests - warm_up:,} requests after {warm_up:,} to warm up: {found}"]
    assert grown_mib < GROWTH_MIB
    # The SDKs leave a connection now and then to the garbage collector.
    assert process.sockets <= sockets + 2 + (requests - warm_up) // TROUBLE_EACH // 20
    assert process.threads <= threads + 1


@pytest.mark.anyio
async def test_no_call_leaves_a_task_behind(soaked: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = soaked.description["environment"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = asyncio.all_tasks()

    async with Runtime(Settings.from_environ(environment)) as runtime:
        for number, fault in enumerate(TROUBLE * 2):
            soaked.fault(**fault)
            await post(lambda: runtime, body_of(number), prefer="wait=1")
        soaked.forget()

        assert asyncio.all_tasks() == before
