"""Runs that wait for their feeds (see run_document.py): each is fetched, tried again, or the run is skipped."""

from collections.abc import Collection
from datetime import datetime

from mailroom.domain.ids import RunId, ScheduleId
from mailroom.domain.runs import MOVES, Run, RunTrigger
from mailroom.storage.database import Db, Document, guarded
from mailroom.storage.guard import LaneGuard
from mailroom.storage.moves import leaving
from mailroom.storage.schedules.run_document import from_document


def awaits_feed_by(now: datetime) -> Document:
    """A query for runs whose feeds are to be fetched at `now`."""
    return {"awaits_feed": {"$lte": now}}


@guarded
def awaiting_feeds(db: Db, schedules: Collection[ScheduleId], *, now: datetime, limit: int) -> list[Run]:
    """Runs of these schedules whose feeds are to be fetched now, longest waiting first; without paused runs."""
    query = {**awaits_feed_by(now), "schedule_id": {"$in": sorted(schedules)}, "paused_at": {"$exists": False}}
    return [from_document(doc) for doc in db.runs.find(query).sort("awaits_feed", 1).hint("awaits_feed").limit(limit)]


@guarded
def schedules_awaiting_feeds(db: Db, *, now: datetime, limit: int, but: Collection[RunId]) -> list[ScheduleId]:
    """Schedules with a run whose feed is to be fetched now, longest waiting first; runs in `but` do not count."""
    query = {**awaits_feed_by(now), "_id": {"$nin": sorted(but)}}
    rows = db.runs.find(query, {"schedule_id": 1}).sort("awaits_feed", 1).hint("awaits_feed").limit(limit)
    return list(dict.fromkeys(ScheduleId(doc["schedule_id"]) for doc in rows))


@guarded
def feed_came(db: Db, run_id: RunId) -> None:
    """The run has its copy of the feed: its messages may be written."""
    db.runs.update_one({"_id": run_id}, {"$unset": {"awaits_feed": "", "feed_problem": ""}})


@guarded
def feed_failed(db: Db, run_id: RunId, problem: str, *, again_at: datetime) -> None:
    """Note a fetch that failed, of a run that still waits for its feed."""
    note = {"$set": {"awaits_feed": again_at, "feed_problem": problem}, "$inc": {"feed_tries": 1}}
    db.runs.update_one({"_id": run_id, "awaits_feed": {"$exists": True}}, note)


def skip(db: Db, run_id: RunId, reason: str, *, guard: LaneGuard) -> bool:
    """True if the run waited for its feed, was not paused, and is skipped now."""
    waiting = {
        "_id": run_id,
        "state": leaving(MOVES, RunTrigger.SKIPPED),
        "awaits_feed": {"$exists": True},
        "paused_at": {"$exists": False},
    }
    change = {"$set": {"state": MOVES[RunTrigger.SKIPPED][1], "reason": reason}, "$unset": {"awaits_feed": ""}}
    return db.runs.update_one(waiting, change, session=guard.session).matched_count == 1
