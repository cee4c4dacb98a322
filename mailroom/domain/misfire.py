"""The misfire rule: due instants become runs, or recorded decisions not to run.

An instant is missed if it is older than the grace at the time of the decision. `run_all` also runs missed instants.
`skip` records them. `run_once` records them too, but runs the latest missed instant if no instant is on time: after a
day of downtime recipients get one mail, not twenty-four.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby, islice
from typing import Final

from mailroom.domain.recurrence.upcoming import next_after, upcoming
from mailroom.domain.schedules import MisfirePolicy, Schedule

# Instants decided in one step. Further instants are due again at once, so that a year of missed minutes is decided in
# bounded steps.
STEP: Final = 200


class SkipReason(StrEnum):
    MISSED = "missed"
    PAUSED = "paused"
    ASKED = "asked"
    ARCHIVED = "archived"
    SET_ASIDE = "set aside"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Consecutive instants that do not run, stored as one record under the id of the first instant."""

    first: datetime
    last: datetime
    instants: int
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Replay:
    """A time span that a restored older copy does not contain. Its instants had their runs."""

    since: datetime
    through: datetime


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions of one planning step for one schedule, stored in one transaction."""

    due: tuple[datetime, ...]
    skipped: tuple[Skipped, ...]
    decided_through: datetime
    decided: int
    next_run_at: datetime | None


def decide(schedule: Schedule, now: datetime, *, step: int = STEP, replay: Replay | None = None) -> Decisions | None:
    """Decide the instants in (decided_through, now]; None when none is due.

    Instants within `replay` count as on time: they had their runs, which a restored older copy does not contain.
    Raises RuleRefused where the rule cannot be computed.
    """
    rule, decided = schedule.recurrence, schedule.decided
    coming = upcoming(rule, schedule.decided_through, decided=decided)
    instants: list[datetime] = []
    following: datetime | None = None
    for following in islice(coming, step + 1):
        if following > now or len(instants) == step:
            break
        instants.append(following)
        following = None
    if not instants:
        return None
    more_are_due = following is not None and following <= now
    due, skipped = _by_misfire_rule(schedule, instants, now, replay, more_are_due=more_are_due)
    return Decisions(tuple(due), _ranges(instants, skipped), instants[-1], decided + len(instants), following)


def skip_through(schedule: Schedule, end: datetime, reason: SkipReason, *, most: int = 10_000) -> Decisions:
    """Record every instant in (decided_through, end] as skipped, as one range.

    Beyond `most` instants both ends of the range are still right, and its count is `most`. Raises RuleRefused.
    """
    rule = schedule.recurrence
    instants = []
    for at in islice(upcoming(rule, schedule.decided_through, decided=schedule.decided), most):
        if at > end:
            break
        instants.append(at)
    total = schedule.decided + len(instants)
    through = max(schedule.decided_through, end)
    last = end if len(instants) == most else instants[-1] if instants else None
    ranges = (Skipped(instants[0], last, len(instants), reason),) if last else ()
    return Decisions((), ranges, through, total, next_after(rule, through, decided=total))


def skip_unasked(schedule: Schedule, end: datetime, reason: SkipReason) -> Decisions:
    """Record the instants up to `end` as skipped without computing the rule: one range from the stored next instant.

    Its count is 1, the lower bound.
    """
    first = schedule.next_run_at
    if first is None or first > end:
        return Decisions((), (), schedule.decided_through, schedule.decided, first)
    return Decisions((), (Skipped(first, end, 1, reason),), end, schedule.decided + 1, None)


def skip_counted(schedule: Schedule, skipped: Skipped) -> Decisions:
    """The schedule's newest decision again, which was to skip this range, with the instants of the range counted by the
    rule. Raises RuleRefused."""
    decided, through = schedule.decided - skipped.instants, skipped.first - timedelta(milliseconds=1)
    before = replace(schedule, decided=decided, decided_through=through)
    return skip_through(before, skipped.last, skipped.reason)


def _by_misfire_rule(
    schedule: Schedule,
    instants: list[datetime],
    now: datetime,
    replay: Replay | None,
    *,
    more_are_due: bool,
) -> tuple[list[datetime], list[datetime]]:
    on_time_since = now - timedelta(seconds=schedule.misfire.grace_s)
    again = replay or Replay(now, now)
    on_time = [at for at in instants if at >= on_time_since or again.since <= at <= again.through]
    missed = [at for at in instants if at not in on_time]
    match schedule.misfire.policy:
        case MisfirePolicy.RUN_ALL:
            return instants, []
        case MisfirePolicy.SKIP:
            return on_time, missed
        case MisfirePolicy.RUN_ONCE:
            if missed and not on_time and not more_are_due:
                return missed[-1:], missed[:-1]
            return on_time, missed


def _ranges(instants: list[datetime], skipped: list[datetime]) -> tuple[Skipped, ...]:
    """Group consecutive skipped instants into ranges."""
    runs = [list(group) for is_skipped, group in groupby(instants, key=set(skipped).__contains__) if is_skipped]
    return tuple(Skipped(run[0], run[-1], len(run), SkipReason.MISSED) for run in runs)
