"""Collection `suppressions`: addresses that must get nothing more, whatever the provider.

    _id      folded address
    reason   `bounced`, `complained`, `unsubscribed`: the first one told
    since    the time of that event;  event_id: which event told it, absent where a provider's answer did

Inserted by the intake of events in its transaction, and by what records answers; asked for by planning.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import IndexModel, UpdateOne

from mailroom.domain.addresses import fold
from mailroom.domain.events import Event, SuppressionReason
from mailroom.storage.database import Db, Session, guarded

COLLECTION: Final = "suppressions"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("since", -1), ("_id", -1)]),)


def add_many(db: Db, suppressed: Sequence[tuple[Event, SuppressionReason]], *, session: Session) -> None:
    writes = [
        UpdateOne(
            {"_id": fold(event.recipient)},
            {"$setOnInsert": {"reason": reason, "since": event.at, "event_id": event.id}},
            upsert=True,
        )
        for event, reason in suppressed
    ]
    if writes:
        db.suppressions.bulk_write(writes, ordered=False, session=session)


@guarded
def add_bounced(db: Db, keys: Sequence[str], *, at: datetime) -> None:
    """A provider said in its answer that these folded addresses take no mail."""
    told = {"reason": SuppressionReason.BOUNCED, "since": at}
    writes = [UpdateOne({"_id": key}, {"$setOnInsert": told}, upsert=True) for key in keys]
    if writes:
        db.suppressions.bulk_write(writes, ordered=False)


@guarded
def among(db: Db, keys: Sequence[str]) -> dict[str, str]:
    """Those of these folded addresses that are suppressed, with the reason."""
    return {doc["_id"]: doc["reason"] for doc in db.suppressions.find({"_id": {"$in": list(keys)}}, {"reason": 1})}


@guarded
def remove(db: Db, address: str) -> bool:
    """True if it was there."""
    return db.suppressions.delete_one({"_id": fold(address)}).deleted_count == 1


@guarded
def page(db: Db, *, before: tuple[datetime, str] | None, limit: int) -> list[Mapping[str, Any]]:
    """Newest first. `before` is the last row of the page before."""
    query: dict[str, Any] = {}
    if before:
        since, last = before
        query["$or"] = [{"since": {"$lt": since}}, {"since": since, "_id": {"$lt": last}}]
    return list(db.suppressions.find(query).sort([("since", -1), ("_id", -1)]).limit(limit))
