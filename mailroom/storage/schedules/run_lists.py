"""The list of runs (see run_document.py): searched by schedule, state and due instant, sorted, counted. Each page is
read off one index: what it costs grows with the schedules that are named, not with their runs."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from pymongo import ASCENDING, DESCENDING

from mailroom.domain.ids import AudienceId, RunId, ScheduleId
from mailroom.domain.runs import Run, RunState
from mailroom.domain.searches import BoundedCount, RunOrder, RunSearch
from mailroom.storage import paging
from mailroom.storage.database import Db, Document, drop_unset, guarded
from mailroom.storage.paging import Index, ListOrder, Place
from mailroom.storage.schedules.run_document import (
    BY_DUE,
    IN_STATE,
    OF_SCHEDULE,
    OF_SCHEDULE_IN_STATE,
    TO_AUDIENCE,
    from_document,
)

_ORDERS: Final = {
    RunOrder.LATEST_DUE: ListOrder("due_at", DESCENDING),
    RunOrder.EARLIEST_DUE: ListOrder("due_at", ASCENDING),
}
Of = Sequence[ScheduleId] | None  # these schedules; None: all


@guarded
def page(db: Db, search: RunSearch, of: Of, order: RunOrder, *, after: Place | None, limit: int) -> list[Run]:
    """Runs of these schedules that fit the search's state and times. `after` is the due instant and id of the last row
    of the page before."""
    query, index = _query(search, of)
    rows = paging.read(db.runs, query, _ORDERS[order], index=index, after=after, limit=limit)
    return [from_document(doc) for doc in rows]


@guarded
def latest_audiences(db: Db, *, runs: int) -> list[AudienceId]:
    """The audiences of so many latest runs, the latest first, each once."""
    rows = db.runs.find({}, {"audience": 1, "lists": 1}).sort(list(BY_DUE)).hint(list(BY_DUE)).limit(runs)
    return list(dict.fromkeys(audience for doc in rows for audience in _audiences(doc)))


@guarded
def latest_to(db: Db, audience: AudienceId, *, before: datetime, limit: int) -> list[RunId]:
    """The latest runs to an audience that were due before this time, the latest first; neither resends nor skipped
    ones."""
    return list(_to(db, audience, {"$lt": before}, limit))


@guarded
def lately_to(db: Db, audience: AudienceId, *, since: datetime, before: datetime, limit: int) -> dict[RunId, datetime]:
    """The latest of the runs to an audience that were due in this time, with their due instants; neither resends nor
    skipped ones."""
    return _to(db, audience, {"$gte": since, "$lt": before}, limit)


def _to(db: Db, audience: AudienceId, due_at: Document, limit: int) -> dict[RunId, datetime]:
    query = {"lists.a": audience, "due_at": due_at}
    ran = {"state": {"$ne": RunState.SKIPPED}, "source": {"$exists": False}}
    rows = db.runs.find({**query, **ran}, {"due_at": 1}).sort(list(TO_AUDIENCE[1:])).hint(list(TO_AUDIENCE))
    return {RunId(doc["_id"]): doc["due_at"] for doc in rows.limit(limit)}


def _audiences(doc: Document) -> Iterator[AudienceId]:
    if "lists" in doc:
        yield from (AudienceId(one["a"]) for one in doc["lists"])
    elif doc.get("audience"):
        yield AudienceId(doc["audience"])


@guarded
def count(db: Db, search: RunSearch, of: Of) -> BoundedCount:
    """How many runs are found, as far as COUNTED."""
    query, index = _query(search, of)
    return paging.count(db.runs, query, index=index)


def _query(search: RunSearch, of: Of) -> tuple[Document, Index]:
    query: Document = {} if of is None else {"schedule_id": {"$in": list(of)}}
    if search.state is not None:
        query["state"] = search.state
    if times := drop_unset({"$gte": search.since, "$lt": search.until}):
        query["due_at"] = times
    if of is None:
        return query, BY_DUE if search.state is None else IN_STATE
    return query, OF_SCHEDULE if search.state is None else OF_SCHEDULE_IN_STATE
