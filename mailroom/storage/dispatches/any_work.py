"""Whether there is any work for a lane, of whatever kind: one question to several collections, in one round trip.

A command costs a sender about the same whatever it asks, so an idle sender asks this instead of one query for each
kind of work.
"""

from collections.abc import Collection
from datetime import datetime

from mailroom.domain.ids import Lane
from mailroom.storage.database import Db, Document, guarded
from mailroom.storage.dispatches.claims import lanes_with_due
from mailroom.storage.schedules import run_document, schedule_document
from mailroom.storage.schedules.awaited_feeds import awaits_since
from mailroom.storage.schedules.due_schedules import is_due
from mailroom.storage.schedules.run_planning import TO_WRITE


@guarded
def is_there_any(db: Db, *, now: datetime, due_by: datetime, leave_out: Collection[Lane]) -> bool:
    """False if there is none of these: a schedule due at `due_by`, a run whose messages are to be written, a feed to be
    fetched, an open dispatch at `now` in a lane that is not in `leave_out`. Waits and holds are not looked at."""
    others = [_or_one_of(schedule_document.COLLECTION, is_due(due_by))]
    others += [_or_one_of(run_document.COLLECTION, wanted) for wanted in (*TO_WRITE, awaits_since(now))]
    pipeline = [*lanes_with_due(now=now, leave_out=leave_out, limit=1), *others, {"$limit": 1}]
    return any(True for _ in db.dispatches.aggregate(pipeline, hint="by_rank"))


def _or_one_of(collection: str, wanted: Document) -> Document:
    one: list[Document] = [{"$match": wanted}, {"$limit": 1}, {"$project": {"_id": 1}}]
    return {"$unionWith": {"coll": collection, "pipeline": one}}
