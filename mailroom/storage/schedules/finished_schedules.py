"""Finished schedules, those first that nobody has touched for longest (see schedule_document.py).

Nothing but an edit comes after the end of a schedule, so `updated_at` of a finished one is its end, or its last edit.
"""

from collections.abc import Sequence
from datetime import datetime

from mailroom.domain.ids import ScheduleId
from mailroom.domain.schedules import Schedule, ScheduleState
from mailroom.storage.database import Db, Document, guarded
from mailroom.storage.schedules.schedule_document import from_document

Place = tuple[datetime, ScheduleId]


def place_of(schedule: Schedule) -> Place:
    """Where this finished schedule stands in the order."""
    return schedule.updated_at, schedule.id


@guarded
def page(db: Db, *, before: datetime, after: Place | None, limit: int) -> list[Schedule]:
    """Finished schedules that were last touched before a time, from a place on."""
    rows: list[Document] = []
    for updated_at in _ranges(before, after):
        query = {"state": ScheduleState.FINISHED, **updated_at}
        found = db.schedules.find(query).sort([("updated_at", 1), ("_id", 1)]).hint("ended")
        rows += found.limit(limit - len(rows))
        if len(rows) == limit:
            break
    return [from_document(doc) for doc in rows]


def _ranges(before: datetime, after: Place | None) -> Sequence[Document]:
    """The part of the index behind the place. An `$or` would also scan what lies before the place."""
    if after is None:
        return [{"updated_at": {"$lt": before}}]
    at, id_ = after
    return [{"updated_at": at, "_id": {"$gt": id_}}, {"updated_at": {"$gt": at, "$lt": before}}]
