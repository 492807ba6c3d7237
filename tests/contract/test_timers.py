"""Timer functions under the stand-in for the Functions host. test_functions_wire.py has one under the real host."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.functions_host import function_host
from tests.support.timer_functions import (
    EVERY_MINUTE,
    EVERY_SECOND,
    NEVER,
    STORAGE,
    USUAL,
    WAITS,
    Timer,
    host,
    run_by_hand,
)


def test_a_schedule_fires_again_and_again(tmp_path: Path) -> None:
    """Below a minute it needs no storage, and there is no status."""
    timer = Timer(tmp_path, "tick", EVERY_SECOND)

    with host(tmp_path):
        timer.wait_for_runs(3)

    assert timer.runs[:3] == [USUAL] * 3


def test_runs_of_a_function_do_not_overlap(tmp_path: Path) -> None:
    """Neither with the schedule's next run nor with one by hand. Another function is not held up."""
    slow, quick = Timer(tmp_path, "slow", EVERY_SECOND, WAITS), Timer(tmp_path, "quick", EVERY_SECOND)

    with host(tmp_path) as client, ThreadPoolExecutor(1) as background:
        slow.wait_for_runs(1)
        by_hand = background.submit(run_by_hand, client, "slow")
        quick.wait_for_runs(len(quick.runs) + 3)
        assert len(slow.runs) == 1
        assert not by_hand.done()

        slow.let_go()

        assert by_hand.result() == 202
        slow.wait_for_runs(4)
    assert {run["on"] for run in slow.runs} == {1}


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        pytest.param("ValueError('our bug')", "tick raised\nTraceback", id="exception"),
        pytest.param("SystemExit(3)", "tick ended its worker with status 3", id="system-exit"),
        pytest.param("asyncio.CancelledError", "tick let a CancelledError escape", id="cancelled"),
    ],
)
def test_a_run_that_fails_is_logged_and_the_schedule_goes_on(tmp_path: Path, error: str, logged: str) -> None:
    timer = Timer(tmp_path, "tick", EVERY_SECOND, f"raise {error}")

    with host(tmp_path):
        timer.wait_for_runs(2)

    assert logged in (tmp_path / "log").read_text()


def test_a_run_by_hand_has_ended_when_it_is_answered(tmp_path: Path) -> None:
    timer = Timer(tmp_path, "tick", NEVER, WAITS)

    with host(tmp_path) as client, ThreadPoolExecutor(1) as background:
        by_hand = background.submit(run_by_hand, client, "tick")
        timer.wait_for_runs(1)
        assert not by_hand.done()
        timer.let_go()

        assert by_hand.result() == 202
        assert run_by_hand(client, "TICK") == 202
    assert len(timer.runs) == 2


def test_a_run_by_hand_sees_the_status_of_the_schedule(tmp_path: Path) -> None:
    timer = Timer(tmp_path, "tick", "0 0 0 29 2 *")

    with host(tmp_path, **STORAGE) as client:
        assert run_by_hand(client, "tick") == 202

    [run] = timer.runs
    assert run["status"].keys() == {"Last", "Next", "LastUpdated"}
    assert run["status"]["Last"] == run["status"]["LastUpdated"] == "0001-01-01T00:00:00+00:00"
    assert run["status"]["Next"].endswith("-02-29T00:00:00+00:00")


def test_a_function_whose_schedule_is_off_can_be_run_by_hand(tmp_path: Path) -> None:
    """Off by a setting, or because storage is missing; unit/test_timers.py has all reasons."""
    disabled = Timer(tmp_path, "disabled", EVERY_SECOND)
    without_storage = Timer(tmp_path, "without_storage", EVERY_MINUTE)
    other = Timer(tmp_path, "other", EVERY_SECOND)

    with host(tmp_path, **{"AzureWebJobs.disabled.Disabled": "true"}) as client:
        other.wait_for_runs(2)
        assert (disabled.runs, without_storage.runs) == ([], [])
        assert [run_by_hand(client, name) for name in ("disabled", "without_storage")] == [202, 202]

    assert (len(disabled.runs), len(without_storage.runs)) == (1, 1)
    log = (tmp_path / "log").read_text()
    assert "disabled does not run by its schedule: AzureWebJobs.disabled.Disabled turns it off" in log
    assert "without_storage does not run by its schedule: AzureWebJobsStorage is not set" in log


def test_a_period_of_time_does_not_load(tmp_path: Path) -> None:
    Timer(tmp_path, "tick", "00:05:00")
    (tmp_path / "host.json").write_text('{"version": "2.0"}')

    with function_host(tmp_path, tmp_path / "log", "right", os.environ | {"FUNCTIONS_HOST": ""}) as (process, _):
        assert process.wait(60) == 1

    assert "tick: the schedule '00:05:00' does not have six fields" in (tmp_path / "log").read_text()
