"""One worker, many requests: nothing grows.

The tests look at the function's process from outside, after some requests to warm up and at the end.
`--soak` sends 20,000 requests.
"""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from shared.runtime import Runtime
from shared.settings import Settings
from tests.support.functions_host import FunctionProcess
from tests.support.in_process import post
from tests.support.local_cloud import LocalCloud
from tests.support.soak import FAULTS, REQUESTS_PER_FAULT, body_of, new_cloud, send

GROWTH_MIB = 5


class Size(NamedTuple):
    """The number of requests, of which the first *warm_up* fill caches and pools."""

    requests: int
    warm_up: int


SIZE, SOAK_SIZE = Size(300, 100), Size(20_000, 2_000)


@pytest.fixture(scope="module")
def new_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with new_cloud(tmp_path_factory.mktemp("soak")) as cloud:
        yield cloud


def test_memory_connections_and_threads_stay_as_they_are(
    new_worker: LocalCloud, pytestconfig: pytest.Config, report: list[str]
) -> None:
    size = SOAK_SIZE if pytestconfig.getoption("--soak") else SIZE
    send(new_worker, range(size.warm_up))
    process = FunctionProcess(new_worker.log.parent)
    memory_mib, sockets, threads = process.memory_mib, process.sockets, process.threads

    send(new_worker, range(size.warm_up, size.requests))

    grown_mib = process.memory_mib - memory_mib
    report.append(
        f"{size.requests - size.warm_up:,} requests after {size.warm_up:,} to warm up: memory {grown_mib:+.1f} MiB,"
        f" sockets {sockets} to {process.sockets}, threads {threads} to {process.threads}"
    )
    # The SDKs leave a connection now and then to the garbage collector.
    left_open = 2 + (size.requests - size.warm_up) // REQUESTS_PER_FAULT // 20
    assert grown_mib < GROWTH_MIB
    assert process.sockets <= sockets + left_open
    assert process.threads <= threads + 1


@pytest.mark.anyio
async def test_no_call_leaves_a_task_behind(new_worker: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = new_worker.description["environment"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = asyncio.all_tasks()

    async with Runtime(Settings.from_environ(environment)) as runtime:
        for number, fault in enumerate([*FAULTS.values()] * 2):
            new_worker.fault(**fault)
            await post(lambda: runtime, body_of(number), prefer="wait=1")
        new_worker.forget()

        assert asyncio.all_tasks() == before
