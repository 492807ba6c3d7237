"""Another process of the function, beside that of a local cloud, with the same stand-ins."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.local_cloud import ROOT, STOP_LIMIT_S, LocalCloud


class FunctionInstance(LocalCloud):
    """The local cloud with another *process* of the function, which starts without tokens and connections."""

    def __init__(self, cloud: LocalCloud, url: str, log: Path, process: subprocess.Popen[bytes]) -> None:
        super().__init__(cloud.description | {"functionUrl": url}, log)
        self.process = process

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(STOP_LIMIT_S)


@contextmanager
def another_function(cloud: LocalCloud, log: Path, **environment: str) -> Iterator[FunctionInstance]:
    """Run another process of the function that writes to *log*; *environment* overrides the settings of *cloud*."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        # As in the local cloud: without it an answer in two parts waits 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "infra.local.functions.host", "--app-root", str(ROOT)]
        own = {"LOCAL_FUNCTION_KEY": cloud.description["functionKey"]} | environment
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603
                [*command, "--fd", str(listener.fileno())],
                cwd=ROOT,
                env={**os.environ, **cloud.description["environment"], **own},
                stdin=subprocess.PIPE,  # the process ends when this is closed
                stdout=output,
                stderr=output,
                pass_fds=[listener.fileno()],
            )
    function = FunctionInstance(cloud, f"http://127.0.0.1:{port}/api/cancel_order", log, process)
    try:
        with function.http:
            yield function
    finally:
        if process.stdin:
            process.stdin.close()
        function.kill()
