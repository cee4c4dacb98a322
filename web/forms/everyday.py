"""The everyday recurrences of the schedule form, each of which is a cron expression."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

DAILY, WEEKDAYS, WEEKLY, MONTHLY = "daily", "weekdays", "weekly", "monthly"
KINDS: Final = (DAILY, WEEKDAYS, WEEKLY, MONTHLY)
DAYS_OF_WEEK: Final = {
    "1": "Monday",
    "2": "Tuesday",
    "3": "Wednesday",
    "4": "Thursday",
    "5": "Friday",
    "6": "Saturday",
    "0": "Sunday",
}
_FIXED: Final = re.compile(r"([0-9]{1,2}) ([0-9]{1,2}) (\*|[0-9]{1,2}) \* (\*|1-5|[0-6](?:,[0-6]){0,6})")
_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::00)?")


@dataclass(frozen=True, slots=True)
class Everyday:
    """A time of day, and the days of the week or the day of the month that it holds on. `clock` is HH:MM."""

    kind: str
    clock: str
    weekdays: Sequence[str] = ()
    day: str = ""


def problems_of(chosen: Everyday) -> Mapping[str, str]:
    """What keeps it from being a cron expression, by the name of the field."""
    problems = {}
    if not _CLOCK.fullmatch(chosen.clock.strip()):
        problems["clock"] = "Enter a time, such as 09:00"
    if chosen.kind == WEEKLY and not DAYS_OF_WEEK.keys() & set(chosen.weekdays):
        problems["weekdays"] = "Choose at least one day"
    if chosen.kind == MONTHLY and not re.fullmatch("[1-9]|[12][0-9]|3[01]", chosen.day.strip()):
        problems["day"] = "Enter a day from 1 to 31"
    return problems


def expression_of(chosen: Everyday) -> str:
    """The cron expression. Only for one without problems."""
    hour, minute = (int(part) for part in chosen.clock.strip().split(":")[:2])
    day = chosen.day.strip() if chosen.kind == MONTHLY else "*"
    chosen_days = [number for number in DAYS_OF_WEEK if number in chosen.weekdays]
    on = {WEEKDAYS: "1-5", WEEKLY: ",".join(chosen_days)}.get(chosen.kind, "*")
    return f"{minute} {hour} {day} * {on}"


def everyday_of(expression: str) -> Everyday | None:
    """The everyday recurrence that gives exactly this expression; None if none does."""
    read = _FIXED.fullmatch(expression)
    if read is None:
        return None
    minute, hour, day, on = read.groups()
    clock = f"{int(hour):02}:{int(minute):02}"
    if day != "*":
        chosen = Everyday(MONTHLY, clock, day=day)
    elif on in ("*", "1-5"):
        chosen = Everyday(DAILY if on == "*" else WEEKDAYS, clock)
    else:
        chosen = Everyday(WEEKLY, clock, weekdays=on.split(","))
    return chosen if not problems_of(chosen) and expression_of(chosen) == expression else None
