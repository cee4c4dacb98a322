"""Collection `recipients`: the members of audiences, one document each. An audience never changes once it is kept.

    _id        {"a": audience id, "k": folded address}: an address is in an audience once, and they are read in order
    address    as it is mailed to;  name;  variables

Collection `audiences`: one document a list.

    _id        audience id
    state      `staged` while it is nobody's: its members are being written, or it was dropped; `kept` from the
               transaction that makes it a schedule's, or lists it
    count      members;  variables: those that every member has;  created_at
    name       of one that is listed: schedules may name it, any number of them;  listed: true while they may
    request    the token owner's Idempotency-Key that asked for it (unique);  request_digest: of what it asked for
    uses       how many times a schedule was given it

A list left `staged` is removed a day later (`sweep`). Index on `state, created_at` for that; `listed, created_at, _id`
pages the list; `request` finds the same request again.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from bson.max_key import MaxKey
from pymongo import DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from mailroom.domain.audiences import Audience, Known, Recipient, known_variables
from mailroom.domain.errors import AudienceNotFound
from mailroom.domain.ids import AudienceId, new_audience_id
from mailroom.storage.database import Db, Document, Session, guarded

COLLECTION: Final = "audiences"
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel([("state", 1), ("created_at", 1)]),
    IndexModel(
        [("listed", 1), ("created_at", DESCENDING), ("_id", DESCENDING)], partialFilterExpression={"listed": True}
    ),
    IndexModel([("request", 1)], unique=True, partialFilterExpression={"request": {"$exists": True}}),
)
_BATCH: Final = 5_000
_MOST_LOOKED_THROUGH: Final = 1_000
_STAGED_FOR: Final = timedelta(days=1)


class AlreadyListed(Exception):
    """The same request has listed one already."""


@guarded
def _insert(db: Db, documents: list[Document]) -> None:
    db.recipients.insert_many(documents, ordered=False)


@guarded
def stage(
    db: Db, recipients: Sequence[Recipient], *, now: datetime, advance: Callable[[int], None] | None = None
) -> AudienceId:
    """Write a new list, streamed in batches. It is nobody's until `keep` or `enlist`. `advance` is called with the
    number of each batch."""
    audience, variables = new_audience_id(), sorted(known_variables(recipients))
    made = {"_id": audience, "state": "staged", "count": len(recipients), "variables": variables, "created_at": now}
    db.audiences.insert_one(made)
    members = iter(recipients)
    while batch := list(islice(members, _BATCH)):
        _insert(db, [_document(audience, recipient) for recipient in batch])
        if advance:
            advance(len(batch))
    return audience


def keep(db: Db, audience: AudienceId, *, session: Session) -> None:
    """Make a staged list a schedule's, in the schedule's own transaction."""
    kept = db.audiences.update_one({"_id": audience, "state": "staged"}, {"$set": {"state": "kept"}}, session=session)
    if kept.matched_count != 1:
        raise LookupError(f"audience {audience} is not staged")


@guarded
def enlist(db: Db, audience: AudienceId, *, name: str, request: str, digest: str) -> None:
    """List a staged one under a name. Raises AlreadyListed where the same request has listed another one."""
    fields = {"state": "kept", "listed": True, "name": name, "request": request, "request_digest": digest}
    try:
        db.audiences.update_one({"_id": audience, "state": "staged"}, {"$set": fields})
    except DuplicateKeyError:
        raise AlreadyListed(request) from None


def use(db: Db, audience: AudienceId, *, session: Session) -> None:
    """A listed one is a schedule's too, from the transaction that gives it to it. Raises AudienceNotFound."""
    listed = {"_id": audience, "listed": True}
    if db.audiences.update_one(listed, {"$inc": {"uses": 1}}, session=session).matched_count != 1:
        raise AudienceNotFound(audience)


@guarded
def drop(db: Db, audience: AudienceId) -> None:
    """Take it off the list; where no schedule was given it, its members are removed later. Raises AudienceNotFound."""
    unused, off = {"uses": {"$exists": False}}, {"listed": "", "request": ""}
    listed = {"_id": audience, "listed": True}
    if db.audiences.update_one(listed | unused, {"$set": {"state": "staged"}, "$unset": off}).matched_count:
        return
    if not db.audiences.update_one(listed, {"$unset": off}).matched_count:
        raise AudienceNotFound(audience)


@guarded
def get(db: Db, audience: AudienceId) -> Audience:
    """A listed audience, or a schedule's own. Raises AudienceNotFound."""
    doc = db.audiences.find_one({"_id": audience, "state": "kept"})
    if doc is None:
        raise AudienceNotFound(audience)
    return _audience(doc)


@guarded
def of_request(db: Db, request: str) -> tuple[Audience, str] | None:
    """The audience that this request has listed, and the digest of the request."""
    doc = db.audiences.find_one({"request": request})
    return (_audience(doc), doc["request_digest"]) if doc else None


@guarded
def page(db: Db, *, before: tuple[datetime, str] | None, limit: int) -> list[Audience]:
    """Listed audiences, newest first. `before` is the last row of the page before."""
    query: Document = {"listed": True}
    if before:
        created_at, last = before
        query["$or"] = [{"created_at": {"$lt": created_at}}, {"created_at": created_at, "_id": {"$lt": last}}]
    rows = db.audiences.find(query).sort([("created_at", DESCENDING), ("_id", DESCENDING)]).limit(limit)
    return [_audience(doc) for doc in rows]


@guarded
def listed_with(db: Db, key: str) -> list[Audience]:
    """The listed audiences that hold this folded address, newest first; of the newest thousand."""
    listed = page(db, before=None, limit=_MOST_LOOKED_THROUGH)
    wanted = {"_id": {"$in": [{"a": audience.id, "k": key} for audience in listed]}}
    holding = {doc["_id"]["a"] for doc in db.recipients.find(wanted, {"_id": 1})}
    return [audience for audience in listed if audience.id in holding]


@guarded
def known(db: Db, audience: AudienceId) -> Known:
    """The fields that templates may count on. Raises AudienceNotFound."""
    doc = db.audiences.find_one({"_id": audience}, {"variables": 1})
    members = after(db, audience, "", 1)
    if doc is None or not members:
        raise AudienceNotFound(audience)
    return Known(frozenset(doc["variables"]), members[0])


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


def _audience(doc: Mapping[str, Any]) -> Audience:
    return Audience(
        id=AudienceId(doc["_id"]),
        name=doc.get("name", ""),
        count=doc["count"],
        variables=tuple(doc["variables"]),
        created_at=doc["created_at"],
        listed=doc.get("listed", False),
    )


def _recipient(doc: Document) -> Recipient:
    return Recipient(doc["address"], doc["name"], doc["variables"])
