"""Runs the app's timer functions: each by its schedule, or by hand, and never two runs of one function at once.

The real host is imitated from its source; tests/contract/test_functions_wire.py compares what can be compared quickly.

- The time zone is UTC, as in Azure.
- A run that is still on at the next moment of its schedule is not doubled: it is followed by one run, at once.
- An exception is logged, and the schedule goes on.
- The setting `AzureWebJobs.NAME.Disabled`, with `true` or `1`, stops the schedule. A run by hand is still possible.
- A schedule of a minute or more whose `useMonitor` is not false keeps its status in storage. Without storage the real
  host logs an error once and never runs the function.

Known differences
    Any setting `AzureWebJobsStorage` or `AzureWebJobsStorage__…` counts as storage; the real host wants blobs there.
    No status is kept, so nothing is past due after a restart, and `ScheduleStatus` begins anew with each process.
    A run by hand waits for a run that is on, and ends before its answer leaves. The real host runs both at once, and
    answers before the run begins; without storage its run by hand fails, where its schedule would need storage.
    `runOnStartup` and `WEBSITE_TIME_ZONE` are not heeded. A schedule in a setting (`%NAME%`), or of a period of time
    (`00:05:00`), does not load.

Source: Azure/azure-webjobs-sdk-extensions, Extensions/Timers; Azure/azure-webjobs-sdk, HostListenerFactory.cs and
IConfigurationExtensions.cs; azure-functions-host, FunctionsController.cs (all of October 2024, read 2026-11-30).
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from infra.local.functions.worker import TimerFunction, Worker, finished
from infra.local.values import Json

NEVER = datetime(1, 1, 1, tzinfo=UTC)  # .NET's default of a date

log = logging.getLogger("functions_host")


class Timers:
    """Runs the timer functions of *worker*. *timeout_s* is functionTimeout."""

    def __init__(self, worker: Worker, timeout_s: float) -> None:
        self._worker = worker
        self._timeout_s = timeout_s
        self._turns = {name: asyncio.Lock() for name in worker.timers}
        self._status: dict[str, Json] = {}

    async def keep_schedules(self, settings: Mapping[str, str]) -> None:
        """Run each function by its schedule, without end, unless one of the app's *settings* prevents it."""
        async with asyncio.TaskGroup() as schedules:
            for function in self._worker.timers.values():
                if reason := why_not_scheduled(function, settings):
                    log.warning("%s does not run by its schedule: %s", function.name, reason)
                else:
                    schedules.create_task(self._keep_schedule(function))

    async def _keep_schedule(self, function: TimerFunction) -> None:
        last, due = NEVER, function.schedule.next_after(datetime.now(UTC))
        while due is not None:
            moments = {"Last": last, "Next": due, "LastUpdated": last}
            self._status[function.name] = {name: moment.isoformat() for name, moment in moments.items()}
            await asyncio.sleep((due - datetime.now(UTC)).total_seconds())
            last = max(due, datetime.now(UTC))  # a sleep can end a little early
            await self.run(function.name)
            due = function.schedule.next_after(last)  # has passed, if the run took long

    async def run(self, name: str) -> None:
        """Run the function *name* once, after a run that is on. Its failure is logged. Raises KeyError."""
        function = self._worker.timers[name]
        async with self._turns[name]:
            status = self._status.get(name) if function.has_monitor else None
            request = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": False}
            await finished(self._worker.tick(name, request), name, self._timeout_s)


def why_not_scheduled(function: TimerFunction, settings: Mapping[str, str]) -> str | None:
    """Return the reason why the host does not run *function* by its schedule, or None if it does."""
    given = {name.lower(): value for name, value in settings.items() if value}
    for setting in (f"AzureWebJobs.{function.name}.Disabled", f"AzureWebJobs_{function.name}_Disabled"):
        if given.get(setting.lower(), "").lower() in {"true", "1"}:
            return f"{setting} turns it off"
    has_storage = any(name.partition("__")[0] == "azurewebjobsstorage" for name in given)
    if function.has_monitor and not has_storage:
        return "AzureWebJobsStorage is not set, and a schedule of a minute or more needs it unless useMonitor is false"
    return None
