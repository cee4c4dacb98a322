"""The messages and first addresses of dispatches, for lists, in the collection `dispatches` (see document.py)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from mailroom.domain.ids import DispatchId, RunId, ScheduleId
from mailroom.storage.database import Db, Document, guarded
from mailroom.storage.messages.document import COLLECTION as MESSAGES

FIRST: Final = 3  # addresses of each dispatch


@dataclass(frozen=True, slots=True)
class DispatchLoad:
    """The load of a dispatch. `messages`: the number of its messages. `addresses`: those of at most FIRST of them. For
    a single mail `schedule_id` is None, and `run_id` is the mail's id."""

    id: DispatchId
    run_id: RunId
    schedule_id: ScheduleId | None
    revision: int
    messages: int
    addresses: tuple[str, ...]


@guarded
def of(db: Db, ids: Collection[DispatchId]) -> dict[DispatchId, DispatchLoad]:
    """The loads of the stored dispatches among these, in one query that reads at most FIRST messages of each."""
    first: list[Document] = [{"$limit": FIRST}, {"$project": {"address": 1}}]
    people = {"from": MESSAGES, "localField": "_id", "foreignField": "dispatch_id", "pipeline": first, "as": "people"}
    # For a dispatch whose mail went elsewhere: the recipients of its own call.
    gone = {**people, "foreignField": "first_dispatch", "as": "gone"}
    fields = dict.fromkeys(("run_id", "schedule_id", "revision", "messages"), 1)
    rows = db.dispatches.aggregate(
        [{"$match": {"_id": {"$in": sorted(ids)}}}, {"$project": fields}, {"$lookup": people}, {"$lookup": gone}]
    )
    return {DispatchId(doc["_id"]): _carried(doc) for doc in rows}


def _carried(doc: Document) -> DispatchLoad:
    return DispatchLoad(
        id=DispatchId(doc["_id"]),
        run_id=RunId(doc["run_id"]),
        schedule_id=ScheduleId(doc["schedule_id"]) if doc.get("schedule_id") else None,
        revision=doc["revision"],
        messages=doc["messages"],
        addresses=tuple(message["address"] for message in doc["people"] or doc["gone"]),
    )
