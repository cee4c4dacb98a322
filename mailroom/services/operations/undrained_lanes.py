"""Find lanes whose work no sender drains: senders check in with the lanes that they hold, and all other lanes with work
are reported.

Nothing is decided by this. It shows a person that mails wait and nobody will send them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.ids import Lane, schedule_lane, schedule_of_lane
from mailroom.services.dispatching import lanes as dispatching_lanes
from mailroom.storage import workers
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import claims as dispatch_claims
from mailroom.storage.schedules import runs, schedules

CHECK_IN_S: Final = 10.0  # at most; a sender with a shorter lease checks in once a lease time
_BELIEVED: Final = timedelta(seconds=30)  # a sender without a check-in for so long gets nothing done
LONG: Final = timedelta(minutes=1)
_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Undrained:
    """A lane that no sender holds. `age`: for how long its oldest work has been due."""

    lane: Lane
    age: timedelta


def check_in(db: Db, sender: str, lanes: Sequence[Lane]) -> None:
    """Note that this sender is at work and holds these lanes. Raises Unavailable."""
    workers.check_in(db, sender, lanes)


def undrained(db: Db, *, longer_than: timedelta = LONG) -> list[Undrained]:
    """Lanes with work older than `longer_than` that no sender drains, oldest first, at most a hundred of each kind.
    Lanes that wait because a provider refuses the account are left out. Raises Unavailable."""
    now = server_now(db)
    held = workers.lanes_held(db, since=now - _BELIEVED)
    earlier = now - longer_than
    lanes = dispatching_lanes.lanes_wanting_work(
        db, now=earlier, ahead=timedelta(), limit=_MOST, leave_out=sorted(held)
    )
    since = _waiting_since(db, lanes, now=earlier)
    found = [Undrained(lane, now - at) for lane, at in since.items() if at <= earlier]
    return sorted(found, key=lambda one: one.age, reverse=True)


def _waiting_since(db: Db, lanes: Sequence[Lane], *, now: datetime) -> dict[Lane, datetime]:
    """The time from which the oldest work of each of these lanes was due."""
    found = dispatch_claims.waiting_since(db, lanes)
    ids = [id_ for id_ in map(schedule_of_lane, lanes) if id_ is not None]
    due = [(one.id, one.next_run_at) for one in schedules.due_among(db, ids, now=now, limit=len(ids))] if ids else []
    planning = [(run.schedule_id, run.due_at) for run in runs.in_planning(db, ids, limit=len(ids))] if ids else []
    for id_, at in [*due, *planning]:
        lane = schedule_lane(id_)
        if at is not None:
            found[lane] = min(at, found.get(lane, at))
    return found
