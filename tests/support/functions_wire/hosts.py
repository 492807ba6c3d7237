"""Starts a Functions host for the wire tests: the stand-in, or the real one."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.local_cloud import ROOT, STOP_LIMIT_S

KEY = "right"
BODY_LIMIT = 131_072  # bytes, as in Azure (function.bicep)
ATTEMPTS = 3


@contextmanager
def stand_in(app: Path, settings: Mapping[str, str], log: Path) -> Iterator[int]:
    """Serve *app* with the stand-in, and yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as output:
        port = listener.getsockname()[1]
        own = {"LOCAL_FUNCTION_KEY": KEY, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(BODY_LIMIT)}
        process = subprocess.Popen(  # noqa: S603  (our own module)
            [sys.executable, "-m", "infra.local.functions.host", f"--app-root={app}", f"--fd={listener.fileno()}"],
            cwd=ROOT,
            env=os.environ | settings | own,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=[listener.fileno()],
        )
    with _ending(process):
        yield port


@contextmanager
def real_host(program: str, app: Path, settings: Mapping[str, str], log: Path) -> Iterator[int]:
    """Serve *app* with the host that *program* starts, and yield its port."""
    for _ in range(ATTEMPTS):  # until nobody else takes the port first
        port = _free_port()
        command = [program, "--app", str(app), "--port", str(port), "--key", KEY, "--python", sys.executable]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603  (the program that FUNCTIONS_HOST names)
                [*command, "--setting", f"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT={BODY_LIMIT}"],
                env=os.environ | settings,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.PIPE,
            )
        with _ending(process):
            assert process.stderr
            lines = iter(process.stderr.readline, b"")
            said = next((line for line in lines if line.startswith(b"ready ")), b"")  # the program gives up by itself
            if said:
                threading.Thread(target=process.stderr.read, daemon=True).start()
                yield port
                return
    raise RuntimeError(f"{program} did not start; its output is in {log}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def _ending(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End *process* on leaving. Closing its standard input ends both kinds of host in order."""
    with process:
        try:
            yield
        finally:
            assert process.stdin
            process.stdin.close()
            try:
                process.wait(STOP_LIMIT_S)
            finally:
                process.kill()
