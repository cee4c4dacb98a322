"""Runs that are not through (see run_document.py)."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from mailroom.domain.ids import RunId, ScheduleId
from mailroom.domain.runs import OPEN, RunState
from mailroom.storage.database import Db, Document, Session, guarded
from mailroom.storage.schedules.run_document import BY_DUE


class RunPlace(NamedTuple):
    """The place of a run among all runs."""

    due_at: datetime
    id: RunId


@guarded
def open_of(db: Db, schedules: Collection[ScheduleId], *, session: Session | None = None) -> dict[RunId, ScheduleId]:
    """The open runs of these schedules, each with its schedule."""
    return _open(db, {"schedule_id": {"$in": sorted(schedules)}}, session)


@guarded
def open_among(db: Db, run_ids: Collection[RunId]) -> dict[RunId, ScheduleId]:
    """The open runs among these, each with its schedule."""
    return _open(db, {"_id": {"$in": sorted(run_ids)}}) if run_ids else {}


def _open(db: Db, among: Document, session: Session | None = None) -> dict[RunId, ScheduleId]:
    rows = db.runs.find({**among, "state": {"$in": sorted(OPEN)}}, {"schedule_id": 1}, session=session)
    return {RunId(doc["_id"]): ScheduleId(doc["schedule_id"]) for doc in rows}


@guarded
def under_way_among(db: Db, schedules: Collection[ScheduleId], *, session: Session | None = None) -> set[ScheduleId]:
    """The schedules among these with an open run, or with a run whose messages do not all stand yet."""
    query = {"schedule_id": {"$in": sorted(schedules)}, "unwritten": True}
    unwritten = {ScheduleId(doc["schedule_id"]) for doc in db.runs.find(query, {"schedule_id": 1}, session=session)}
    return unwritten | set(open_of(db, schedules, session=session).values())


@guarded
def planned(db: Db, *, before: RunPlace | None = None, limit: int) -> list[RunPlace]:
    """Runs that are planned and not yet finished: a page of them, latest due instant first. `before`: the last one of
    the page before."""
    query: Document = {"state": RunState.PLANNED}
    if before:
        due_at, last = before
        query["$or"] = [{"due_at": {"$lt": due_at}}, {"due_at": due_at, "_id": {"$lt": last}}]
    rows = db.runs.find(query, {"due_at": 1}).sort(list(BY_DUE)).limit(limit)
    return [RunPlace(doc["due_at"], RunId(doc["_id"])) for doc in rows]
