"""Counts of messages in the collection `messages` (see document.py), for reports and for the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailroom.domain.ids import DispatchId, RunId
from mailroom.domain.messages.states import MessageState
from mailroom.domain.recipient_times import TIME_HAD_PASSED
from mailroom.domain.reports import Report
from mailroom.storage.database import Db, Document, Session, guarded


@dataclass(frozen=True, slots=True)
class Carried:
    """The number of mails that name a dispatch, and of those that wait for its outcome (queued or in doubt)."""

    mails: int
    waiting: int


@guarded
def carried_by(db: Db, run_id: RunId) -> dict[DispatchId | None, Carried]:
    """A run's mails, counted by the dispatch that each names; None for mails without a dispatch."""
    waiting = {"$in": ["$state", [MessageState.QUEUED, MessageState.IN_DOUBT]]}
    counts = {"mails": {"$sum": 1}, "waiting": {"$sum": {"$cond": [waiting, 1, 0]}}}
    rows = db.messages.aggregate([{"$match": {"run_id": run_id}}, {"$group": {"_id": "$dispatch_id", **counts}}])
    return {row["_id"]: Carried(row["mails"], row["waiting"]) for row in rows}


@guarded
def report(db: Db, runs: Sequence[RunId], session: Session) -> dict[RunId, Report]:
    """The counts of each run, from the facts and states of its messages, at the moment of the snapshot."""
    rows = db.messages.aggregate(
        [
            {"$match": {"run_id": {"$in": list(runs)}}},
            # Pass only the counted fields to the group stage.
            {"$project": dict.fromkeys(("run_id", "state", "reason", *_TIMES.values(), "opens", "machine_opens"), 1)},
            {
                "$group": {
                    "_id": "$run_id",
                    "recipients": {"$sum": 1},
                    "total_opens": {"$sum": "$opens"},
                    "machine_opens": {"$sum": "$machine_opens"},
                    **{name: {"$sum": _is_set(field)} for name, field in _TIMES.items()},
                    **{state: {"$sum": {"$cond": [{"$eq": ["$state", state]}, 1, 0]}} for state in _STATES},
                    "time_passed": {"$sum": {"$cond": [_TIME_PASSED, 1, 0]}},
                }
            },
        ],
        session=session,
    )
    reports = {RunId(row.pop("_id")): Report(**row) for row in rows}
    return {run: reports.get(run, Report()) for run in runs}


@guarded
def time_passed(db: Db, run_id: RunId) -> int:
    """How many mails of a run were skipped because the time had passed in their recipients' time zones."""
    skipped = {"run_id": run_id, "state": MessageState.CANCELLED, "reason": TIME_HAD_PASSED}
    return db.messages.count_documents(skipped, hint="listed")


@guarded
def opens_by_hour(db: Db, runs: Sequence[RunId]) -> list[tuple[datetime, int]]:
    """First opens of these runs: (start of the hour, number), in order."""
    rows = db.messages.aggregate(
        [
            {"$match": {"run_id": {"$in": list(runs)}, "first_opened_at": {"$exists": True}}},
            {"$group": {"_id": {"$dateTrunc": {"date": "$first_opened_at", "unit": "hour"}}, "n": {"$sum": 1}}},
            {"$sort": {"_id": 1}},
        ]
    )
    return [(row["_id"], row["n"]) for row in rows]


_TIMES: Final = {
    "sent": "sent_at",
    "delivered": "delivered_at",
    "bounced": "bounced_at",
    "complained": "complained_at",
    "unsubscribed": "unsubscribed_at",
    "unique_opens": "first_opened_at",
    "unique_clicks": "first_clicked_at",
}


_STATES: Final = (
    MessageState.QUEUED,
    MessageState.DEFERRED,
    MessageState.REJECTED,
    MessageState.FAILED,
    MessageState.SUPPRESSED,
    MessageState.CANCELLED,
    MessageState.IN_DOUBT,
    MessageState.UNKNOWN,
)


_TIME_PASSED: Final = {"$and": [{"$eq": ["$state", MessageState.CANCELLED]}, {"$eq": ["$reason", TIME_HAD_PASSED]}]}


def _is_set(field: str) -> Document:
    return {"$cond": [{"$gt": [f"${field}", None]}, 1, 0]}
