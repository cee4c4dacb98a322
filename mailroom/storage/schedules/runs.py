"""Runs by their ids, as they are added, and as they are listed (see run_document.py)."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from pymongo import DESCENDING

from mailroom.domain.errors import RunNotFound
from mailroom.domain.ids import RunId, ScheduleId
from mailroom.domain.runs import Run
from mailroom.storage.database import Db, Document, Session, guarded, insert_new
from mailroom.storage.long_readings import each_of
from mailroom.storage.schedules.run_document import from_document, to_document


def add_many(db: Db, runs: Sequence[Run], *, session: Session) -> None:
    """In the transaction that decides them. An instant that has its run or its record already keeps it."""
    stored = _stored_among(db, [run.id for run in runs], session)
    if new := [to_document(run) for run in runs if run.id not in stored]:
        insert_new(db.runs, new, session)


def _stored_among(db: Db, ids: Sequence[RunId], session: Session) -> set[RunId]:
    return {RunId(doc["_id"]) for doc in db.runs.find({"_id": {"$in": ids}}, {"_id": 1}, session=session)}


def add_once(db: Db, run: Run, *, session: Session) -> bool:
    """True if the run is new; False if it stands already."""
    made = {"$setOnInsert": to_document(run)}
    return db.runs.update_one({"_id": run.id}, made, upsert=True, session=session).matched_count == 0


@guarded
def ids_after(db: Db, run_id: str, *, limit: int) -> list[RunId]:
    """The ids of runs and of decisions not to run, in their order, after this one."""
    return [RunId(doc["_id"]) for doc in db.runs.find({"_id": {"$gt": run_id}}, {"_id": 1}).sort("_id", 1).limit(limit)]


@guarded
def get(db: Db, run_id: RunId) -> Run:
    """Raises RunNotFound."""
    run = find(db, run_id)
    if run is None:
        raise RunNotFound(run_id)
    return run


@guarded
def find(db: Db, run_id: RunId) -> Run | None:
    doc = db.runs.find_one({"_id": run_id})
    return from_document(doc) if doc else None


@guarded
def page(db: Db, *, schedule_id: ScheduleId | None, before: tuple[datetime, str] | None, limit: int) -> list[Run]:
    """Latest due instant first. `before` is the last row of the page before."""
    query: Document = {"schedule_id": schedule_id} if schedule_id else {}
    if before:
        due_at, last = before
        query["$or"] = [{"due_at": {"$lt": due_at}}, {"due_at": due_at, "_id": {"$lt": last}}]
    rows = db.runs.find(query).sort([("due_at", DESCENDING), ("_id", DESCENDING)]).limit(limit)
    return [from_document(doc) for doc in rows]


def created_between(db: Db, since: datetime, until: datetime) -> Iterator[Run]:
    """Runs and recorded decisions not to run that were made in this time, oldest first.
    Raises Unavailable."""
    made = {"created_at": {"$gte": since, "$lt": until}}
    for doc in each_of(db.runs.find(made).sort("created_at", 1)):
        yield from_document(doc)
