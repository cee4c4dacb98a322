"""Runs that are not through (see run_document.py)."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from pymongo import DESCENDING

from mailroom.domain.ids import RunId, ScheduleId
from mailroom.domain.runs import OPEN, RunState
from mailroom.storage.database import Db, Document, Session, guarded
from mailroom.storage.paging import ListOrder, Place, read
from mailroom.storage.schedules.run_document import IN_STATE

_BY_DUE: Final = ListOrder("due_at", DESCENDING)


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
def planned(db: Db, *, before: Place | None = None, limit: int) -> list[tuple[datetime, RunId]]:
    """Runs that are planned and not yet finished: the places of a page of them, latest due instant first. `before`: the
    last place of the page before."""
    rows = read(db.runs, {"state": RunState.PLANNED}, _BY_DUE, index=IN_STATE, after=before, limit=limit)
    return [(doc["due_at"], RunId(doc["_id"])) for doc in rows]
