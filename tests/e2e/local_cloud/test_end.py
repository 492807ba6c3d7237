"""The end of a local cloud: by a signal, or killed."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from infra.local.functions.kill import descendants
from tests.support.local_cloud import ROOT, START_LIMIT_S, STOP_LIMIT_S, LocalCloud
from tests.support.stand_in_clients import LIMIT_S, LONG_S, methods_and_statuses, request_for, send_control
from tests.support.waiting import wait_until

TWO_LINES = request_for("2y6dF_rVgDAXMxypQPPnTquuXhKVK_3N1", "45411344-b09d-47e7-9653-542006bf9766")


@contextmanager
def started(directory: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], LocalCloud]]:
    """Start a local cloud and yield it with its process."""
    file = directory / "cloud.json"
    process = subprocess.Popen(  # noqa: S603  (our own module)
        [sys.executable, "-m", "infra.local", "--port", "0", "--describe", str(file), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C goes to a whole process group
    )
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while not file.exists():
            assert process.poll() is None, process.communicate()[0].decode()
            assert time.monotonic() < deadline, "it did not start"
            time.sleep(0.002)
        cloud = LocalCloud(json.loads(file.read_bytes()), file)
        with cloud.http:
            yield process, cloud
    finally:
        process.kill()
        process.communicate()


def is_listening(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=LIMIT_S).close()
    except ConnectionRefusedError:
        return False
    return True


def terminate(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)


def interrupt(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)


def press_ctrl_c(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGINT)


def end_with_a_call_under_way(directory: Path, end: Callable[[subprocess.Popen[bytes]], None]) -> None:
    """Start a local cloud, *end* it while a call waits longer than anybody would, and check that nothing is left."""
    with started(directory) as (process, cloud), ThreadPoolExecutor(1) as background:
        # The function answers as soon as the description is there. The description has secrets, for this user only.
        assert cloud.post(TWO_LINES | {"dryRun": True}).status_code == 200
        assert stat.S_IMODE((directory / "cloud.json").stat().st_mode) == 0o600
        assert [file.name for file in directory.iterdir()] == ["cloud.json"]
        cloud.fault(delay_s=LONG_S)
        call = background.submit(cloud.post, TWO_LINES, prefer="wait=100")
        wait_until(lambda: ("PATCH", None) in methods_and_statuses(cloud), "no PATCH arrived")

        end(process)
        output, _ = process.communicate(timeout=STOP_LIMIT_S)

        assert process.returncode == 0, output.decode()
        assert isinstance(call.exception(LIMIT_S), httpx.TransportError) or call.result().status_code == 503
    assert not is_listening(cloud.description["functionUrl"])
    assert not Path(cloud.description["caFile"]).parent.exists()


ENDS = (terminate, interrupt, press_ctrl_c)


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[dict[str, Future[None]]]:
    """End the local clouds at the same time, because each of them mostly waits."""
    is_long = pytestconfig.getoption("--soak")
    with ThreadPoolExecutor(len(ENDS)) as threads:
        yield {
            end.__name__: threads.submit(end_with_a_call_under_way, tmp_path_factory.mktemp(end.__name__), end)
            for end in ENDS
            if is_long or end is not interrupt
        }


# The program gets the same signal from an operator who interrupts it alone as from Ctrl-C.
@pytest.mark.parametrize(
    "end", [pytest.param(end.__name__, marks=pytest.mark.long if end is interrupt else ()) for end in ENDS]
)
def test_a_signal_ends_everything(endings: dict[str, Future[None]], end: str) -> None:
    """Also while a call is under way."""
    endings[end].result()


def test_a_signal_ends_a_start_that_takes_long(tmp_path: Path) -> None:
    """The real host can take a minute, and one that never comes up must not keep the terminal."""
    program = tmp_path / "never-up"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local", "--port", "0"],
        cwd=ROOT,
        env=os.environ | {"FUNCTIONS_HOST": str(program)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        wait_until(lambda: descendants(process.pid), "the program was not started")

        terminate(process)
        output, _ = process.communicate(timeout=STOP_LIMIT_S)
    finally:
        process.kill()

    assert (process.returncode, output) == (0, b"")


def test_the_description_goes_with_the_local_cloud_if_wanted(tmp_path: Path) -> None:
    """It names addresses that answer no longer, and `send` would try them."""
    with started(tmp_path, "--remove-description") as (process, _):
        terminate(process)
        process.communicate(timeout=STOP_LIMIT_S)

    assert list(tmp_path.iterdir()) == []


def test_the_description_of_another_local_cloud_stays(tmp_path: Path) -> None:
    with started(tmp_path, "--remove-description") as (process, _):
        (tmp_path / "cloud.json").write_text("{}")
        terminate(process)
        process.communicate(timeout=STOP_LIMIT_S)

    assert (tmp_path / "cloud.json").read_text() == "{}"


def test_the_function_ends_when_the_local_cloud_is_killed(tmp_path: Path) -> None:
    """Otherwise each crash would leave a process behind that keeps the port."""
    with started(tmp_path) as (process, cloud):
        process.kill()
        process.communicate(timeout=STOP_LIMIT_S)

    wait_until(lambda: not is_listening(cloud.description["functionUrl"]), "the function still listens")


@pytest.mark.parametrize(
    ("number", "status"),
    [pytest.param(signal.SIGTERM, 0, id="by-a-signal"), pytest.param(signal.SIGKILL, -signal.SIGKILL, id="killed")],
)
def test_a_killed_function_does_not_end_the_local_cloud_but_its_successor_ends_with_it(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    with started(tmp_path) as (process, cloud):
        assert send_control(cloud, "POST", "kill").status_code == 200
        assert cloud.post(TWO_LINES | {"dryRun": True}).status_code == 200
        assert process.poll() is None

        process.send_signal(number)
        output, _ = process.communicate(timeout=STOP_LIMIT_S)

        assert process.returncode == status, output.decode()
    # The function sees by its closed standard input that the other process has ended.
    wait_until(lambda: not is_listening(cloud.description["functionUrl"]), "the function still listens")


@pytest.mark.skipif(bool(os.environ.get("FUNCTIONS_HOST")), reason="the real host starts another worker")
def test_a_function_that_ends_by_itself_ends_the_local_cloud(tmp_path: Path) -> None:
    """Also one that was started after a kill."""
    with started(tmp_path) as (process, cloud):
        send_control(cloud, "POST", "kill")
        [function] = descendants(process.pid)
        os.kill(function, signal.SIGKILL)
        output, _ = process.communicate(timeout=STOP_LIMIT_S)

    assert process.returncode == 1
    assert f"infra.local: the Functions host ended with status {-signal.SIGKILL}" in output.decode()
