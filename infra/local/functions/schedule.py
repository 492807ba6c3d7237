"""The schedules of timer functions: six fields, as NCRONTAB, which the real host uses, reads them.

No I/O and no clock: the next moment is a function of the schedule and of now. Python's cron packages are no help:
where both the day of the month and the day of the week are given, they take either, and NCRONTAB wants both.

Two careless forms are refused, though NCRONTAB takes them: `5-1`, which it reads as `1-5`, and `*/0`.

Source: atifaziz/NCrontab, CrontabSchedule.cs, CrontabField.cs and CrontabFieldImpl.cs;
Azure/azure-webjobs-sdk-extensions, TimerSchedule.cs and CronSchedule.cs (read 2026-11-30).
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Self

YEARS_AHEAD = 41  # 29 February of a given day of the week can be 40 years away
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MONTHS = "January February March April May June July August September October November December"
WEEK_DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday"
PART = re.compile(r"(?:(?P<all>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?", re.ASCII)


class _Field(NamedTuple):
    name: str
    first: int
    last: int
    names: str = ""

    def read(self, text: str) -> frozenset[int]:
        return frozenset(value for part in text.split(",") for value in self._read_part(part))

    def _read_part(self, part: str) -> range:
        found = PART.fullmatch(part)
        step = int(found["step"] or 1) if found else 0
        if not found or not step:
            raise ValueError(f"{part!r} is no {self.name}")
        if found["all"]:
            return range(self.first, self.last + 1, step)
        first = self._number(found["first"])
        # A step without an end, `5/10`, goes on to the field's last value.
        last = self._number(found["last"]) if found["last"] else self.last if found["step"] else first
        if first > last:
            raise ValueError(f"{part!r} goes backwards")
        return range(first, last + 1, step)

    def _number(self, text: str) -> int:
        for number, name in enumerate(self.names.split(), self.first):
            if name.lower().startswith(text.lower()):
                return number
        if not text.isdigit() or not self.first <= int(text) <= self.last:
            raise ValueError(f"{text!r} is no {self.name}: it is a number from {self.first} to {self.last}")
        return int(text)


FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, MONTHS),
    _Field("day of the week", 0, 6, WEEK_DAYS),  # 0 is Sunday, and 7 is not
)


@dataclass(frozen=True)
class Schedule:
    """The moments at which a timer function runs: those that have a value of each field."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    week_days: frozenset[int]

    @classmethod
    def read(cls, text: str) -> Self:
        """Read six fields, or five, whose second is 0. Raises ValueError with the reason."""
        fields = text.split()
        if len(fields) == len(FIELDS) - 1:
            fields.insert(0, "0")
        if len(fields) != len(FIELDS):
            kind = " A period as 00:05:00 works on App Service plans only." if ":" in text else ""
            raise ValueError(f"the schedule {text!r} does not have six fields.{kind}")
        try:
            return cls(*(field.read(given) for field, given in zip(FIELDS, fields, strict=True)))
        except ValueError as error:
            raise ValueError(f"the schedule {text!r} cannot be read: {error}") from None

    @property
    def is_below_a_minute(self) -> bool:
        """True if it comes several times in every minute. The real host keeps no status of such a schedule."""
        every = (frozenset(range(field.first, field.last + 1)) for field in FIELDS[1:])
        others = (self.minutes, self.hours, self.days, self.months, self.week_days)
        return len(self.seconds) > 1 and others == tuple(every)

    def next_after(self, now: datetime) -> datetime | None:
        """Return the first moment after *now*, or None if none comes within YEARS_AHEAD."""
        moment = now.replace(microsecond=0) + SECOND
        last_year = moment.year + YEARS_AHEAD
        while moment.year <= last_year:
            if moment.month not in self.months:
                moment = _midnight(moment.replace(day=1) + 31 * DAY).replace(day=1)
            elif moment.day not in self.days or moment.isoweekday() % 7 not in self.week_days:
                moment = _midnight(moment + DAY)
            elif moment.hour not in self.hours:
                moment = moment.replace(minute=0, second=0) + HOUR
            elif moment.minute not in self.minutes:
                moment = moment.replace(second=0) + MINUTE
            elif moment.second not in self.seconds:
                moment += SECOND
            else:
                return moment
        return None


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0)
