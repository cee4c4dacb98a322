"""The misfire rule: due instants become runs, or recorded decisions not to run.

An instant is missed if it is older than the grace at the time of the decision. `run_all` also runs missed instants.
`skip` records them. `run_once` records them too, but runs the latest missed instant if no instant is on time: after a
day of downtime recipients get one mail, not twenty-four.

In each recipient's own time the grace counts for each of them; a run is missed once it is over for all of them, and is
never made up for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby, islice
from typing import Final

from mailroom.domain.beginnings import Beginning, Spread, beginning_of
from mailroom.domain.recipient_times import DeliveryTime, RecipientTime
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
    #: Of each due instant whose run goes out in each recipient's own time.
    recipient_times: Mapping[datetime, RecipientTime] = field(default_factory=dict)


def decide(
    schedule: Schedule,
    now: datetime,
    *,
    step: int = STEP,
    replay: Replay | None = None,
    spread: Spread = frozenset(),
) -> Decisions | None:
    """Decide the instants whose runs have begun by now; None when none has. `spread`: the time zones of the contacts
    that the schedule goes to, where it goes out in their own time.

    Instants within `replay` count as on time: they had their runs, which a restored older copy does not contain.
    Raises RuleRefused where the rule cannot be computed.
    """
    rule, decided = schedule.recurrence, schedule.decided
    coming = upcoming(rule, schedule.decided_through, decided=decided)
    begun: dict[datetime, Beginning] = {}
    following: datetime | None = None
    more_are_due = False
    for following in islice(coming, step + 1):
        beginning = beginning_of(schedule, following, spread)
        more_are_due = beginning.first <= now
        if not more_are_due or len(begun) == step:
            break
        begun[following] = beginning
        following, more_are_due = None, False
    if not begun:
        return None
    instants = list(begun)
    due, skipped = _by_misfire_rule(schedule, begun, now, replay, more_are_due=more_are_due)
    return Decisions(
        tuple(due),
        _ranges(instants, skipped),
        instants[-1],
        decided + len(instants),
        following,
        _recipient_times(schedule, {at: begun[at] for at in due}, now, replay),
    )


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
    begun: Mapping[datetime, Beginning],
    now: datetime,
    replay: Replay | None,
    *,
    more_are_due: bool,
) -> tuple[list[datetime], list[datetime]]:
    grace, instants = timedelta(seconds=schedule.misfire.grace_s), list(begun)
    on_time = [at for at, run in begun.items() if run.last >= _judged_at(run, now, replay) - grace]
    missed = [at for at in instants if at not in on_time]
    if schedule.delivery is DeliveryTime.RECIPIENT_TIME:
        return on_time, missed
    match schedule.misfire.policy:
        case MisfirePolicy.RUN_ALL:
            return instants, []
        case MisfirePolicy.SKIP:
            return on_time, missed
        case MisfirePolicy.RUN_ONCE:
            if missed and not on_time and not more_are_due:
                return missed[-1:], missed[:-1]
            return on_time, missed


def _judged_at(beginning: Beginning, now: datetime, replay: Replay | None) -> datetime:
    """The time for which it is said who is late. A run that began in the lost time was on time then. One in each
    recipient's own time, which could have begun before, was decided in it: nobody is late who was not at its start."""
    if replay is None or beginning.first > replay.through:
        return now
    if beginning.wall is None and beginning.first < replay.since:
        return now
    return max(beginning.first, replay.since)


def _recipient_times(
    schedule: Schedule, begun: Mapping[datetime, Beginning], now: datetime, replay: Replay | None
) -> dict[datetime, RecipientTime]:
    fixed = {at: run.recipient_time(schedule, judged_at=_judged_at(run, now, replay)) for at, run in begun.items()}
    return {at: one for at, one in fixed.items() if one}


def _ranges(instants: list[datetime], skipped: list[datetime]) -> tuple[Skipped, ...]:
    """Group consecutive skipped instants into ranges."""
    runs = [list(group) for is_skipped, group in groupby(instants, key=set(skipped).__contains__) if is_skipped]
    return tuple(Skipped(run[0], run[-1], len(run), SkipReason.MISSED) for run in runs)
