"""Collection `holds`: stops of sending. One document for all sending, and one for each run that was ever paused.

    _id            `everything`, or a run's id
    held           true while the hold is on
    number         int, raised by every change, odd while the hold is on (see domain/holds.py); mirrored in Redis
    by, at         who changed it last, and when
    schedule_id    the schedule of a run
    with_schedule  true if the run was paused with its schedule: resuming the schedule also resumes the run

A run without a document was never paused. Written by the API, pages and commands; lifted at the end of a run. Read by
claims in their own transaction.

Index: `held` (partial) for all holds that are on.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from mailroom.domain.holds import EVERYTHING, Hold
from mailroom.domain.ids import Lane, RunId, ScheduleId
from mailroom.domain.lane_names import schedule_lane
from mailroom.storage.database import Db, Document, Session, guarded

COLLECTION: Final = "holds"
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel([("held", 1)], name="held_now", partialFilterExpression={"held": True}),
)


@dataclass(frozen=True, slots=True)
class OnHold:
    """All holds at one moment. `everything`: all sending is held. `runs`: the held runs with their schedules."""

    everything: bool = False
    runs: Mapping[RunId, ScheduleId] = field(default_factory=dict)

    @property
    def lanes(self) -> set[Lane]:
        """Lanes with a held run."""
        return {schedule_lane(schedule) for schedule in self.runs.values()}


NOTHING_HELD: Final = OnHold()


@guarded
def standing(db: Db) -> OnHold:
    """All holds that are on now."""
    return _on_hold(db.holds.find({"held": True}, {"schedule_id": 1}))


@guarded
def switch_and_standing(db: Db) -> tuple[Hold, OnHold]:
    """The hold of all sending as `get` reads it, and all holds that are on now, in one query."""
    docs = list(db.holds.find({"$or": [{"held": True}, {"_id": EVERYTHING}]}))
    switch = next((_hold(doc) for doc in docs if doc["_id"] == EVERYTHING), Hold(EVERYTHING))
    return switch, _on_hold(doc for doc in docs if doc["held"])


@guarded
def get(db: Db, id_: str) -> Hold:
    """The stored hold; number 0 if it was never put."""
    doc = db.holds.find_one({"_id": id_})
    return _hold(doc) if doc else Hold(id_)


@guarded
def held_among(db: Db, ids: Collection[str], *, session: Session | None = None) -> set[str]:
    """The ids among these with a hold that is on."""
    query = {"_id": {"$in": sorted(ids)}, "held": True}
    return {doc["_id"] for doc in db.holds.find(query, {"_id": 1}, session=session)}


@guarded
def change(db: Db, id_: str, *, held: bool, by: str, now: datetime) -> Hold:
    """Put or lift the hold; no change if it already has this state. Returns the stored hold after the change."""
    change_ = {"$set": {"held": held, "by": by, "at": now}, "$inc": {"number": 1}}
    try:
        doc = db.holds.find_one_and_update(
            {"_id": id_, "held": {"$ne": True} if held else True},
            change_,
            upsert=held,
            return_document=ReturnDocument.AFTER,
        )
    except DuplicateKeyError:
        doc = None  # already held: the upsert met the existing _id
    return _hold(doc) if doc else get(db, id_)


@guarded
def adopt(db: Db, seen: Hold, newer: Hold, *, of: ScheduleId | None) -> None:
    """Store the newer hold that Redis mirrors, if the stored hold is still `seen`."""
    fields: Document = {"held": newer.held, "number": newer.number, "by": newer.by, "at": newer.at}
    fields |= {"schedule_id": of} if of else {}
    as_seen = {"_id": seen.id, "number": seen.number}
    if db.holds.update_one(as_seen, {"$set": fields}).matched_count == 0 and seen.number == 0:
        db.holds.update_one({"_id": seen.id}, {"$setOnInsert": fields}, upsert=True)


def put_on_runs(
    db: Db, runs: Mapping[RunId, ScheduleId], *, with_schedule: bool, by: str, now: datetime, session: Session
) -> None:
    """Put a hold on each of these runs that is not held."""
    for id_ in sorted(set(runs) - held_among(db, runs, session=session)):
        fields = {"held": True, "schedule_id": runs[RunId(id_)], "with_schedule": with_schedule, "by": by, "at": now}
        db.holds.update_one({"_id": id_}, {"$set": fields, "$inc": {"number": 1}}, upsert=True, session=session)


def lift_from_runs(db: Db, ids: Collection[str], *, by: str, now: datetime, session: Session | None = None) -> None:
    """Lift the holds of these runs."""
    if ids:
        lifted = {"$set": {"held": False, "by": by, "at": now}, "$inc": {"number": 1}}
        db.holds.update_many({"_id": {"$in": sorted(ids)}, "held": True}, lifted, session=session)


def with_schedule(db: Db, ids: Collection[RunId], *, session: Session) -> set[RunId]:
    """The runs among these that are held because their schedule was paused."""
    query = {"_id": {"$in": sorted(ids)}, "held": True, "with_schedule": True}
    return {RunId(doc["_id"]) for doc in db.holds.find(query, {"_id": 1}, session=session)}


def _on_hold(docs: Iterable[Document]) -> OnHold:
    held = {doc["_id"]: doc for doc in docs}
    everything = held.pop(EVERYTHING, None) is not None
    return OnHold(everything, {RunId(id_): ScheduleId(doc["schedule_id"]) for id_, doc in held.items()})


def _hold(doc: Document) -> Hold:
    return Hold(doc["_id"], doc["number"], doc["by"], doc["at"])
