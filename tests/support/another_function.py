"""Another process of the function, beside that of a local cloud, with the same stand-ins."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.functions_host import function_host, kill
from tests.support.local_cloud import ROOT, LocalCloud


class FunctionInstance(LocalCloud):
    """The local cloud with another *process* of the function, which starts without tokens and connections."""

    def __init__(self, cloud: LocalCloud, url: str, log: Path, process: subprocess.Popen[bytes]) -> None:
        super().__init__(cloud.description | {"functionUrl": url}, log)
        self.process = process

    def kill(self) -> None:
        kill(self.process)


@contextmanager
def another_function(cloud: LocalCloud, log: Path, **environment: str) -> Iterator[FunctionInstance]:
    """Run another process of the function that writes to *log*; *environment* overrides the settings of *cloud*."""
    settings = {**os.environ, **cloud.description["environment"], **environment}
    with function_host(ROOT, log, cloud.description["functionKey"], settings) as (process, port):
        function = FunctionInstance(cloud, f"http://127.0.0.1:{port}/api/cancel_order", log, process)
        with function.http:
            yield function
