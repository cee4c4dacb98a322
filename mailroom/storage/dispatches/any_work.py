"""Whether there is any work for a lane, of whatever kind: one question to several collections, in one round trip.

A command costs a sender about the same whatever it asks, so an idle sender asks this instead of one query for each
kind of work.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import Lane
from mailroom.storage.database import Db, Document, guarded
from mailroom.storage.dispatches import document
from mailroom.storage.dispatches.claims import stages_of_lanes_with_work
from mailroom.storage.schedules import run_document, schedule_document
from mailroom.storage.schedules.awaited_feeds import awaits_feed_by
from mailroom.storage.schedules.due_schedules import is_due
from mailroom.storage.schedules.run_planning import TO_WRITE

#: States of dispatches with a holder or a question, which have other times than `not_before`, too.
_UNDER_WAY: Final = (DispatchState.SENDING, DispatchState.IN_DOUBT)


@guarded
def is_there_any(db: Db, *, now: datetime, due_by: datetime, leave_out: Collection[Lane]) -> bool:
    """False if there is none of these: a schedule due at `due_by`, a run whose messages are to be written, a feed to be
    fetched, an open dispatch at `now` in a lane that is not in `leave_out`. Waits and holds are not looked at."""
    return _is_found(db, _work(now, due_by, leave_out))


@guarded
def is_any_coming(db: Db, *, until: datetime, due_by: datetime) -> bool:
    """False if `until` comes without any work, unless something changes: there is no dispatch in `sending` or in doubt,
    and at `until` none of what `is_there_any` looks for, in any lane."""
    # A branch for each state, with `lane`, so that `by_rank` serves it: for both in one MongoDB walks the collection.
    under_way = [_or_one_of(document.COLLECTION, {"lane": {"$gt": ""}, "state": state}) for state in _UNDER_WAY]
    return _is_found(db, [*_work(until, due_by, leave_out=()), *under_way])


def _work(now: datetime, due_by: datetime, leave_out: Collection[Lane]) -> list[Document]:
    others = [_or_one_of(schedule_document.COLLECTION, is_due(due_by))]
    others += [_or_one_of(run_document.COLLECTION, wanted) for wanted in (*TO_WRITE, awaits_feed_by(now))]
    return [*stages_of_lanes_with_work(now=now, leave_out=leave_out, limit=1), *others]


def _is_found(db: Db, pipeline: list[Document]) -> bool:
    return any(True for _ in db.dispatches.aggregate([*pipeline, {"$limit": 1}], hint="by_rank"))


def _or_one_of(collection: str, wanted: Document) -> Document:
    one: list[Document] = [{"$match": wanted}, {"$limit": 1}, {"$project": {"_id": 1}}]
    return {"$unionWith": {"coll": collection, "pipeline": one}}
