"""Collection `last_sent`: when each schedule last sent. Its last run is read from the runs themselves (see
run_document.py).

    _id   schedule id
    at    when a provider last accepted one of its mails, to the second; no document before the first

Written before the messages and the dispatch of an acceptance: a sender that repeats the acceptance after a crash writes
it too. To the second, so that a schedule writes it once a second at most, however fast it sends. Apart from `schedules`
and `runs`, because planning writes these in transactions, which would collide.

Indexes: none but `_id`.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from pymongo import DESCENDING, IndexModel, UpdateOne

from mailroom.domain.ids import RunId, ScheduleId, schedule_of_run
from mailroom.domain.runs import RunState
from mailroom.domain.schedules import LastTimes
from mailroom.storage.database import Db, Document, Session, guarded

COLLECTION: Final = "last_sent"
INDEXES: Final[Sequence[IndexModel]] = ()
_RAN: Final = sorted(set(RunState) - {RunState.SKIPPED})
# A stage that finds the newest run of a schedule, by the index of its runs in a state.
_NEWEST_RUN: Final[Document] = {
    "$lookup": {
        "from": "runs",
        "localField": "_id",
        "foreignField": "schedule_id",
        "pipeline": [
            {"$match": {"state": {"$in": _RAN}}},
            {"$sort": {"due_at": DESCENDING}},
            {"$limit": 1},
            {"$project": {"due_at": 1}},
        ],
        "as": "runs",
    }
}


def note_sent(db: Db, runs: Collection[RunId], *, at: datetime, session: Session | None = None) -> None:
    """Note an acceptance of mails of these runs. Call it within the same use of the store, before the messages."""
    ids = sorted({schedule_of_run(run) for run in runs})
    if not ids:
        return
    second = at.replace(microsecond=0)
    known = db.last_sent.find({"_id": {"$in": ids}, "at": {"$gte": second}}, {"_id": 1}, session=session)
    noted = {doc["_id"] for doc in known}
    writes = [UpdateOne({"_id": id_}, {"$max": {"at": second}}, upsert=True) for id_ in ids if id_ not in noted]
    if writes:
        db.last_sent.bulk_write(writes, ordered=False, session=session)


@guarded
def last_times(db: Db, ids: Sequence[ScheduleId]) -> dict[ScheduleId, LastTimes]:
    """The last run and the last sending of each of these schedules, by two queries, however many schedules and runs
    there are."""
    wanted: Document = {"_id": {"$in": list(ids)}}
    rows = db.schedules.aggregate([{"$match": wanted}, {"$project": {"_id": 1}}, _NEWEST_RUN])
    ran = {row["_id"]: row["runs"][0]["due_at"] for row in rows if row["runs"]}
    sent = {doc["_id"]: doc["at"] for doc in db.last_sent.find(wanted)}
    return {id_: LastTimes(ran.get(id_), sent.get(id_)) for id_ in ids}
