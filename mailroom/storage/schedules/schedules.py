"""Schedules by their ids, as they are stored, changed and listed (see schedule_document.py)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from pymongo import DESCENDING
from pymongo.errors import DuplicateKeyError

from mailroom.domain.errors import ScheduleNotFound, StaleEdit
from mailroom.domain.ids import ScheduleId
from mailroom.domain.schedules import MOVES, Schedule, ScheduleState, ScheduleTrigger
from mailroom.storage.database import MOST_COUNTED, Db, Document, Session, guarded
from mailroom.storage.long_readings import each_of
from mailroom.storage.moves import leaving
from mailroom.storage.schedules.schedule_document import BY_CREATION, as_seen, from_document, to_document

# Fields that a schedule may lose.
_UNSET: Final = (
    *("next_run_at", "paused_at", "restored_at", "restored_by", "set_aside"),
    *("delivery", "default_time_zone", "next_due_at"),
)


class AlreadyStored(Exception):
    """A schedule with this id stands already."""


def add(db: Db, schedule: Schedule, *, request_digest: str, session: Session) -> None:
    """Raises AlreadyStored."""
    try:
        db.schedules.insert_one(to_document(schedule) | {"request_digest": request_digest}, session=session)
    except DuplicateKeyError:
        raise AlreadyStored(schedule.id) from None


@guarded
def get(db: Db, schedule_id: ScheduleId) -> Schedule:
    """Raises ScheduleNotFound."""
    doc = db.schedules.find_one({"_id": schedule_id})
    if doc is None:
        raise ScheduleNotFound(schedule_id)
    return from_document(doc)


@guarded
def names(db: Db, ids: Sequence[ScheduleId]) -> dict[ScheduleId, str]:
    """The names of these schedules, for lists of runs."""
    return {doc["_id"]: doc["name"] for doc in db.schedules.find({"_id": {"$in": list(ids)}}, {"name": 1})}


def paused_among(db: Db, ids: Collection[ScheduleId], *, session: Session) -> set[ScheduleId]:
    query = {"_id": {"$in": sorted(ids)}, "state": ScheduleState.PAUSED}
    return {ScheduleId(doc["_id"]) for doc in db.schedules.find(query, {"_id": 1}, session=session)}


@guarded
def page(db: Db, *, state: ScheduleState | None, before: tuple[datetime, str] | None, limit: int) -> list[Schedule]:
    """Newest first; archived ones only where asked for. `before` is the last row of the page before."""
    query: Document = {"state": state} if state else {"state": {"$ne": ScheduleState.ARCHIVED}}
    if before:
        created_at, last = before
        query["$or"] = [{"created_at": {"$lt": created_at}}, {"created_at": created_at, "_id": {"$lt": last}}]
    rows = db.schedules.find(query).sort([("created_at", DESCENDING), ("_id", DESCENDING)]).limit(limit)
    return [from_document(doc) for doc in rows]


def everyone(db: Db) -> Iterator[Schedule]:
    """Every schedule, whatever its state. Raises Unavailable."""
    for doc in each_of(db.schedules.find()):
        yield from_document(doc)


def still_in(db: Db, seen: Schedule, *, session: Session) -> bool:
    """True if the schedule is still in the state that was seen. A change of state before the end of this transaction
    collides with it."""
    in_its_state = {"_id": seen.id, "state": seen.state}
    return db.schedules.update_one(in_its_state, {"$inc": {"asked": 1}}, session=session).matched_count == 1


def replace(
    db: Db, schedule: Schedule, *, seen: Schedule, trigger: ScheduleTrigger | None = None, session: Session
) -> None:
    """Store a changed schedule, provided that it still stands as it was seen: same version, same instants decided, and
    a state that the trigger leads away from; without a trigger the state stays.

    Raises ScheduleNotFound, StaleEdit.
    """
    fields = to_document(schedule) | {"state": MOVES[trigger][1] if trigger else seen.state}
    del fields["_id"], fields["created_at"]
    unset = {name: "" for name in _UNSET if name not in fields}
    stored = db.schedules.update_one(
        {**as_seen(seen), "state": leaving(MOVES, trigger) if trigger else seen.state},
        {"$set": fields} | ({"$unset": unset} if unset else {}),
        session=session,
    )
    if stored.matched_count == 1:
        return
    if db.schedules.find_one({"_id": schedule.id}, {"_id": 1}, session=session) is None:
        raise ScheduleNotFound(schedule.id)
    raise StaleEdit(f"schedule {schedule.id} was changed in the same moment; try again")


@guarded
def request_digest(db: Db, schedule_id: ScheduleId) -> str | None:
    """The digest of the request that made this schedule; None if there is no such schedule."""
    doc = db.schedules.find_one({"_id": schedule_id}, {"request_digest": 1})
    return doc.get("request_digest", "") if doc else None


@guarded
def count_by_state(db: Db) -> Mapping[str, int]:
    """The number of schedules in each state, of each at most MOST_COUNTED."""
    return {
        state: db.schedules.count_documents({"state": state}, limit=MOST_COUNTED, hint=BY_CREATION)
        for state in ScheduleState
    }
