"""When a run begins: at its due instant; or, in each recipient's own time, when the wall time of its due instant comes
in the earliest zone of its contacts. The due instant is the schedule's own: it may be up to 26 hours later, or earlier.

Contacts come and go meanwhile. So planning looks at such a schedule again at each instant at which the wall time comes
somewhere in the world, and begins the run at the first one that some contact has reached.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from mailroom.domain import recipient_times
from mailroom.domain.recipient_times import DeliveryTime, RecipientTime
from mailroom.domain.recurrence.model import RuleRefused
from mailroom.domain.recurrence.upcoming import wall_time
from mailroom.domain.schedules import Schedule

#: The time zones of the contacts that a schedule goes to, '' where some have none.
Spread = frozenset[str]


@dataclass(frozen=True, slots=True)
class Beginning:
    """When the first recipient of a run is to get it, and the last one. `wall`: the wall time, in each recipient's own
    time; None at the due instant for everybody."""

    first: datetime
    last: datetime
    wall: datetime | None = None

    def recipient_time(self, schedule: Schedule, *, judged_at: datetime) -> RecipientTime | None:
        """What a run fixes that is decided at `judged_at`; None if everybody gets it at once."""
        if self.wall is None:
            return None
        late_before = judged_at - timedelta(seconds=schedule.misfire.grace_s)
        return RecipientTime(self.wall, schedule.default_zone, self.first, late_before)


def beginning_of(schedule: Schedule, at: datetime, spread: Spread) -> Beginning:
    """When the run of the due instant `at` begins, and when the time of its last recipients comes.

    Never before planning began to look: a contact whose time had passed when it came in makes no run begin earlier.
    """
    if schedule.delivery is DeliveryTime.SCHEDULE_TIME:
        return Beginning(at, at)
    wall = wall_time(schedule.recurrence, at)
    first, last = recipient_times.first_and_last(wall, spread, default_zone=schedule.default_zone)
    looked = schedule.look_at or first
    return Beginning(max(first, looked), last, wall)


def first_look(schedule: Schedule, at: datetime | None, *, since: datetime | None) -> datetime | None:
    """When planning looks at the schedule for its due instant `at`; None without one. Not before `since`. A rule that
    cannot be computed any more is looked at when it was due."""
    if at is None or schedule.delivery is DeliveryTime.SCHEDULE_TIME:
        return at
    try:
        anywhere = recipient_times.instants_anywhere(wall_time(schedule.recurrence, at))[0]
    except RuleRefused:
        return at
    return max(anywhere, since) if since else anywhere


def next_look(schedule: Schedule, now: datetime) -> datetime | None:
    """When planning looks again at a schedule none of whose contacts have reached its next wall time; None if nobody
    can be waited for any more."""
    if schedule.next_run_at is None or schedule.delivery is DeliveryTime.SCHEDULE_TIME:
        return None
    anywhere = recipient_times.instants_anywhere(wall_time(schedule.recurrence, schedule.next_run_at))
    return next((at for at in anywhere if at > now), None)
