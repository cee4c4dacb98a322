"""The due instants of RFC 5545 recurrence rules, in naive local time (docs/adr/0005-recurrence.md).

- DAILY and rarer rules name wall-clock times: mapped by `wallclock.to_instant`.
- HOURLY and MINUTELY without BY parts go by elapsed time from the anchor.
- HOURLY and MINUTELY with BY parts name local times: a time that the clocks skip is left out, a time that occurs twice
  runs twice, as for a wildcard in cron.

The work is bounded for any rule: a walk begins at the period of the first wanted instant, ends with the year 2240, and
visits each day once. `parts.MAX_TIMES` limits the times of a day in a rule.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final

from mailroom.domain.recurrence import parts, wallclock
from mailroom.domain.recurrence.days import LAST_YEAR, Days, completed
from mailroom.domain.recurrence.model import Recurrence
from mailroom.domain.recurrence.parts import Rule

_STEPS: Final = {"HOURLY": timedelta(hours=1), "MINUTELY": timedelta(minutes=1)}
_DAY: Final = timedelta(days=1)
_UNITS_A_DAY: Final = {"HOURLY": 24, "MINUTELY": 1_440}
_MOST_DAYS: Final = {"DAILY": 1, "WEEKLY": 7, "MONTHLY": 31, "YEARLY": 366}  # days of a period


def instants(recurrence: Recurrence, after: datetime) -> Iterator[datetime]:
    """The due instants strictly after `after`, in order, without bounds. Raises RuleRefused."""
    rule = parts.read(recurrence.expression)
    if rule.goes_by_elapsed_time:
        return _by_elapsed_time(recurrence, rule, after)
    start = wallclock.search_start(after, recurrence.zone)
    expand = wallclock.at_every_pass if rule.is_sub_daily else wallclock.once_each
    return expand(_local_times(recurrence, rule, start), recurrence.zone, after)


def names_wall_clock_times(expression: str) -> bool:
    return not parts.read(expression).is_sub_daily


def skipped_times(recurrence: Recurrence, gap: tuple[datetime, datetime]) -> list[datetime]:
    """The local times of a DAILY or rarer rule that lie in a gap [from, to) of the clocks."""
    start, end = gap
    skipped = []
    for local in _local_times(recurrence, parts.read(recurrence.expression), start):
        if local >= end:
            break
        skipped.append(local)
    return skipped


def _by_elapsed_time(recurrence: Recurrence, rule: Rule, after: datetime) -> Iterator[datetime]:
    step = _STEPS[rule.frequency] * rule.interval
    first = 0 if recurrence.starts_at else 1
    end = datetime(LAST_YEAR, 12, 31, tzinfo=UTC)
    if rule.until:
        end = min(end, _until_instant(recurrence, rule, rule.until))
    last = (end - recurrence.anchor) // step
    if rule.count:
        last = min(last, first + rule.count - 1)
    number = max(first, (after - recurrence.anchor) // step + 1)
    return (recurrence.anchor + n * step for n in range(number, last + 1))


def _local_times(recurrence: Recurrence, rule: Rule, start: datetime) -> Iterator[datetime]:
    """The rule's naive local times at or after `start`, from its anchor to its COUNT or UNTIL."""
    anchor = recurrence.anchor.astimezone(recurrence.zone).replace(tzinfo=None, microsecond=0)
    # Without starts_at a rule counts from its creation; the creation time itself is no occurrence.
    first = anchor if recurrence.starts_at else anchor + timedelta(seconds=1)
    last = None
    if rule.until:
        until = _until_instant(recurrence, rule, rule.until) if rule.until_is_utc else None
        last = until.astimezone(recurrence.zone).replace(tzinfo=None) if until else rule.until
    if rule.count:
        last = _end_of_count(rule, anchor, first)
    for local in _unbounded(rule, anchor, max(first, start)):
        if last and local > last:
            return
        yield local


@lru_cache(maxsize=4096)
def _end_of_count(rule: Rule, anchor: datetime, first: datetime) -> datetime | None:
    """The last local time of a rule with a COUNT; None if the rule has fewer."""
    return next(islice(_unbounded(rule, anchor, first), (rule.count or 1) - 1, None), None)


def _unbounded(rule: Rule, anchor: datetime, start: datetime) -> Iterator[datetime]:
    """The rule's local times at or after `start`, without COUNT and UNTIL."""
    rule = completed(rule, anchor)
    times = _within_days(rule, anchor, start.date()) if rule.is_sub_daily else _by_period(rule, anchor, start.date())
    return (local for local in times if local >= start)


def _by_period(rule: Rule, anchor: datetime, since: date) -> Iterator[datetime]:
    """Local times of a DAILY or rarer rule, from the period of `since` on."""
    times, positions = _times(rule), rule.by_set_position
    most = _MOST_DAYS[rule.frequency] * len(times)
    if positions and not _positions(positions, most):
        return  # no set is that large, so no walk is needed
    if rule.frequency == "DAILY" and positions:
        times, positions = [times[place] for place in _positions(positions, most)], ()
    first = since.toordinal()
    for days in Days(rule, anchor.date()).periods(since):
        if positions:
            for place in _positions(positions, len(days) * len(times)):
                yield datetime.fromordinal(days[place // len(times)]) + times[place % len(times)]
            continue
        for day in days:
            if day >= first:
                midnight = datetime.fromordinal(day)
                yield from (midnight + at for at in times)


def _positions(numbers: tuple[int, ...], length: int) -> list[int]:
    """The positions that BYSETPOS selects in a set of this length, from 0."""
    places = {number - 1 if number > 0 else length + number for number in numbers}
    return sorted(place for place in places if 0 <= place < length)


def _within_days(rule: Rule, anchor: datetime, since: date) -> Iterator[datetime]:
    """Local times of an HOURLY or MINUTELY rule with BY parts, from the day `since` on."""
    units = _UNITS_A_DAY[rule.frequency]
    counted_from = anchor.toordinal() * units + (anchor.hour if units == 24 else anchor.hour * 60 + anchor.minute)
    times_from = _times_by_first_unit(rule, units)
    for day in Days(rule, anchor.date()).matching(since):
        first_unit = (counted_from - day * units) % rule.interval
        if first_unit < units:
            midnight = datetime.fromordinal(day)
            yield from (midnight + at for at in times_from(first_unit))


def _times_by_first_unit(rule: Rule, units: int) -> Callable[[int], Sequence[timedelta]]:
    """The times of a day, by the first hour or minute of the day that INTERVAL reaches. Each list is computed once."""
    by_unit: dict[int, list[timedelta]] = {}
    for at in _times(rule):
        by_unit.setdefault(at // (_DAY / units), []).append(at)
    cache: dict[int, Sequence[timedelta]] = {}

    def times(first_unit: int) -> Sequence[timedelta]:
        if first_unit not in cache:
            reached = range(first_unit, units, rule.interval)
            cache[first_unit] = [at for unit in reached for at in by_unit.get(unit, ())]
        return cache[first_unit]

    return times


def _times(rule: Rule) -> Sequence[timedelta]:
    """The times of day that a completed rule names, as time since midnight."""
    hours, minutes = rule.by_hour or range(24), rule.by_minute or range(60)
    return [
        timedelta(hours=hour, minutes=minute, seconds=second)
        for hour in hours
        for minute in minutes
        for second in rule.by_second
    ]


def _until_instant(recurrence: Recurrence, rule: Rule, until: datetime) -> datetime:
    return until.replace(tzinfo=UTC) if rule.until_is_utc else wallclock.to_instant(until, recurrence.zone)
