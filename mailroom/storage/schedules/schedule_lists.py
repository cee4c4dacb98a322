"""The list of schedules (see schedule_document.py): searched by name and state, sorted, counted.

Each page is read off one index.
"""

from collections.abc import Sequence
from typing import Final

from pymongo import ASCENDING, DESCENDING, UpdateOne

from mailroom.domain.ids import ScheduleId
from mailroom.domain.name_keys import name_key, term_key
from mailroom.domain.schedules import Schedule, ScheduleState
from mailroom.domain.searches import BoundedCount, ScheduleOrder, ScheduleSearch
from mailroom.storage import paging
from mailroom.storage.database import Db, Document, guarded
from mailroom.storage.paging import Index, ListOrder, Place
from mailroom.storage.schedules.schedule_document import (
    BY_CREATION,
    BY_NAME,
    BY_NEXT_RUN,
    BY_WORD,
    from_document,
    name_fields,
)

_ORDERS: Final[dict[ScheduleOrder, tuple[ListOrder, Index]]] = {
    ScheduleOrder.NAME: (ListOrder("name_key", ASCENDING), BY_NAME),
    ScheduleOrder.NAME_DOWN: (ListOrder("name_key", DESCENDING), BY_NAME),
    ScheduleOrder.NEXT_RUN: (ListOrder("next_run_at", ASCENDING, may_be_absent=True), BY_NEXT_RUN),
    ScheduleOrder.NEXT_RUN_DOWN: (ListOrder("next_run_at", DESCENDING, may_be_absent=True), BY_NEXT_RUN),
    ScheduleOrder.OLDEST: (ListOrder("created_at", ASCENDING), BY_CREATION),
    ScheduleOrder.NEWEST: (ListOrder("created_at", DESCENDING), BY_CREATION),
}
_NOT_ARCHIVED: Final = sorted(set(ScheduleState) - {ScheduleState.ARCHIVED})
_A_STEP: Final = 1_000


def place_of(schedule: Schedule, order: ScheduleOrder) -> Place:
    """Where this schedule stands in a list of that order."""
    match order:
        case ScheduleOrder.NAME | ScheduleOrder.NAME_DOWN:
            return name_key(schedule.name), schedule.id
        case ScheduleOrder.NEXT_RUN | ScheduleOrder.NEXT_RUN_DOWN:
            return schedule.wanted_at, schedule.id
        case ScheduleOrder.OLDEST | ScheduleOrder.NEWEST:
            return schedule.created_at, schedule.id


@guarded
def page(db: Db, search: ScheduleSearch, order: ScheduleOrder, *, after: Place | None, limit: int) -> list[Schedule]:
    """`after` is the place of the last row of the page before. What a name finds is sorted in memory: the caller has
    counted that it is not too much."""
    by, index = _ORDERS[order]
    index = index if search.name is None else BY_WORD
    rows = paging.read(db.schedules, _query(search), by, index=index, after=after, limit=limit)
    return [from_document(doc) for doc in rows]


@guarded
def count(db: Db, search: ScheduleSearch) -> BoundedCount:
    """How many schedules are found, as far as COUNTED."""
    index = BY_CREATION if search.name is None else BY_WORD
    return paging.count(db.schedules, _query(search), index=index)


@guarded
def ids_named(db: Db, term: str, *, limit: int) -> list[ScheduleId]:
    """Schedules with such a name, archived ones too; in no order."""
    query = {"state": {"$in": sorted(ScheduleState)}, "name_starts": _begins_with(term)}
    rows = db.schedules.find(query, {"_id": 1}).hint(list(BY_WORD)).limit(limit)
    return [ScheduleId(doc["_id"]) for doc in rows]


@guarded
def fill_in_names(db: Db) -> int:
    """A batch of a migration: write what lists need beside the name into schedules that an earlier version stored.
    Returns how many; 0 when none is left."""
    absent = {"state": {"$in": sorted(ScheduleState)}, "name_key": None}
    return _fill_in(db, list(db.schedules.find(absent, {"name": 1}).hint(list(BY_NAME)).limit(_A_STEP)))


@guarded
def renew_names(db: Db) -> int:
    """A batch of a migration that reads every schedule: the same for those that an earlier version has renamed since.
    Returns how many; 0 when none is left."""
    renamed = {"$expr": {"$ne": ["$name", "$named"]}}
    return _fill_in(db, list(db.schedules.find(renamed, {"name": 1}).limit(_A_STEP)))


def _fill_in(db: Db, docs: Sequence[Document]) -> int:
    if docs:
        db.schedules.bulk_write([_filling(doc) for doc in docs], ordered=False)
    return len(docs)


def _filling(doc: Document) -> UpdateOne:
    # It may be renamed in this moment: then it has them.
    return UpdateOne({"_id": doc["_id"], "name": doc["name"]}, {"$set": name_fields(doc["name"])})


def _query(search: ScheduleSearch) -> Document:
    states: Sequence[ScheduleState] = _NOT_ARCHIVED if search.state is None else [search.state]
    query: Document = {"state": {"$in": list(states)}}
    return query if search.name is None else query | {"name_starts": _begins_with(search.name)}


def _begins_with(term: str) -> Document:
    """A key holds letters, digits and spaces only: none of them means anything else in an expression."""
    return {"$regex": f"^{term_key(term)}"}
