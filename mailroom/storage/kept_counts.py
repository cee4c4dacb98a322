"""Collection `kept_counts`: what was counted of the mails of a run that has ended, as long as nothing changes them.

    _id        run id
    marks      how often a change was marked since the counts were first asked for
    marked_at  when last, by MongoDB's clock
    report     the counts of domain/reports.py;  left: whom no other run carries (see unreached.py)
               each absent until it is counted, and again from the next change on

A kept count equals a recount at any time. Whoever writes what is counted marks it before (`mark`), or in the same
transaction (`mark_within`): that drops the counts. Whoever counts keeps the result only if nothing was marked since,
and if the last mark is older than QUIET: a write outside a transaction that was marked before has come through by
then, for one use of the store is bounded by database.CALL_S. A writer that finds no document goes on without a mark:
the reader that makes the document keeps no count for QUIET either. So a run of which nobody has read the counts costs
its writers one look.

Indexes: none but `_id`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final

from pymongo import IndexModel, UpdateOne

from mailroom.domain.ids import DispatchId, MessageId, RunId, is_email
from mailroom.domain.reports import Report
from mailroom.storage.database import CALL_S, Db, Document, Session, guarded

COLLECTION: Final = "kept_counts"
INDEXES: Final[Sequence[IndexModel]] = ()
QUIET: Final = timedelta(seconds=CALL_S + 10)
# Within a transaction marks are made at most so often: else intakes of events would collide on them all the time. A
# transaction that makes none is through long before QUIET is over.
_STEP: Final = timedelta(seconds=4)
_DROPPED: Final = ["report", "left"]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a run. `marks` is None where nobody has asked for its counts yet."""

    marks: int | None = None
    report: Report | None = None
    left: int | None = None


def of_dispatches(ids: Iterable[DispatchId]) -> set[RunId]:
    """Their runs; single mails have no reports."""
    return {run for id_ in ids if not is_email(run := RunId(id_.rpartition("-d")[0]))}


def of_messages(ids: Iterable[MessageId]) -> set[RunId]:
    """Their runs; single mails have no reports."""
    return {run for id_ in ids if not is_email(run := RunId(id_.rpartition("/")[0]))}


@guarded
def find(db: Db, runs: Collection[RunId], *, session: Session) -> dict[RunId, Kept]:
    """At the moment of the snapshot."""
    found = {
        RunId(doc["_id"]): _kept(doc) for doc in db.kept_counts.find({"_id": {"$in": sorted(runs)}}, session=session)
    }
    return {run: found.get(run, Kept()) for run in runs}


@guarded
def keep(db: Db, counted: Mapping[RunId, tuple[int | None, Document]]) -> None:
    """Keep what was counted of these runs: for each the marks that stood in the snapshot of the count, and the fields.
    Where it cannot be kept yet, it can be QUIET from now on."""
    quiet = {"$lt": ["$marked_at", {"$subtract": ["$$NOW", _ms(QUIET)]}]}
    made = {"$cond": [{"$eq": [{"$type": "$marks"}, "missing"]}, "$$NOW", "$marked_at"]}
    writes = [
        UpdateOne({"_id": run}, [{"$set": {"marked_at": made, "marks": {"$ifNull": ["$marks", 0]}}}], upsert=True)
        if marks is None
        else UpdateOne({"_id": run, "marks": marks, "$expr": quiet}, {"$set": fields})
        for run, (marks, fields) in counted.items()
    ]
    if writes:
        db.kept_counts.bulk_write(writes, ordered=False)


def mark(db: Db, runs: Collection[RunId]) -> None:
    """What is counted of these runs is going to be changed, now, within the same use of the store."""
    if runs and (asked := [doc["_id"] for doc in db.kept_counts.find({"_id": {"$in": sorted(runs)}}, {"_id": 1})]):
        db.kept_counts.update_many({"_id": {"$in": asked}}, _MARK)


def mark_within(db: Db, runs: Collection[RunId], session: Session) -> None:
    """The same inside the transaction that changes it."""
    if not runs:
        return
    due = {"$lt": ["$marked_at", {"$subtract": ["$$NOW", _ms(_STEP)]}]}
    asked = db.kept_counts.find({"_id": {"$in": sorted(runs)}, "$expr": due}, {"_id": 1}, session=session)
    if ids := [doc["_id"] for doc in asked]:
        db.kept_counts.update_many({"_id": {"$in": ids}}, _MARK, session=session)


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)


_MARK: Final[list[Document]] = [
    {"$set": {"marks": {"$add": ["$marks", 1]}, "marked_at": "$$NOW"}},
    {"$unset": _DROPPED},
]


def fields_of(report: Report) -> Document:
    """A report as it is kept."""
    return {"report": asdict(report)}


def _kept(doc: Mapping[str, Any]) -> Kept:
    return Kept(doc["marks"], Report(**doc["report"]) if "report" in doc else None, doc.get("left"))
