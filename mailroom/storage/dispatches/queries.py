"""Reads of the collection `dispatches` (see document.py)."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo.cursor import Cursor

from mailroom.domain.dispatches.model import Dispatch
from mailroom.domain.dispatches.states import OPEN, DispatchState
from mailroom.domain.errors import DispatchNotFound
from mailroom.domain.ids import (
    DispatchId,
    EmailId,
    RunId,
    ScheduleId,
    dispatch_range,
    dispatches_of_schedule,
    run_of_email,
)
from mailroom.storage.database import MOST_COUNTED, Db, Document, Session, guarded
from mailroom.storage.dispatches.document import IS_OPEN, dispatch_of, ids_of_run


@guarded
def runs_with_open(db: Db, runs: Sequence[RunId]) -> set[RunId]:
    """The runs among these with an open dispatch. The index scan goes from run to run, however many are open."""
    is_open = {"run_id": {"$in": list(runs)}, **IS_OPEN}
    rows = db.dispatches.aggregate([{"$match": is_open}, {"$group": {"_id": "$run_id"}}], hint="open_of_run_by_rank")
    return {RunId(row["_id"]) for row in rows}


@guarded
def any_accepted(db: Db, run_id: RunId) -> bool:
    """True if a provider accepted a dispatch of this run."""
    query = {"_id": ids_of_run(run_id), "accepted.0": {"$exists": True}}
    return db.dispatches.find_one(query, {"_id": 1}) is not None


@guarded
def get(db: Db, dispatch_id: DispatchId) -> Dispatch:
    """A dispatch with its trail. Raises DispatchNotFound."""
    doc = db.dispatches.find_one({"_id": dispatch_id})
    if doc is None:
        raise DispatchNotFound(dispatch_id)
    return dispatch_of(doc)


@guarded
def get_many(db: Db, ids: Sequence[DispatchId]) -> dict[DispatchId, Dispatch]:
    """The existing dispatches among these, without their trails."""
    return {DispatchId(doc["_id"]): dispatch_of(doc) for doc in _without_trails(db, {"_id": {"$in": list(ids)}})}


@guarded
def page(db: Db, *, state: DispatchState | None, run_id: RunId | None, after: str, limit: int) -> list[Dispatch]:
    """A page of dispatches without their trails, in the order of their ids. `after`: the last id of the page before."""
    query: Document = {"_id": {"$gt": after}} if after else {}
    if state in OPEN:
        query["lane"] = {
            "$gt": ""
        }  # any lane: this condition selects the index of open dispatches, and the result is sorted after it
    if state:
        query["state"] = state
    if run_id:  # dispatch ids begin with the run id, so the primary index has a run's dispatches in order
        low, high = dispatch_range(run_id)
        query["_id"] = {"$gt": after or low, "$lt": high}
    return [dispatch_of(doc) for doc in _without_trails(db, query).sort("_id", 1).limit(limit)]


def of_run(db: Db, run_id: RunId) -> Iterator[list[Dispatch]]:
    """All dispatches of a run without their trails, a batch at a time."""
    after = ""
    while batch := page(db, state=None, run_id=run_id, after=after, limit=1_000):
        yield batch
        after = batch[-1].id


@guarded
def of_email(db: Db, email_id: EmailId) -> dict[DispatchId, Dispatch]:
    """All dispatches of a single mail, each with the newest step of its trail."""
    rows = db.dispatches.find({"_id": ids_of_run(run_of_email(email_id))}, {"trail": {"$slice": -1}})
    return {DispatchId(doc["_id"]): dispatch_of(doc) for doc in rows}


@guarded
def of_emails(db: Db, ids: Sequence[EmailId]) -> list[Dispatch]:
    """All dispatches of these single mails, without their trails."""
    if not ids:
        return []
    ranges = [{"_id": ids_of_run(run_of_email(id_))} for id_ in ids]
    return [dispatch_of(doc) for doc in _without_trails(db, {"$or": ranges})]


@guarded
def has_unknown(db: Db, schedule_id: ScheduleId, *, session: Session | None = None) -> bool:
    """True while a call of this schedule waits for a person's decision."""
    low, high = dispatches_of_schedule(schedule_id)
    query = {"state": DispatchState.UNKNOWN, "_id": {"$gt": low, "$lt": high}}
    return db.dispatches.find_one(query, {"_id": 1}, session=session) is not None


