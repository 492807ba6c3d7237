#!/usr/bin/env python3
"""Runs an app in the host of Azure Functions Core Tools (`func start`), in place of the stand-in.

    core_tools.py --app DIR --port N --key KEY --python PYTHON [--setting NAME=VALUE …]

The environment of this process is the app's settings; `--setting` adds to it. PYTHON has the app's packages. SIGTERM,
or the end of standard input, ends the host together with its worker. The status is 1 if the host ended by itself.

Core Tools lets every request in: KEY is taken and not checked. A trigger other than HTTP wants `AzureWebJobsStorage`.

Source: Azure/azure-functions-core-tools 3ee97a6, src/Cli/func: Actions/HostActions (StartHostAction.cs, Startup.cs),
Helpers/PythonHelpers.cs, Program.cs, CancelKeyHandler.cs; lib/main.js in the npm package 4.15.1 (read 2026-11-30).
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

STOP_LIMIT_S = 10.0  # Core Tools itself gives up 2 s after SIGINT

# These variables make the host believe that it runs in Azure.
NOT_HANDED_ON = ("WEBSITE_", "CONTAINER_", "KUBERNETES_")


def main() -> int:
    parser = argparse.ArgumentParser(prog="core_tools.py", description="Run an app in the host of Core Tools.")
    parser.add_argument("--app", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", required=True, help="not checked")
    parser.add_argument("--python", required=True)
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    ending = threading.Event()
    # SIGINT too: where it is ignored, the host would inherit that, and it is the signal that ends the host in order.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    threading.Thread(target=_wait_for_end_of_input, args=(ending,), daemon=True).start()
    environment = _environment(arguments.python) | dict(setting.split("=", 1) for setting in arguments.setting)
    try:
        process = subprocess.Popen(  # noqa: S603
            ["func", "start", "--port", str(arguments.port)],  # noqa: S607  (from the PATH, as people install it)
            cwd=arguments.app,
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,  # our own stderr has nothing but our own lines
            start_new_session=True,  # a group of its own, which ends as a whole
        )
    except FileNotFoundError:
        sys.exit("core_tools.py: `func` is not on the PATH; npm install --global azure-functions-core-tools@4")
    try:
        while process.poll() is None:
            if ending.wait(0.1):
                return 0
        return 1
    finally:
        _end(process)


def _environment(python: str) -> dict[str, str]:
    handed_on = {name: value for name, value in os.environ.items() if not name.startswith(NOT_HANDED_ON)}
    return handed_on | {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "FUNCTIONS_CORE_TOOLS_TELEMETRY_OPTOUT": "1",
        "PYTHON_ENABLE_DEBUG_LOGGING": "0",  # unless it is set, Core Tools turns on what the SDKs log for debugging
        "languageWorkers__python__defaultExecutablePath": python,  # else the first supported Python on the PATH
    }


def _wait_for_end_of_input(ending: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    ending.set()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # npm's `func` hands it on to the host
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # the worker too
    process.wait()


if __name__ == "__main__":
    sys.exit(main())
