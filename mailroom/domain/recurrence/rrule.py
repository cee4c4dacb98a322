"""RFC 5545 recurrence rules, by dateutil, expanded in naive local time (docs/adr/0005-recurrence.md).

dateutil on aware times doubles or skips hours on clock-change nights, so it is only given naive ones:

- DAILY and rarer name wall-clock times: mapped by `wallclock.to_instant`.
- HOURLY and MINUTELY without BY parts go by elapsed time: expanded in UTC from the anchor.
- HOURLY and MINUTELY with BY parts name local times: one that the clocks skip is left out, one that comes twice
  runs twice, as a wildcard in cron does.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from dateutil.rrule import rrule, rrulestr

from mailroom.domain.recurrence import wallclock
from mailroom.domain.recurrence.model import Recurrence

_SUB_DAILY: Final = {"HOURLY": timedelta(hours=1), "MINUTELY": timedelta(minutes=1)}
_BY_DAYS: Final = {"DAILY": timedelta(days=1), "WEEKLY": timedelta(weeks=1)}
_SUB_DAILY_BY: Final = {"BYDAY", "BYHOUR", "BYMINUTE"}
_PARTS: Final = {
    "FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYSETPOS",
    "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND",
}  # fmt: skip
MAX_COUNT: Final = 100_000


def parts_of(expression: str) -> dict[str, str]:
    """`FREQ=WEEKLY;BYDAY=MO` as a mapping. Raises ValueError with words for a user."""
    text = expression.strip().upper().removeprefix("RRULE:")
    if re.search(r"\s|DTSTART|RDATE|EXDATE|EXRULE", text):
        raise ValueError("write one rule such as FREQ=WEEKLY;BYDAY=MO; its start belongs in starts_at")
    parts: dict[str, str] = {}
    for part in text.strip(";").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise ValueError(f"'{part}' is not NAME=VALUE")
        if name not in _PARTS:
            raise ValueError(f"'{name}' is no part of a recurrence rule")
        if name in parts:
            raise ValueError(f"'{name}' is given twice")
        parts[name] = value
    return parts


def check(expression: str) -> None:
    """Raise ValueError, with words for a user, unless the rule can be computed in bounded time."""
    parts = parts_of(expression)
    frequency = parts.get("FREQ")
    if frequency is None:
        raise ValueError("FREQ is needed, for example FREQ=WEEKLY;BYDAY=MO")
    if frequency == "SECONDLY":
        raise ValueError("FREQ=SECONDLY is not offered; use the kind 'every'")
    if "COUNT" in parts and "UNTIL" in parts:
        raise ValueError("COUNT and UNTIL exclude each other (RFC 5545 3.3.10)")
    for name in ("COUNT", "INTERVAL"):
        if name in parts and not (
            parts[name].isdecimal() and parts[name].isascii() and 1 <= int(parts[name]) <= MAX_COUNT
        ):
            raise ValueError(f"{name} is a whole number from 1 to {MAX_COUNT}")
    if frequency == "DAILY" and "BYSETPOS" in parts:
        raise ValueError("BYSETPOS goes with FREQ=WEEKLY, MONTHLY or YEARLY")
    if frequency in _SUB_DAILY:
        surplus = {name for name in parts if name.startswith("BY")} - _SUB_DAILY_BY
        if surplus:
            raise ValueError(f"FREQ={frequency} takes only {', '.join(sorted(_SUB_DAILY_BY))}, not {min(surplus)}")
    # dateutil walks a rule that never fires to the year 9999: 8,000 steps when asked by the year, millions by the day.
    by_the_year = {name: value for name, value in parts.items() if name.startswith("BY") and name != "BYSETPOS"}
    try:
        probe = _rule({"FREQ": "YEARLY", **by_the_year}, datetime(2024, 1, 1), None)  # noqa: DTZ001
        fires = frequency in _SUB_DAILY or next(iter(probe), None)
        _rule(parts, datetime(2024, 1, 1), None)  # noqa: DTZ001
    except ValueError as error:
        raise ValueError(f"not a recurrence rule: {error}") from None
    if not fires:
        raise ValueError("this rule never fires")


def instants(recurrence: Recurrence, after: datetime) -> Iterator[datetime]:
    """The due instants strictly after `after`, in order, without bounds."""
    parts = parts_of(recurrence.expression)
    step = _SUB_DAILY.get(parts["FREQ"])
    if step is None:
        return _by_wall_clock(recurrence, parts, after)
    if any(name.startswith("BY") for name in parts):
        return _by_local_times(recurrence, parts, step, after)
    return _by_elapsed_time(recurrence, parts, step, after)


def skipped_times(recurrence: Recurrence, gap: tuple[datetime, datetime]) -> list[datetime]:
    """The local times of a DAILY or rarer rule that lie in a gap [from, to) of the clocks."""
    start, end = gap
    rule = _rule(parts_of(recurrence.expression), _local(recurrence.anchor, recurrence), recurrence)
    return [local for local in rule.between(start, end, inc=True) if local < end]


def _by_wall_clock(recurrence: Recurrence, parts: dict[str, str], after: datetime) -> Iterator[datetime]:
    start = wallclock.search_start(after, recurrence.zone) - timedelta(seconds=1)
    dtstart = _local(recurrence.anchor, recurrence)
    if parts["FREQ"] in _BY_DAYS:
        dtstart = _nearer(dtstart, start, _BY_DAYS[parts["FREQ"]], parts)
    rule = _rule(parts, dtstart, recurrence)
    return wallclock.once_each(rule.xafter(start), recurrence.zone, after)


def _by_local_times(
    recurrence: Recurrence, parts: dict[str, str], step: timedelta, after: datetime
) -> Iterator[datetime]:
    start = wallclock.search_start(after, recurrence.zone) - timedelta(seconds=1)
    dtstart = _nearer(_local(recurrence.anchor, recurrence), start, step, parts)
    return wallclock.at_every_pass(_rule(parts, dtstart, recurrence).xafter(start), recurrence.zone, after)


def _by_elapsed_time(
    recurrence: Recurrence, parts: dict[str, str], step: timedelta, after: datetime
) -> Iterator[datetime]:
    anchor = recurrence.anchor.astimezone(UTC).replace(tzinfo=None)
    start = after.astimezone(UTC).replace(tzinfo=None)
    for naive in _rule(parts, _nearer(anchor, start, step, parts), recurrence, utc=True).xafter(start):
        yield naive.replace(tzinfo=UTC)


def _local(instant: datetime, recurrence: Recurrence) -> datetime:
    return instant.astimezone(recurrence.zone).replace(tzinfo=None)


def _nearer(anchor: datetime, start: datetime, step: timedelta, parts: dict[str, str]) -> datetime:
    """The anchor put forward by whole intervals to shortly before `start`: years are not walked through."""
    stride = step * int(parts.get("INTERVAL", "1"))
    passed = (start - anchor) // stride - 1
    if "COUNT" in parts or passed <= 0:
        return anchor
    return anchor + passed * stride


def _rule(parts: dict[str, str], dtstart: datetime, recurrence: Recurrence | None, *, utc: bool = False) -> rrule:
    """dateutil's rule over naive times; an UNTIL in UTC is brought into the naive time that the rule runs in."""
    dtstart = dtstart.replace(microsecond=0)
    text = ";".join(f"{name}={value}" for name, value in parts.items() if name != "UNTIL")
    rule = rrulestr(text, dtstart=dtstart, cache=False)
    if not isinstance(rule, rrule):
        raise ValueError("one rule is expected")
    until = _until(parts.get("UNTIL"), recurrence, utc=utc)
    return rule.replace(until=until) if until else rule


def _until(text: str | None, recurrence: Recurrence | None, *, utc: bool) -> datetime | None:
    if text is None:
        return None
    layout = {8: "%Y%m%d", 15: "%Y%m%dT%H%M%S", 16: "%Y%m%dT%H%M%SZ"}.get(len(text))
    if layout is None:
        raise ValueError("UNTIL is written 20261231, 20261231T090000 or 20261231T080000Z")
    until = datetime.strptime(text, layout)  # noqa: DTZ007 - given its zone below
    if not 1970 <= until.year <= 2200:
        raise ValueError("UNTIL is a year from 1970 to 2200")
    if len(text) == 8:
        until += timedelta(days=1, seconds=-1)  # a date names its whole day
    if recurrence is None:
        return until
    in_utc = until.replace(tzinfo=UTC) if text.endswith("Z") else wallclock.to_instant(until, recurrence.zone)
    return in_utc.astimezone(UTC if utc else recurrence.zone).replace(tzinfo=None)
