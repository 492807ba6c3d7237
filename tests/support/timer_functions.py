"""Apps of timer functions, which write down each of their runs."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.functions_host import function_host
from tests.support.functions_wire.app import write_timer
from tests.support.waiting import wait_until

MASTER_KEY = {"x-functions-key": "master-right"}
EVERY_SECOND, EVERY_MINUTE, NEVER = "*/1 * * * * *", "0 * * * * *", "0 0 0 31 2 *"
STORAGE = {"AzureWebJobsStorage__queueServiceUri": "https://127.0.0.1:9/x"}

# The request of a schedule without a monitor.
USUAL = {"type": "TimerRequest", "past_due": False, "status": {}, "on": 1, "schedule": {"AdjustForDST": True}}

# Each function has a folder of its own: a file for each run, with what it was given, and `go` lets it go on.
TICK = """
import asyncio, json, pathlib, sys
import azure.functions as func

FOLDER = pathlib.Path({folder!r})
runs = 0
on = 0

async def main(tick: func.TimerRequest) -> None:
    global on, runs
    number, runs, on = runs, runs + 1, on + 1
    seen = {{"type": type(tick).__name__, "past_due": tick.past_due, "status": tick.schedule_status, "on": on}}
    (FOLDER / f"{{number}}.tmp").write_text(json.dumps(seen | {{"schedule": tick.schedule}}))
    (FOLDER / f"{{number}}.tmp").rename(FOLDER / f"{{number}}.json")
    try:
        {body}
    finally:
        on -= 1
"""
WAITS = "while not (FOLDER / 'go').exists(): await asyncio.sleep(0.01)"


class Timer:
    """A timer function in the app at *root*, and its runs."""

    def __init__(self, root: Path, name: str, schedule: str, body: str = "pass", **trigger: Any) -> None:
        self.folder = root / f"runs-{name}"
        self.folder.mkdir()
        write_timer(root, name, TICK.format(folder=str(self.folder), body=body), schedule=schedule, **trigger)

    @property
    def runs(self) -> list[dict[str, Any]]:
        return [json.loads((self.folder / f"{number}.json").read_text()) for number in range(len(self._files()))]

    def wait_for_runs(self, count: int) -> None:
        wait_until(lambda: len(self._files()) >= count, f"the function ran {len(self._files())} times, not {count}")

    def let_go(self) -> None:
        (self.folder / "go").touch()

    def _files(self) -> list[Path]:
        return list(self.folder.glob("*.json"))


@contextmanager
def host(root: Path, **settings: str) -> Iterator[httpx.Client]:
    """Serve the app at *root* without storage, unless *settings* has one; with the stand-in, unless they name a host.

    The host writes to `log` in *root*.
    """
    (root / "host.json").write_text(json.dumps({"version": "2.0", "functionTimeout": "00:00:01"}))
    without = {name: value for name, value in os.environ.items() if not name.startswith("AzureWebJobs")}
    environment = without | {"FUNCTIONS_HOST": ""} | settings
    with (
        function_host(root, root / "log", "right", environment) as (_, port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client,
    ):
        assert client.get("/admin/host/ping").status_code == 200
        yield client


def run_by_hand(client: httpx.Client, name: str) -> int:
    return client.post(f"/admin/functions/{name}", json={"input": ""}, headers=MASTER_KEY).status_code
