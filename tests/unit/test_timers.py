"""The settings that keep a timer function of the local cloud from running by its schedule."""

import pytest

from infra.local.functions.schedule import Schedule
from infra.local.functions.timers import why_not_scheduled
from infra.local.functions.worker import TimerFunction


def tick(*, has_monitor: bool) -> TimerFunction:
    return TimerFunction("tick", "id", "timer", schedule=Schedule.read("0 * * * * *"), has_monitor=has_monitor)


@pytest.mark.parametrize(
    "setting", ["AzureWebJobs.tick.Disabled", "AzureWebJobs_tick_Disabled", "azurewebjobs.TICK.disabled"]
)
@pytest.mark.parametrize(
    ("value", "is_off"),
    [*((value, True) for value in ("true", "True", "1")), *((value, False) for value in ("false", "0", "", "yes"))],
)
def test_a_setting_turns_a_schedule_off(setting: str, value: str, is_off: bool) -> None:
    reason = why_not_scheduled(tick(has_monitor=False), {setting: value})

    assert (reason is not None and reason.endswith("turns it off")) is is_off


def test_the_setting_of_another_function_does_not_matter() -> None:
    assert why_not_scheduled(tick(has_monitor=False), {"AzureWebJobs.tock.Disabled": "true"}) is None


@pytest.mark.parametrize(
    ("settings", "is_enough"),
    [
        ({}, False),
        ({"AzureWebJobsStorage": ""}, False),
        ({"AzureWebJobsDashboard": "x"}, False),
        ({"AzureWebJobsStorageOther__blobServiceUri": "x"}, False),
        ({"AzureWebJobsStorage": "UseDevelopmentStorage=true"}, True),
        ({"AzureWebJobsStorage__queueServiceUri": "https://127.0.0.1:9/x"}, True),
    ],
    ids=str,
)
def test_a_monitor_needs_storage(settings: dict[str, str], is_enough: bool) -> None:
    reason = why_not_scheduled(tick(has_monitor=True), settings)

    assert (reason is None) is is_enough
    assert why_not_scheduled(tick(has_monitor=False), settings) is None
