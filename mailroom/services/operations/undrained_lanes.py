"""Find lanes with work that no sender drains: senders check in with their lanes (see check_ins.py), and all other lanes
with work are reported.

Nothing is decided by this. It shows a person that mails wait and no sender sends them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.ids import Lane
from mailroom.domain.lane_names import schedule_lane, schedule_of_lane
from mailroom.domain.workers import SILENT_AFTER
from mailroom.services.dispatching import lanes as dispatching_lanes
from mailroom.storage import workers
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import claims as dispatch_claims
from mailroom.storage.schedules import due_schedules, run_planning

LONG: Final = timedelta(minutes=1)
_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Undrained:
    """A lane that no sender drains. `age`: the time since its oldest work was due."""

    lane: Lane
    age: timedelta


def undrained(db: Db, *, longer_than: timedelta = LONG) -> list[Undrained]:
    """Lanes with work older than `longer_than` that no sender drains, oldest first, at most a hundred of each kind.
    Lanes that wait because a provider refuses the account are left out. Raises Unavailable."""
    now = server_now(db)
    held = workers.lanes_held(db, since=now - SILENT_AFTER)
    earlier = now - longer_than
    lanes = dispatching_lanes.lanes_wanting_work(
        db, now=earlier, ahead=timedelta(), limit=_MOST, leave_out=sorted(held)
    )
    since = _waiting_since(db, lanes, now=earlier)
    undrained_lanes = [Undrained(lane, now - at) for lane, at in since.items() if at <= earlier]
    return sorted(undrained_lanes, key=lambda lane: lane.age, reverse=True)


def _waiting_since(db: Db, lanes: Sequence[Lane], *, now: datetime) -> dict[Lane, datetime]:
    """The time from which the oldest work of each of these lanes was due."""
    since = dispatch_claims.waiting_since(db, lanes)
    ids = [id_ for id_ in map(schedule_of_lane, lanes) if id_ is not None]
    due = [(s.id, s.wanted_at) for s in due_schedules.due_among(db, ids, now=now, limit=len(ids))] if ids else []
    planning = (
        [(run.schedule_id, run.starts_at) for run in run_planning.in_planning(db, ids, limit=len(ids))] if ids else []
    )
    for id_, at in [*due, *planning]:
        lane = schedule_lane(id_)
        if at is not None:
            since[lane] = min(at, since.get(lane, at))
    return since
