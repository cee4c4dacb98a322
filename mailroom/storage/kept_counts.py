"""Collection `kept_counts`: cached counts of a run that has ended, valid until a message of the run changes.

    _id        run id
    marks      int, marked changes since the first read of the counts
    marked_at  time of the newest mark, by MongoDB's clock
    report     the counts of domain/reports.py
    left       int, messages that reached nobody and are carried by no other run (see messages/unreached.py)
               `report` and `left` are absent until the first count, and again after each mark

A kept count equals a recount at any time. A writer of messages marks their runs before the write (`mark`), or in its
transaction (`mark_within`); a mark drops the counts. A reader stores its result only if no mark came during its count
and, in the snapshot of its count, the newest mark was older than QUIET: by then every write that was marked before it,
or made no mark of its own, was complete, because database.CALL_S bounds each use of the store. This also holds
for a slow count and for a frozen reader. A writer that finds no document marks nothing; so the reader that inserts the
document stores no count for QUIET either. A run whose counts were never read costs its writers one query.

Indexes: none but `_id`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final

from pymongo import IndexModel, UpdateOne

from mailroom.domain.ids import DispatchId, MessageId, RunId, is_email, run_of_dispatch, run_of_message
from mailroom.domain.reports import Report
from mailroom.storage.database import CALL_S, Db, Document, Session, guarded

COLLECTION: Final = "kept_counts"
INDEXES: Final[Sequence[IndexModel]] = ()
QUIET: Final = timedelta(seconds=CALL_S + 10)
# The least time between two marks within transactions: otherwise concurrent intakes of events would collide on marks.
# A transaction without a mark commits long before QUIET is over.
_STEP: Final = timedelta(seconds=4)
_DROPPED: Final = ["report", "left"]


@dataclass(frozen=True, slots=True)
class KeptCount:
    """The kept counts of a run. `marks`: None before the first read. `quiet`: False if a write that was marked before
    the snapshot may have been committed after it."""

    marks: int | None = None
    quiet: bool = True
    report: Report | None = None
    left: int | None = None


def of_dispatches(ids: Iterable[DispatchId]) -> set[RunId]:
    """The runs of these dispatches, without single mails, which have no reports."""
    return {run for id_ in ids if not is_email(run := run_of_dispatch(id_))}


def of_messages(ids: Iterable[MessageId]) -> set[RunId]:
    """The runs of these messages, without single mails, which have no reports."""
    return {run for id_ in ids if not is_email(run := run_of_message(id_))}


@guarded
def find(db: Db, runs: Collection[RunId], *, session: Session) -> dict[RunId, KeptCount]:
    """The kept counts of each of these runs, at the moment of the snapshot."""
    shown = {"marks": 1, "report": 1, "left": 1, "quiet": {"$lt": ["$marked_at", {"$subtract": ["$$NOW", _ms(QUIET)]}]}}
    rows = db.kept_counts.find({"_id": {"$in": sorted(runs)}}, shown, session=session)
    counts = {RunId(doc["_id"]): _kept(doc) for doc in rows}
    return {run: counts.get(run, KeptCount()) for run in runs}


@guarded
def keep(db: Db, counted: Mapping[RunId, tuple[KeptCount, Document]]) -> None:
    """Store the counts of these runs. `counted`: for each run the kept count in the snapshot, and the fields to store.

    A run without a document gets a document, and its counts can be stored QUIET later.
    """
    marked_at = {"$cond": [{"$eq": [{"$type": "$marks"}, "missing"]}, "$$NOW", "$marked_at"]}
    writes = [
        UpdateOne({"_id": run}, [{"$set": {"marked_at": marked_at, "marks": {"$ifNull": ["$marks", 0]}}}], upsert=True)
        if kept.marks is None
        else UpdateOne({"_id": run, "marks": kept.marks}, {"$set": fields})
        for run, (kept, fields) in counted.items()
        if kept.quiet
    ]
    if writes:
        db.kept_counts.bulk_write(writes, ordered=False)


def mark(db: Db, runs: Collection[RunId]) -> None:
    """Drop the kept counts of these runs. Call it just before the write, within the same use of the store."""
    if runs and (asked := [doc["_id"] for doc in db.kept_counts.find({"_id": {"$in": sorted(runs)}}, {"_id": 1})]):
        db.kept_counts.update_many({"_id": {"$in": asked}}, _MARK)


def mark_within(db: Db, runs: Collection[RunId], session: Session) -> None:
    """As `mark`, inside the transaction that writes."""
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
    """The stored fields of a report."""
    return {"report": asdict(report)}


def _kept(doc: Mapping[str, Any]) -> KeptCount:
    return KeptCount(doc["marks"], doc["quiet"], _report(doc.get("report")), doc.get("left"))


def _report(stored: Mapping[str, Any] | None) -> Report | None:
    """None where there is none, or where another release kept one of other counts: then it is counted anew."""
    return Report(**stored) if stored is not None and stored.keys() == _COUNTS else None


_COUNTS: Final = Report.__dataclass_fields__.keys()
