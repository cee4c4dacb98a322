"""No lane with work waits for nobody: within the lease's time and 5 s of the last repair somebody drains each.

Looked at from outside, in MongoDB: what is due in a lane has moved on (claimed, told, asked about, planned), or it has
not. Where it has not, a sender that completes its rounds must have the lane in its hands, and be busy with what is more
urgent; a key in etcd is not enough. Senders that lived through the faults stay as they are: one that is started anew
forgets what it forgot.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from mailroom.domain.ids import Lane
from mailroom.domain.lane_names import SCHEDULE_LANES
from mailroom.services.dispatching import lanes as dispatching_lanes
from mailroom.storage import workers
from mailroom.storage.database import Db, server_now
from tests.chaos.world import World

_BESIDES_TTL_S: Final = 5.0
_POLL_S: Final = 0.3
_LOOKED_AT: Final = 50  # dispatches of a lane: if none of these moved, nobody drains it


@dataclass(slots=True)
class Calm:
    """What was seen of the lanes in one calm after faults."""

    at: float
    lanes: int = 0  # with work, at any time of it
    longest_s: float = 0.0  # that a lane with work waited until something in it moved
    behind: int = 0  # lanes in which nothing moved within the time, in the hands of a sender with more urgent work
    waiting: dict[str, float] = field(default_factory=dict)  # and those in nobody's hands


def watch(world: World) -> Calm:
    """From now on nothing is broken any more: see that every lane with work is drained in time."""
    limit_s = world.lease_ttl_s + _BESIDES_TTL_S
    calm, began, repaired_at = Calm(time.time()), time.monotonic(), server_now(world.system.db)
    since: dict[Lane, float] = {}
    seen: dict[Lane, Any] = {}
    lanes: set[Lane] = set()
    moment = began
    while moment < began + limit_s + _POLL_S:  # the last look is at what stands after the time is over
        now, moment = server_now(world.system.db), time.monotonic()
        wanting = dispatching_lanes.lanes_wanting_work(
            world.system.db, now=now, ahead=timedelta(), limit=1_000, leave_out=[]
        )
        lanes.update(wanting)
        for lane in set(since) - set(wanting):
            calm.longest_s = max(calm.longest_s, moment - since.pop(lane))
        for lane in wanting:
            stands = _work(world.system.db, lane, now)
            if lane in since and _is_untouched(seen[lane], stands):
                continue
            if lane in since:
                calm.longest_s = max(calm.longest_s, moment - since[lane])
            since[lane], seen[lane] = moment, stands
        time.sleep(_POLL_S)
    late = {lane: round(moment - at, 1) for lane, at in since.items() if moment - at >= limit_s}
    calm.lanes = len(lanes)
    # What a sender says at the end of a round that it completed after the last repair.
    in_hand = workers.lanes_held(world.system.db, since=repaired_at) if late else set()
    calm.waiting = {lane: waited_s for lane, waited_s in late.items() if lane not in in_hand}
    calm.behind = len(late) - len(calm.waiting)
    calm.longest_s = round(max([calm.longest_s, *calm.waiting.values()]), 1)
    return calm


def _work(db: Db, lane: Lane, now: datetime) -> dict[str, Any]:
    """What is due in a lane, as it stands."""
    due = {"lane": lane, "state": {"$in": ["pending", "sending", "in_doubt"]}, "not_before": {"$lte": now}}
    shown = {"state": 1, "attempt": 1, "claim_id": 1, "not_before": 1}
    found: dict[str, Any] = {doc.pop("_id"): doc for doc in db.dispatches.find(due, shown).limit(_LOOKED_AT)}
    if lane.startswith(SCHEDULE_LANES):
        id_ = lane.removeprefix(SCHEDULE_LANES)
        found["next run"] = db.schedules.find_one({"_id": id_}, {"next_run_at": 1})
        for run in db.runs.find({"schedule_id": id_, "state": "planning"}, {"planned_through": 1}):
            found[f"planning {run['_id']}"] = run.get("planned_through")
    return found


def _is_untouched(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """All that was due stands as it stood; what came to it says nothing."""
    return all(name in now and now[name] == stood for name, stood in before.items())
