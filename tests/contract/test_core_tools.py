"""The program that puts Core Tools in the place of the imitated host: how it starts `func`, waits for it, and ends it.

A program that serves the host's status stands in for `func`. The workflow "Core Tools" runs the real one.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_cloud import ROOT

PROGRAM = ROOT / "infra/local/functions/core_tools.py"
LIMIT_S = 60

FUNC = """\
#!PYTHON
import http.server, json, os, pathlib, subprocess, sys
subprocess.Popen(["sleep", "120"])  # the worker, which outlives its host
seen = {"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}
pathlib.Path(os.environ["SEEN"]).write_text(json.dumps(seen))
if "FAILS" in os.environ:
    sys.exit("no such app")
states = ["Initialized", "Running"]

class Status(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        state = states.pop(0) if len(states) > 1 else states[0]
        pathlib.Path(os.environ["SEEN"]).with_suffix(f".{state}").touch()
        body = json.dumps({"state": state}).encode()
        self.send_response(200 if self.path == "/admin/host/status" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

try:
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[3])), Status).serve_forever()
except KeyboardInterrupt:  # SIGINT, as Ctrl-C
    pathlib.Path(os.environ["SEEN"]).with_suffix(".Ended").touch()
"""


class CoreTools:
    """The program, started on a free port with the app in *folder*."""

    def __init__(self, folder: Path, **environment: str) -> None:
        (folder / "bin").mkdir()
        func = folder / "bin/func"
        func.write_text(FUNC.replace("PYTHON", sys.executable))
        func.chmod(0o755)
        self.seen_file = folder / "seen.json"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        options = ["--app", str(folder), "--port", str(self.port), "--key", "unused", "--python", "/a/python"]
        self.process = subprocess.Popen(  # noqa: S603  (our own)
            [PROGRAM, *options, "--setting", "KEY_VAULT_URL=https://vault.example?a=b"],
            env={**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "SEEN": str(self.seen_file)}
            | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def read_line(self) -> str:
        assert self.process.stderr
        return self.process.stderr.readline()

    def has(self, state: str) -> bool:
        """Return whether `func` came to *state*: Initialized, Running, Ended."""
        return self.seen_file.with_suffix(f".{state}").exists()

    @property
    def seen(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.seen_file.read_text())
        return found


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
        assert started.read_line() == f"ready {started.port}\n"

        assert started.has("Running")
        assert started.seen["arguments"] == ["start", "--port", str(started.port)]
        assert started.seen["folder"] == str(tmp_path)
        environment = started.seen["environment"]
        assert environment["FUNCTIONS_WORKER_RUNTIME"] == "python"
        assert environment["languageWorkers__python__defaultExecutablePath"] == "/a/python"
        assert environment["CANCEL_DEADLINE_S"] == "7"
        assert environment["KEY_VAULT_URL"] == "https://vault.example?a=b"
        assert "WEBSITE_AUTH_ENABLED" not in environment


@pytest.mark.parametrize("end", ["SIGTERM", "end of input"])
def test_it_ends_func_in_order_and_the_worker_with_it(tmp_path: Path, end: str) -> None:
    with core_tools(tmp_path) as started:
        assert started.read_line().startswith("ready")

        if end == "SIGTERM":
            started.process.terminate()
            assert started.process.wait(LIMIT_S) == 0
        started.process.communicate(timeout=LIMIT_S)  # closes its input; returns once nobody holds its stdout

        assert started.process.returncode == 0
        assert started.has("Ended")


def test_a_host_that_does_not_come_up_is_told(tmp_path: Path) -> None:
    with core_tools(tmp_path, FAILS="1") as started:
        started.process.wait(LIMIT_S)
        output, errors = started.process.communicate(timeout=LIMIT_S)

        assert (started.process.returncode, output) == (1, "no such app\n")
        assert errors == "core_tools.py: the host did not come up\n"


def test_without_core_tools_it_says_how_to_install_them(tmp_path: Path) -> None:
    with core_tools(tmp_path, PATH=str(Path(sys.executable).parent)) as started:
        started.process.wait(LIMIT_S)
        _, errors = started.process.communicate(timeout=LIMIT_S)

        assert started.process.returncode == 1
        assert "`func` is not on the PATH" in errors
