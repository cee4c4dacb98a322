"""Collection `recipients`: the members of audiences, one document each. An audience never changes once it is kept.

    _id        {"a": audience id, "k": folded address}: an address is in an audience once, and they are read in order
    address    as it is mailed to;  name;  variables

Collection `audiences`: one document a list.

    _id        audience id
    state      `staged` while its members are being written, `kept` from the transaction that makes it a schedule's
    count      members;  created_at

A list left `staged` by a crash is removed a day later (`sweep`). Index on `audiences.state, created_at` for that.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from bson.max_key import MaxKey
from pymongo import IndexModel

from mailroom.domain.audiences import Recipient
from mailroom.domain.ids import AudienceId, new_audience_id
from mailroom.storage.database import Db, Document, Session, guarded

COLLECTION: Final = "audiences"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("state", 1), ("created_at", 1)]),)
_BATCH: Final = 5_000
_STAGED_FOR: Final = timedelta(days=1)


@guarded
def _insert(db: Db, documents: list[Document]) -> None:
    db.recipients.insert_many(documents, ordered=False)


@guarded
def stage(db: Db, recipients: Sequence[Recipient], *, now: datetime) -> AudienceId:
    """Write a new list, streamed in batches. It is nobody's until `keep`."""
    audience = new_audience_id()
    db.audiences.insert_one({"_id": audience, "state": "staged", "count": len(recipients), "created_at": now})
    members = iter(recipients)
    while batch := list(islice(members, _BATCH)):
        _insert(db, [_document(audience, recipient) for recipient in batch])
    return audience


def keep(db: Db, audience: AudienceId, *, session: Session) -> None:
    """Make a staged list a schedule's, in the schedule's own transaction."""
    kept = db.audiences.update_one({"_id": audience, "state": "staged"}, {"$set": {"state": "kept"}}, session=session)
    if kept.matched_count != 1:
        raise LookupError(f"audience {audience} is not staged")


@guarded
def after(db: Db, audience: AudienceId, key: str, limit: int) -> list[Recipient]:
    """The next members after a folded address ('' for the first), in its order."""
    rows = db.recipients.find({"_id": _range(audience, key)}).sort("_id", 1).limit(limit)
    return [_recipient(doc) for doc in rows]


@guarded
def whole_small_ones(db: Db, audiences: Sequence[AudienceId]) -> dict[AudienceId, list[Recipient]]:
    """All members of several small lists in one question."""
    found: dict[AudienceId, list[Recipient]] = {audience: [] for audience in audiences}
    if found:
        ranges = [{"_id": _range(audience, "")} for audience in found]
        for doc in db.recipients.find({"$or": ranges}).sort("_id", 1):
            found[doc["_id"]["a"]].append(_recipient(doc))
    return found


@guarded
def some(db: Db, audience: AudienceId, keys: Sequence[str]) -> dict[str, Recipient]:
    """The members with these folded addresses, by them."""
    wanted = {"_id": {"$in": [{"a": audience, "k": key} for key in keys]}}
    return {doc["_id"]["k"]: _recipient(doc) for doc in db.recipients.find(wanted)}


def everyone(db: Db, audience: AudienceId) -> Iterator[Recipient]:
    """All members, a page at a time."""
    key = ""
    while page := after(db, audience, key, _BATCH):
        yield from page
        key = page[-1].key


@guarded
def sweep(db: Db, *, now: datetime) -> int:
    """Remove lists that were never finished. Returns how many."""
    left = [doc["_id"] for doc in db.audiences.find({"state": "staged", "created_at": {"$lt": now - _STAGED_FOR}})]
    for audience in left:
        db.recipients.delete_many({"_id": _range(audience, "")})
        db.audiences.delete_one({"_id": audience, "state": "staged"})
    return len(left)


def _range(audience: AudienceId, key: str) -> Document:
    return {"$gt": {"a": audience, "k": key}, "$lt": {"a": audience, "k": MaxKey()}}


def _document(audience: AudienceId, recipient: Recipient) -> Document:
    return {
        "_id": {"a": audience, "k": recipient.key},
        "address": recipient.address,
        "name": recipient.name,
        "variables": recipient.variables,
    }


def _recipient(doc: Document) -> Recipient:
    return Recipient(doc["address"], doc["name"], doc["variables"])
