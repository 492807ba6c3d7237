"""The program that starts the host of Core Tools: how it starts `func` and ends it.

A program that only waits stands in for `func`. The workflow "Core Tools" runs the real one.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_cloud import ROOT
from tests.support.waiting import wait_until

PROGRAM = ROOT / "infra/local/functions/core_tools.py"
LIMIT_S = 60
PORT = "7071"  # no program here listens on it

FUNC = """\
#!PYTHON
import json, os, pathlib, signal, subprocess, sys
file = pathlib.Path(os.environ["SEEN"])
seen = {"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}
try:
    subprocess.Popen(["sleep", "120"])  # the worker, which outlives its host
    if "FAILS" in os.environ:
        sys.exit("no such app")
    file.with_suffix(".part").write_text(json.dumps(seen))
    file.with_suffix(".part").rename(file)
    signal.pause()
except KeyboardInterrupt:  # SIGINT, as Ctrl-C
    file.with_suffix(".ended").touch()
"""


class CoreTools:
    """The program, started with the app in *folder*."""

    def __init__(self, folder: Path, **environment: str) -> None:
        (folder / "bin").mkdir()
        func = folder / "bin/func"
        func.write_text(FUNC.replace("PYTHON", sys.executable))
        func.chmod(0o755)
        self.seen_file = folder / "seen.json"
        options = ["--app", str(folder), "--port", PORT, "--key", "unused", "--python", "/a/python"]
        self.process = subprocess.Popen(  # noqa: S603  (our own)
            [PROGRAM, *options, "--setting", "KEY_VAULT_URL=https://vault.example?a=b"],
            env={**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "SEEN": str(self.seen_file)}
            | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_func(self) -> dict[str, Any]:
        """Return what `func` got, once it runs."""
        wait_until(self.seen_file.exists, "`func` was not started")
        found: dict[str, Any] = json.loads(self.seen_file.read_text())
        return found

    @property
    def has_ended_in_order(self) -> bool:
        return self.seen_file.with_suffix(".ended").exists()


@contextmanager
def core_tools(folder: Path, **environment: str) -> Iterator[CoreTools]:
    started = CoreTools(folder, **environment)
    try:
        yield started
    finally:
        started.process.terminate()
        started.process.communicate(timeout=LIMIT_S)


def test_it_starts_func_in_the_apps_folder_with_its_settings(tmp_path: Path) -> None:
    with core_tools(tmp_path, CANCEL_DEADLINE_S="7", WEBSITE_AUTH_ENABLED="True") as started:
        seen = started.wait_for_func()

        assert seen["arguments"] == ["start", "--port", PORT]
        assert seen["folder"] == str(tmp_path)
        environment = seen["environment"]
        assert environment["FUNCTIONS_WORKER_RUNTIME"] == "python"
        assert environment["languageWorkers__python__defaultExecutablePath"] == "/a/python"
        assert environment["CANCEL_DEADLINE_S"] == "7"
        assert environment["KEY_VAULT_URL"] == "https://vault.example?a=b"
        assert "WEBSITE_AUTH_ENABLED" not in environment


@pytest.mark.parametrize("end", ["SIGTERM", "end of input"])
def test_it_ends_func_in_order_and_the_worker_with_it(tmp_path: Path, end: str) -> None:
    with core_tools(tmp_path) as started:
        started.wait_for_func()

        if end == "SIGTERM":
            started.process.terminate()
            assert started.process.wait(LIMIT_S) == 0
        started.process.communicate(timeout=LIMIT_S)  # closes its input; returns once nobody holds its stdout

        assert started.process.returncode == 0
        assert started.has_ended_in_order


def test_a_host_that_ends_by_itself_ends_the_program_with_status_1(tmp_path: Path) -> None:
    with core_tools(tmp_path, FAILS="1") as started:
        started.process.wait(LIMIT_S)
        output, _ = started.process.communicate(timeout=LIMIT_S)

        assert (started.process.returncode, output) == (1, "no such app\n")


def test_without_core_tools_it_says_how_to_install_them(tmp_path: Path) -> None:
    with core_tools(tmp_path, PATH=str(Path(sys.executable).parent)) as started:
        started.process.wait(LIMIT_S)
        _, errors = started.process.communicate(timeout=LIMIT_S)

        assert started.process.returncode == 1
        assert "`func` is not on the PATH" in errors
