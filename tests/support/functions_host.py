"""The Functions host in tests: what differs between the stand-in and the real host.

Everything that a test wants to know of the host's log and processes goes through this module.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from infra.local.functions.kill import descendants, process_ids
from infra.local.functions.kill import kill as kill_at_once
from infra.local.functions.process import ROOT, bound_socket, host_command, is_running, real_host
from tests.support.local_cloud import Json
from tests.support.waiting import wait_until

# For tests in which a caller proves itself with a token of Entra ID.
NEEDS_APP_SERVICE_AUTHENTICATION = pytest.mark.skipif(
    bool(os.environ.get("FUNCTIONS_HOST")), reason="only the stand-in has App Service Authentication"
)
# For tests that make the messages visible during a run. There a run by hand goes on beside that of the schedule, and
# two runs that see one message can write its note twice.
NEEDS_ONE_RUN_AT_A_TIME = pytest.mark.skipif(
    bool(os.environ.get("FUNCTIONS_HOST")), reason="the real host can run a timer function twice at once"
)

STOP_LIMIT_S = 20

# The stand-in writes a record into a line of its own logger, the real host indented into the line after.
AUDIT_RECORD = re.compile(r'\{"time": ".*\}$', re.MULTILINE)
ERROR = re.compile(r"Traceback| (ERROR|CRITICAL) |^(fail|crit): ")

# An argument of the process that runs the function: the stand-in's own, or the worker's that the real host starts.
FUNCTION_ARGUMENTS = {b"infra.local.functions.host", b"--workerId"}


def audit_records(log: str) -> list[Json]:
    """Return the audit records in *log*, in their order."""
    return [json.loads(found[0]) for found in AUDIT_RECORD.finditer(log)]


def logged_errors(log: str) -> list[str]:
    """Return the lines of *log* that tell of an error."""
    return [line for line in log.splitlines() if ERROR.search(line)]


@contextmanager
def function_host(
    app_root: Path, log: Path, function_key: str, environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Serve *app_root* with nothing but *environment*; yield the host's process and its port.

    FUNCTIONS_HOST in *environment* chooses the host; blank means the stand-in. The host writes to *log*. It is killed
    at the end, if it still runs.
    """
    with ExitStack() as ending:
        with bound_socket(0) as listener, log.open("wb") as output:
            command = host_command(app_root, listener, function_key, environment)
            process = subprocess.Popen(  # noqa: S603
                command.arguments,
                cwd=ROOT,
                env=command.environment,
                stdin=subprocess.PIPE,  # the process ends when this is closed
                stdout=output,
                stderr=output,
                pass_fds=command.pass_fds,
            )
            ending.callback(kill, process)
            port = listener.getsockname()[1]
            if real_host(environment):  # the stand-in's socket listens already
                wait_until(
                    lambda: process.poll() is not None or is_running(port, function_key),
                    f"the Functions host is not up; its log is {log}",
                )
                if process.poll() is not None:
                    raise RuntimeError(f"the Functions host ended before it was up:\n{log.read_text()}")
        yield process, port


def kill(process: subprocess.Popen[bytes]) -> None:
    """End the host at once, as a machine that fails does; no process of it is left."""
    if process.poll() is None:
        kill_at_once(process.pid)
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:  # it does not end with the host that it started, as it must
        process.kill()
        process.wait()
        raise


class FunctionProcess:
    """The process that runs the function of the local cloud that was started in *directory*, as /proc shows it."""

    def __init__(self, directory: Path) -> None:
        [cloud] = [pid for pid in process_ids() if str(directory / "cloud.json").encode() in _arguments(pid)]
        [pid] = [pid for pid in descendants(cloud) if FUNCTION_ARGUMENTS & _arguments(pid)]
        self._proc = Path(f"/proc/{pid}")

    @property
    def memory_mib(self) -> float:
        return self._status("VmRSS") / 1024

    @property
    def peak_memory_mib(self) -> float:
        return self._status("VmHWM") / 1024

    @property
    def threads(self) -> int:
        return self._status("Threads")

    @property
    def sockets(self) -> int:
        return sum(_target(link).startswith("socket:") for link in (self._proc / "fd").iterdir())

    def _status(self, name: str) -> int:
        found = re.search(rf"^{name}:\s+(\d+)", (self._proc / "status").read_text(), re.MULTILINE)
        assert found
        return int(found[1])


def _arguments(pid: int) -> set[bytes]:
    return set(_read(pid, "cmdline").split(b"\0"))


def _read(pid: int, file: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:
        return b""  # the process has ended since


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""  # the socket was closed since
