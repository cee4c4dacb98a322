"""Reads of the collection `dispatches` (see document.py)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mailroom.domain.dispatches.states import OPEN, DispatchState
from mailroom.domain.errors import DispatchNotFound
from mailroom.domain.ids import DispatchId, EmailId, RunId, dispatch_range, run_of_email
from mailroom.storage.database import Db, Document, guarded
from mailroom.storage.dispatches.document import COLLECTION, IS_OPEN


@guarded
def runs_with_open(db: Db, runs: Sequence[RunId]) -> set[RunId]:
    """Those of the runs that have a dispatch which is not through. One is looked at for each run, however many wait."""
    an_open_one: list[Document] = [{"$match": IS_OPEN}, {"$limit": 1}, {"$project": {"_id": 1}}]
    found = {"from": COLLECTION, "localField": "_id", "foreignField": "run_id", "pipeline": an_open_one, "as": "open"}
    rows = db.runs.aggregate(
        [{"$match": {"_id": {"$in": list(runs)}}}, {"$project": {"_id": 1}}, {"$lookup": found}],
    )
    return {row["_id"] for row in rows if row["open"]}


@guarded
def get(db: Db, dispatch_id: DispatchId) -> Mapping[str, Any]:
    """The whole document, its trail included. Raises DispatchNotFound."""
    doc = db.dispatches.find_one({"_id": dispatch_id})
    if doc is None:
        raise DispatchNotFound(dispatch_id)
    return doc


@guarded
def standing(db: Db, ids: Sequence[DispatchId]) -> dict[DispatchId, Mapping[str, Any]]:
    """`state`, `attempt`, `lane`, `run_id`, `schedule_id` and `doubted` of those of these dispatches that exist."""
    fields = dict.fromkeys(("state", "attempt", "lane", "run_id", "schedule_id", "doubted"), 1)
    return {DispatchId(doc["_id"]): doc for doc in db.dispatches.find({"_id": {"$in": list(ids)}}, fields)}


@guarded
def page(
    db: Db, *, state: DispatchState | None, run_id: RunId | None, after: str, limit: int
) -> list[Mapping[str, Any]]:
    """Documents without their trails, in the order of their ids."""
    query: Document = {"_id": {"$gt": after}} if after else {}
    if state in OPEN:
        query["lane"] = {"$gt": ""}  # any: it leads to the index of what is open, which is sorted then
    if state:
        query["state"] = state
    if run_id:  # ids begin with their run's, so the primary index gives a run's dispatches in order
        low, high = dispatch_range(run_id)
        query["_id"] = {"$gt": after or low, "$lt": high}
    return list(db.dispatches.find(query, {"trail": 0}).sort("_id", 1).limit(limit))


def of_run(db: Db, run_id: RunId) -> Iterator[list[Mapping[str, Any]]]:
    """All dispatches of a run without their trails, some at a time."""
    after = ""
    while some := page(db, state=None, run_id=run_id, after=after, limit=1_000):
        yield some
        after = some[-1]["_id"]


@guarded
def of_emails(db: Db, ids: Sequence[EmailId]) -> list[Mapping[str, Any]]:
    """All dispatches of these single mails, without their trails."""
    return list(db.dispatches.find({"run_id": {"$in": [run_of_email(id_) for id_ in ids]}}, {"trail": 0}))


@guarded
def attempts_of(db: Db, ids: Sequence[DispatchId]) -> dict[DispatchId, int]:
    """The newest attempt of each of these dispatches that are stored."""
    return {
        DispatchId(doc["_id"]): doc["attempt"]
        for doc in db.dispatches.find({"_id": {"$in": list(ids)}}, {"attempt": 1})
    }


@guarded
def accepted_among(db: Db, ids: Sequence[DispatchId]) -> set[DispatchId]:
    """Those of these dispatches that are known to have been accepted."""
    known = {"_id": {"$in": list(ids)}, "accepted": {"$exists": True}}
    return {DispatchId(doc["_id"]) for doc in db.dispatches.find(known, {"_id": 1})}


@guarded
def existing(db: Db, ids: Sequence[DispatchId]) -> set[DispatchId]:
    """Which of these dispatches are ours."""
    found: set[DispatchId] = set()
    for start in range(0, len(ids), 10_000):
        some = {"_id": {"$in": list(ids[start : start + 10_000])}}
        found |= {DispatchId(doc["_id"]) for doc in db.dispatches.find(some, {"_id": 1})}
    return found


@guarded
def count_open(db: Db) -> dict[str, int]:
    """How many dispatches of all runs wait, are in hand, in doubt, beyond knowing, or failed."""
    watched = [*sorted(OPEN), DispatchState.UNKNOWN, DispatchState.FAILED]
    by_index: dict[str, Document] = {state: {"lane": {"$gt": ""}} if state in OPEN else {} for state in watched}
    return {state: db.dispatches.count_documents({"state": state, **rest}) for state, rest in by_index.items()}


@guarded
def count_by_state(db: Db, run_id: RunId) -> dict[str, int]:
    """How many of a run's dispatches are in each state."""
    rows = db.dispatches.aggregate([{"$match": {"run_id": run_id}}, {"$group": {"_id": "$state", "n": {"$sum": 1}}}])
    return {row["_id"]: row["n"] for row in rows}
