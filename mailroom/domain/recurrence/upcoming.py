"""The due instants of any recurrence, within its bounds, with notes where clocks change; and their wall times."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from mailroom.domain.instants import to_instant
from mailroom.domain.recurrence import cron, rrule, wallclock
from mailroom.domain.recurrence.model import Kind, Occurrence, Recurrence


def upcoming(rule: Recurrence, after: datetime, *, decided: int = 0) -> Iterator[datetime]:
    """The due instants strictly after `after`, in order, within starts_at, ends_at and max_runs (all inclusive).

    `decided`: the number of instants already decided. They count against max_runs.
    """
    if rule.starts_at is not None:
        after = max(after, rule.starts_at - timedelta(milliseconds=1))
    within = _unbounded(rule, after)
    if rule.max_runs is not None:
        within = islice(within, max(0, rule.max_runs - decided))
    try:
        for at in within:
            if rule.ends_at is not None and at > rule.ends_at:
                return
            yield to_instant(at)
    except OverflowError:
        return  # no instant is due after the year 9999


def next_after(rule: Recurrence, after: datetime, *, decided: int = 0) -> datetime | None:
    """The first due instant after `after`, or None."""
    return next(upcoming(rule, after, decided=decided), None)


def next_occurrences(rule: Recurrence, after: datetime, count: int, *, decided: int = 0) -> list[Occurrence]:
    """Up to `count` due instants with their notes."""
    return [Occurrence(at, note(rule, at)) for at in islice(upcoming(rule, after, decided=decided), count)]


def note(rule: Recurrence, at: datetime) -> str | None:
    """A sentence about a clock change that moved or doubled this instant's wall-clock time; None on ordinary days."""
    local = at.astimezone(rule.zone).replace(tzinfo=None)
    skipped = _skipped_times(rule, at)
    if skipped:
        times = " and ".join(f"{time:%H:%M}" for time in skipped)
        verb = "do" if len(skipped) > 1 else "does"
        why = f"{times} {verb} not exist on this day: the clocks go forward"
        return f"{why}; it runs right after the jump, at {local:%H:%M}"
    if not wallclock.comes_twice(local, rule.zone):
        return None
    if names_wall_clock_times(rule):
        return f"{local:%H:%M} comes twice on this day: the clocks go back; it runs once, the first time"
    which = "first" if local.replace(tzinfo=rule.zone, fold=0).astimezone(UTC) == at else "second"
    return f"{local:%H:%M} comes twice on this day: the clocks go back; this is the {which} time"


def wall_time(rule: Recurrence, at: datetime) -> datetime:
    """The naive time that the rule names for a due instant of its own: also the one that its zone's clocks skip."""
    skipped = _skipped_times(rule, at)
    return skipped[0] if skipped else at.astimezone(rule.zone).replace(tzinfo=None)


def _unbounded(rule: Recurrence, after: datetime) -> Iterator[datetime]:
    match rule.kind:
        case Kind.ONCE:
            return _once(rule, after)
        case Kind.EVERY:
            return _every(rule, after)
        case Kind.CRON:
            return cron.instants(rule, after)
        case Kind.RRULE:
            return rrule.instants(rule, after)


def _once(rule: Recurrence, after: datetime) -> Iterator[datetime]:
    if rule.at is None:
        raise ValueError("a recurrence of the kind 'once' needs its time")
    at = wallclock.to_instant(rule.at, rule.zone)
    if at > after:
        yield at


def _every(rule: Recurrence, after: datetime) -> Iterator[datetime]:
    step = timedelta(seconds=rule.seconds)
    passed = max(0, (after - rule.anchor) // step + 1)
    at = rule.anchor + passed * step
    if rule.starts_at is None and passed == 0:
        at += step  # counted from creation, the first instant is one interval later
    while True:
        yield at
        at += step


def names_wall_clock_times(rule: Recurrence) -> bool:
    """True if the rule names times of the day; False if it goes by elapsed time."""
    match rule.kind:
        case Kind.ONCE:
            return True
        case Kind.CRON:
            return cron.is_fixed(rule.expression)
        case Kind.RRULE:
            return rrule.names_wall_clock_times(rule.expression)
        case Kind.EVERY:
            return False


def _skipped_times(rule: Recurrence, at: datetime) -> list[datetime]:
    gap = wallclock.skipped_by(at, rule.zone)
    if gap is None or not names_wall_clock_times(rule):
        return []
    if rule.kind is Kind.ONCE:
        return [rule.at] if rule.at and gap[0] <= rule.at < gap[1] else []
    if rule.kind is Kind.CRON:
        return cron.skipped_times(rule, gap)
    return rrule.skipped_times(rule, gap)
