"""The schedules of timer functions in the local cloud: what six fields mean, and when they come next."""

from datetime import UTC, datetime

import pytest

from infra.local.functions.schedule import Schedule

NOW = "2026-11-30 17:51:18.5"  # a Monday


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "now", "following"),
    [
        pytest.param("0 * * * * *", NOW, "2026-11-30 17:52:00", id="every minute"),
        pytest.param("0 * * * * *", "2026-11-30 17:52:00", "2026-11-30 17:53:00", id="not now"),
        pytest.param("0 * * * * *", "2026-12-31 23:59:59", "2027-01-01 00:00:00", id="next year"),
        pytest.param("* * * * * *", NOW, "2026-11-30 17:51:19", id="every second"),
        pytest.param("*/1 * * * * *", NOW, "2026-11-30 17:51:19", id="every second, as a step"),
        pytest.param("*/20 * * * * *", NOW, "2026-11-30 17:51:20", id="every 20 seconds"),
        pytest.param("*/20 * * * * *", "2026-11-30 17:51:40", "2026-11-30 17:52:00", id="a step begins at 0"),
        pytest.param("5/20 * * * * *", "2026-11-30 17:51:26", "2026-11-30 17:51:45", id="a step from 5 on"),
        pytest.param("10-30/10 * * * * *", "2026-11-30 17:51:30", "2026-11-30 17:52:10", id="a step in a range"),
        pytest.param("0 0,30 9-17 * * *", NOW, "2026-12-01 09:00:00", id="list and range"),
        pytest.param("0 0 */6 * * *", NOW, "2026-11-30 18:00:00", id="every 6 hours"),
        pytest.param("0 30 9 * * 1-5", "2026-12-04 09:30:00", "2026-12-07 09:30:00", id="over a weekend"),
        pytest.param("0 0 9 * * Sun,sat", NOW, "2026-12-05 09:00:00", id="days by name"),
        pytest.param("0 0 9 1 January-MA *", NOW, "2027-01-01 09:00:00", id="months by name"),
        pytest.param("0 0 0 31 * *", NOW, "2026-12-31 00:00:00", id="a day that some months do not have"),
        pytest.param("0 0 0 29 2 *", NOW, "2028-02-29 00:00:00", id="a leap day"),
        pytest.param("0 0 0 29 2 1", NOW, "2044-02-29 00:00:00", id="a leap day on a Monday"),
        pytest.param("0 0 0 13 * 5", NOW, "2027-08-13 00:00:00", id="both kinds of days must match"),
        pytest.param("*/5 * * * *", NOW, "2026-11-30 17:55:00", id="five fields"),
        pytest.param("  0   *  * * * * ", NOW, "2026-11-30 17:52:00", id="blanks"),
        pytest.param("0 0 0 31 2 *", NOW, None, id="never"),
    ],
)
def test_a_schedule_comes_next_after_now(schedule: str, now: str, following: str | None) -> None:
    assert Schedule.read(schedule).next_after(moment(now)) == (moment(following) if following else None)


@pytest.mark.parametrize(
    ("schedule", "is_below"),
    [
        ("0 * * * * *", False),
        ("* * * * *", False),
        ("*/30 * * * * *", True),
        ("0,1 */1 * * * *", True),
        ("*/30 0 * * * *", False),
        ("*/30 * * * * 1-5", False),
    ],
)
def test_a_schedule_is_below_a_minute_if_it_comes_twice_in_every_minute(schedule: str, is_below: bool) -> None:
    assert Schedule.read(schedule).is_below_a_minute is is_below


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ("", "does not have six fields"),
        ("* * * *", "does not have six fields"),
        ("00:05:00", "A period as 00:05:00 works on App Service plans only"),
        ("%SCHEDULE%", "does not have six fields"),
        ("60 * * * * *", "'60' is no second: it is a number from 0 to 59"),
        ("0 0 0 0 * *", "'0' is no day of the month: it is a number from 1 to 31"),
        ("0 0 0 * * 7", "'7' is no day of the week: it is a number from 0 to 6"),
        ("0 mon * * * *", "'mon' is no minute"),
        ("*/0 * * * * *", "'*/0' is no second"),
        ("1- * * * * *", "'1-' is no second"),
        ("1,,2 * * * * *", "'' is no second"),
        ("5-1 * * * * *", "'5-1' goes backwards"),
        ("-1 * * * * *", "'-1' is no second"),
        ("0 0 0 L * *", "'L' is no day of the month"),
        ("\u0661 * * * * *", "is no second"),
    ],
)
def test_a_schedule_that_cannot_be_read_is_refused_with_the_reason(schedule: str, reason: str) -> None:
    with pytest.raises(ValueError, match="the schedule") as refused:
        Schedule.read(schedule)

    assert reason in str(refused.value)
