"""Dispatches that failed for good, in the collection `dispatches` (see document.py).

    dropped    {by, at}: the person who removed the dispatch from the list; unset by a requeue

Indexes: `listed` of document.py.
"""

from collections.abc import Sequence
from datetime import datetime

from mailroom.domain.dispatches.model import Dispatch
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import DispatchId, dispatch_range
from mailroom.domain.searches import DeadLetterSearch
from mailroom.storage.database import Db, Document, guarded
from mailroom.storage.dispatches.document import dispatch_of
from mailroom.storage.dispatches.trails import onto_trail


@guarded
def page(db: Db, wanted: DeadLetterSearch, *, after: str, limit: int) -> list[Dispatch]:
    """A page of dead letters without trails, in the order of their ids. `after`: the last id of the page before."""
    query = _query(wanted)
    if wanted.run_id is None:
        query["_id"] = {"$gt": after}
    else:  # dispatch ids begin with the run id
        low, high = dispatch_range(wanted.run_id)
        query["_id"] = {"$gt": after or low, "$lt": high}
    return [dispatch_of(doc) for doc in db.dispatches.find(query, {"trail": 0}).sort("_id", 1).limit(limit)]


@guarded
def drop(db: Db, ids: Sequence[DispatchId], *, by: str, now: datetime) -> int:
    """Remove dispatches from the list. Returns how many of them were on it."""
    listed = {**_query(DeadLetterSearch()), "_id": {"$in": list(ids)}}
    change = {"$set": {"dropped": {"by": by, "at": now}}, "$push": {"trail": onto_trail(now, "dropped", by=by)}}
    return db.dispatches.update_many(listed, change).modified_count


def _query(wanted: DeadLetterSearch) -> Document:
    query: Document = {"state": DispatchState.FAILED, "dropped": {"$exists": False}}
    if wanted.run_id is not None:
        query["run_id"] = wanted.run_id
    if wanted.single is not None:
        query["schedule_id"] = {"$exists": not wanted.single}
    if wanted.code is not None:
        query["code"] = wanted.code
    return query
