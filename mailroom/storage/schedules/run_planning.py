"""Planning of runs (see run_document.py): the runs whose messages are to be written, and how far they are written."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from pymongo import UpdateOne

from mailroom.domain.ids import ScheduleId
from mailroom.domain.runs import MOVES, Run, RunState, RunTrigger
from mailroom.storage.database import Db, Document, guarded
from mailroom.storage.guard import LaneGuard
from mailroom.storage.moves import leaving
from mailroom.storage.schedules.run_document import from_document

#: Runs whose messages are to be sent, then those whose messages are only to be written down.
TO_WRITE: Final[Sequence[Document]] = (
    {"state": RunState.PLANNING, "awaits_feed": {"$exists": False}},
    {"unwritten": True},
)


@guarded
def schedules_in_planning(db: Db, *, limit: int) -> list[ScheduleId]:
    """Schedules with a run whose messages can be written now, longest waiting first; of cancelled runs last."""
    rows = [doc for which in TO_WRITE for doc in db.runs.find(which, {"schedule_id": 1}).sort("due_at", 1).limit(limit)]
    return list(dict.fromkeys(ScheduleId(doc["schedule_id"]) for doc in rows))[:limit]


@guarded
def in_planning(db: Db, schedules: Sequence[ScheduleId], *, limit: int) -> list[Run]:
    """For each of these schedules its earliest run whose messages do not all stand yet, and that does not wait for its
    feed; longest due first, and runs to write down only after runs to send."""
    found: dict[str, Run] = {}
    for which in TO_WRITE:
        rows = db.runs.aggregate(
            [
                {"$match": {**which, "schedule_id": {"$in": list(schedules)}}},
                {"$sort": {"due_at": 1}},
                # One a schedule: a backlog of one does not hide the others.
                {"$group": {"_id": "$schedule_id", "run": {"$first": "$$ROOT"}}},
                {"$replaceRoot": {"newRoot": "$run"}},
                {"$sort": {"due_at": 1}},
                {"$limit": limit},
            ]
        )
        for doc in rows:
            found.setdefault(doc["schedule_id"], from_document(doc))
    return list(found.values())[:limit]


class Step(NamedTuple):
    """How far a run is planned: its members up to a place, so many more of them and of dispatches. `counts`: only now
    it is known how many members there are."""

    run: Run
    through: str
    members: int
    dispatches: int
    is_last: bool
    counts: bool = False


def advance(db: Db, steps: Sequence[Step], *, now: datetime, guard: LaneGuard) -> bool:
    """Write these steps down, provided that each run is in the state and stands where it was read. False if one does
    not."""
    writes = []
    for run, through, members, dispatches, is_last, counts in steps:
        counted = {"chunks": dispatches, "placed": members}
        change: Document = {"$set": {"planned_through": through}, "$inc": counted}
        if is_last and counts:
            change["$set"] |= {"recipients": run.placed + members}
        if is_last and run.unwritten:
            change["$unset"] = {"unwritten": ""}
        elif is_last:
            change["$set"] |= {"state": MOVES[RunTrigger.PLANNED][1], "planned_at": now}
        # Of a cancelled run the rest of the messages is written too; that moves no state.
        state = run.state if run.unwritten else leaving(MOVES, RunTrigger.PLANNED)
        expected = {"_id": run.id, "state": state, "planned_through": run.planned_through}
        writes.append(UpdateOne(expected, change))
    return db.runs.bulk_write(writes, ordered=False, session=guard.session).matched_count == len(writes)
