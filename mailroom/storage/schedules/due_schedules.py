"""Due schedules (see schedule_document.py), and how planning moves them on."""

from collections.abc import Sequence
from datetime import datetime

from pymongo import UpdateOne

from mailroom.domain.ids import ScheduleId
from mailroom.domain.misfire import Decisions
from mailroom.domain.schedules import MOVES, Schedule, ScheduleState, ScheduleTrigger
from mailroom.storage.database import Db, Document, guarded
from mailroom.storage.guard import LaneGuard
from mailroom.storage.moves import leaving
from mailroom.storage.schedules.schedule_document import BY_NEXT_RUN, as_seen, from_document, next_look


def is_due(now: datetime) -> Document:
    """A query for schedules with an undecided instant at `now`."""
    return {"state": ScheduleState.ACTIVE, "next_run_at": {"$lte": now}}


@guarded
def due(db: Db, *, now: datetime, limit: int) -> list[ScheduleId]:
    """Schedules with an undecided instant at `now`, longest waiting first."""
    rows = db.schedules.find(is_due(now), {"_id": 1}).sort("next_run_at", 1).limit(limit)
    return [ScheduleId(doc["_id"]) for doc in rows]


@guarded
def due_among(db: Db, ids: Sequence[ScheduleId], *, now: datetime, limit: int) -> list[Schedule]:
    """The due schedules among these."""
    query = {"_id": {"$in": list(ids)}, **is_due(now)}
    return [from_document(doc) for doc in db.schedules.find(query).limit(limit)]


@guarded
def next_due_among(db: Db, ids: Sequence[ScheduleId], *, after: datetime, until: datetime) -> datetime | None:
    """The earliest instant in this span at which one of these schedules is due; None without any."""
    soon = {"state": ScheduleState.ACTIVE, "next_run_at": {"$gt": after, "$lte": until}, "_id": {"$in": list(ids)}}
    rows = db.schedules.find(soon, {"_id": 0, "next_run_at": 1}).sort("next_run_at", 1).limit(1)
    return next((doc["next_run_at"] for doc in rows.hint(list(BY_NEXT_RUN))), None)


def move_on(db: Db, moves: Sequence[tuple[Schedule, Decisions]], *, now: datetime, guard: LaneGuard) -> bool:
    """Store that instants are decided, where each schedule still is as it was read. False if one is not: then the
    transaction is to be given up, nothing of it may stand."""
    writes = [
        UpdateOne(
            {**as_seen(schedule), "state": leaving(MOVES, ScheduleTrigger.CAME_TO_END)},
            _moved(schedule, decisions, now),
        )
        for schedule, decisions in moves
    ]
    return db.schedules.bulk_write(writes, ordered=False, session=guard.session).matched_count == len(writes)


def _moved(schedule: Schedule, decisions: Decisions, now: datetime) -> Document:
    fields: Document = {
        "decided_through": decisions.decided_through,
        "decided": decisions.decided,
        "updated_at": now,
    }
    if decisions.next_run_at is not None:
        return {"$set": fields | next_look(schedule, decisions.next_run_at, since=schedule.look_at)}
    fields |= {"state": MOVES[ScheduleTrigger.CAME_TO_END][1], "version": schedule.version + 1}
    return {"$set": fields, "$unset": {"next_run_at": "", "next_due_at": ""}}


@guarded
def look_later(db: Db, looks: Sequence[tuple[Schedule, datetime]]) -> None:
    """Let planning look at these schedules again later, where each still is as it was read. Nothing is decided."""
    writes = [UpdateOne(as_seen(seen), {"$set": {"next_run_at": at}}) for seen, at in looks]
    if writes:
        db.schedules.bulk_write(writes, ordered=False)


def set_aside(db: Db, seen: Schedule, why: str, *, now: datetime, guard: LaneGuard) -> bool:
    """Pause a schedule whose rule cannot be computed. False if it has changed since it was read."""
    paused = MOVES[ScheduleTrigger.SET_ASIDE][1]
    fields = {"state": paused, "paused_at": now, "set_aside": why, "updated_at": now}
    stored = db.schedules.update_one(
        {**as_seen(seen), "state": leaving(MOVES, ScheduleTrigger.SET_ASIDE)},
        {"$set": fields | {"version": seen.version + 1}},
        session=guard.session,
    )
    return stored.matched_count == 1