@guarded
def attempts_of(db: Db, ids: Sequence[DispatchId]) -> dict[DispatchId, int]:
    """The newest attempt of each stored dispatch among these."""
    return {
        DispatchId(doc["_id"]): doc["attempt"]
        for doc in db.dispatches.find({"_id": {"$in": list(ids)}}, {"attempt": 1})
    }


@guarded
def accepted_among(db: Db, ids: Sequence[DispatchId]) -> set[DispatchId]:
    """The dispatches among these with a recorded acceptance."""
    query = {"_id": {"$in": list(ids)}, "accepted": {"$exists": True}}
    return {DispatchId(doc["_id"]) for doc in db.dispatches.find(query, {"_id": 1})}


@guarded
def traces_of(db: Db, ids: Collection[DispatchId]) -> dict[DispatchId, str]:
    """The requests that handed these dispatches in, of those that are traced."""
    query = {"_id": {"$in": sorted(ids)}, "trace": {"$exists": True}}
    return {DispatchId(doc["_id"]): doc["trace"] for doc in db.dispatches.find(query, {"trace": 1})}


@guarded
def existing(db: Db, ids: Sequence[DispatchId]) -> set[DispatchId]:
    """The ids among these of stored dispatches."""
    stored: set[DispatchId] = set()
    for start in range(0, len(ids), 10_000):
        batch = {"_id": {"$in": list(ids[start : start + 10_000])}}
        stored |= {DispatchId(doc["_id"]) for doc in db.dispatches.find(batch, {"_id": 1})}
    return stored


@guarded
def count_open(db: Db) -> dict[str, int]:
    """The number of pending, sending, in_doubt, unknown and failed dispatches of all runs, by state; of each at most
    MOST_COUNTED."""
    counts: dict[str, int] = {}
    for state in [*sorted(OPEN), DispatchState.UNKNOWN, DispatchState.FAILED]:
        query: Document = {"state": state, "lane": {"$gt": ""}} if state in OPEN else {"state": state}
        index = "by_rank" if state in OPEN else "listed"
        counts[state] = db.dispatches.count_documents(query, limit=MOST_COUNTED, hint=index)
    return counts


@guarded
def count_by_state(db: Db, run_id: RunId) -> dict[str, int]:
    """The number of a run's dispatches in each state."""
    of_run: Document = {"$match": {"_id": ids_of_run(run_id)}}
    rows = db.dispatches.aggregate([of_run, {"$group": {"_id": "$state", "n": {"$sum": 1}}}])
    return {row["_id"]: row["n"] for row in rows}


@dataclass(frozen=True, slots=True)
class Slice:
    """What goes out at one instant: so many mails, in so many calls, of which `open` are not through."""

    at: datetime
    mails: int
    calls: int
    open: int


@guarded
def slices_of(db: Db, run_id: RunId) -> list[Slice]:
    """The slices of a run, the earliest first. Of a call that was split its parts count."""
    is_open = {"$cond": [{"$in": ["$state", sorted(OPEN)]}, 1, 0]}
    rows = db.dispatches.aggregate(
        [
            {"$match": {"_id": ids_of_run(run_id), "state": {"$ne": DispatchState.SPLIT}}},
            {"$project": dict.fromkeys(("due_at", "messages", "state"), 1)},
            {
                "$group": {
                    "_id": "$due_at",
                    "mails": {"$sum": "$messages"},
                    "calls": {"$sum": 1},
                    "open": {"$sum": is_open},
                }
            },
            {"$sort": {"_id": 1}},
        ]
    )
    return [Slice(row["_id"], row["mails"], row["calls"], row["open"]) for row in rows]


def _without_trails(db: Db, query: Document) -> Cursor[Document]:
    return db.dispatches.find(query, {"trail": 0})
