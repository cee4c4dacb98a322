"""Collection `audiences`: one document a list of contacts (see members.py).

    _id         audience id
    state       `staged` while it is nobody's: its members are being written, or it was dropped; `kept` from the
                transaction that makes it a schedule's, or lists it
    count       contacts now;  created_at
    variables   of one that was never changed: the merge fields that every contact has
    having      {name: how many contacts have this merge field}; absent in one that was never changed
    zones       {time zone: how many contacts have it}; absent in one from before 2026-12-01, until somebody asks
    version     the moment of its newest change;  made_count: contacts before the first one. Absent before that
    kept_from   the oldest version that can still be read, absent while all can;  kept_from_since: since when this
                stands, by MongoDB's clock
    name        of one that is listed: schedules may name it, any number of them, and its contacts may be changed
    listed      true while they may
    request     the token owner's Idempotency-Key that asked for it (unique);  request_digest: of what it asked for
    uses        how many times a schedule was given it

A list left `staged` is removed a day later (`sweep`). Index on `state, created_at` for that; `listed, created_at, _id`
pages the list; `request` finds the same request again.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final, cast

from pymongo import DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from mailroom.domain.audience_versions import AudienceVersion
from mailroom.domain.audiences import RESERVED, Audience, Known, Recipient, known_variables
from mailroom.domain.contacts import Tally
from mailroom.domain.errors import AudienceNotFound
from mailroom.domain.ids import AudienceId, new_audience_id
from mailroom.storage.audiences import members, versions
from mailroom.storage.database import Db, Document, Session, guarded, unhurried

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
_ANYBODY: Final = Recipient("anybody@example.com")  # the example of an audience in which nobody is yet


class AlreadyListed(Exception):
    """The same request has listed one already."""


@unhurried
def stage(
    db: Db, recipients: Collection[Recipient], *, now: datetime, advance: Callable[[int], None] | None = None
) -> AudienceId:
    """Write a new list, streamed in batches, each in bounded time. It is nobody's until `keep` or `enlist`. `advance`
    is called with the number of each batch."""
    audience, variables = new_audience_id(), sorted(known_variables(recipients))
    zones = Counter(one.time_zone for one in recipients if one.time_zone)
    made = {"_id": audience, "state": "staged", "count": len(recipients), "variables": variables, "created_at": now}
    db.audiences.insert_one({**made, "zones": dict(zones)})
    rest = iter(recipients)
    while batch := list(islice(rest, _BATCH)):
        members.insert(db, audience, batch, joined_at=now)
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
def count(db: Db, audiences: Sequence[AudienceId]) -> int:
    """The contacts of all these audiences now, an address in two of them counted twice."""
    rows = db.audiences.find({"_id": {"$in": list(audiences)}}, {"count": 1})
    return sum(int(doc["count"]) for doc in rows)


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
    holding = members.holding(db, [audience.id for audience in listed], key)
    return [audience for audience in listed if audience.id in holding]


@guarded
def known(db: Db, audience: AudienceId) -> Known:
    """The fields that templates may count on. Raises AudienceNotFound."""
    doc = db.audiences.find_one({"_id": audience})
    if doc is None:
        raise AudienceNotFound(audience)
    first = members.after(db, AudienceVersion(audience, doc.get("version")), "", 1)
    having = doc["having"] if "version" in doc else None
    return Known(frozenset(_variables(doc)), first[0].recipient if first else _ANYBODY, having, doc["count"])


@guarded
def names(db: Db, audience: AudienceId) -> set[str]:
    """The merge fields that some contact has, of an audience that `count_names` has looked at."""
    doc = db.audiences.find_one({"_id": audience}, {"having": 1}) or {}
    return {name for name, number in doc.get("having", {}).items() if number > 0}


@guarded
def count_names(db: Db, audience: AudienceId, *, most: int) -> bool:
    """Count the merge fields of an audience that is to be changed for the first time. False for more than `most`."""
    if db.audiences.find_one({"_id": audience, "having": {"$exists": True}}, {"_id": 1}):
        return True
    having = members.count_names(db, audience, most=most)
    if having is None:
        return False
    db.audiences.update_one({"_id": audience, "having": {"$exists": False}}, {"$set": {"having": having}})
    return True


@guarded
def zones_of(db: Db, audiences: Collection[AudienceId]) -> dict[AudienceId, frozenset[str]]:
    """The time zones of the contacts of each of these audiences now; '' where some have none."""
    rows = db.audiences.find({"_id": {"$in": sorted(audiences)}}, {"count": 1, "version": 1, "zones": 1})
    return {AudienceId(doc["_id"]): _zones(doc["count"], _counted_zones(db, doc)) for doc in rows}


def _counted_zones(db: Db, doc: Mapping[str, Any]) -> Mapping[str, int]:
    """Counted the first time that somebody asks, and kept unless the audience is changed meanwhile."""
    if "zones" in doc:
        return cast("Mapping[str, int]", doc["zones"])
    counted = members.count_zones(db, AudienceId(doc["_id"]))
    as_read = {"_id": doc["_id"], "version": doc.get("version"), "zones": {"$exists": False}}
    db.audiences.update_one(as_read, {"$set": {"zones": counted}})
    return counted


def _zones(contacts: int, counted: Mapping[str, int]) -> frozenset[str]:
    some = {name for name, number in counted.items() if number > 0}
    return frozenset(some | ({""} if contacts > sum(counted.values()) else set()))


def changing(
    db: Db, audience: AudienceId, *, session: Session, listed: bool = True
) -> tuple[Audience, Mapping[str, int]]:
    """A listed audience that `count_names` has looked at, in the transaction that changes its contacts, with how many
    contacts have each merge field. With `listed` False a schedule's own, too. Raises AudienceNotFound."""
    which = {"listed": True} if listed else {"state": "kept"}
    doc = db.audiences.find_one({"_id": audience, **which}, session=session)
    if doc is None:
        raise AudienceNotFound(audience)
    return _audience(doc), doc.get("having", {})


@guarded
def kept_after(db: Db, audience: str, *, limit: int) -> list[AudienceId]:
    """The ids of listed audiences and of schedules' own, in their order, after this one."""
    rows = db.audiences.find({"_id": {"$gt": audience}, "state": "kept"}, {"_id": 1}).sort("_id", 1).limit(limit)
    return [AudienceId(doc["_id"]) for doc in rows]


def changed(db: Db, before: Audience, by: Tally, *, version: datetime, session: Session) -> None:
    """Move the numbers of an audience that `count_names` has looked at, in the transaction that changes its contacts.
    Of two such transactions one is aborted, so no two have the same version."""
    moved: Document = {"count": by.contacts} | {f"having.{name}": number for name, number in by.having.items()}
    if before.zones is not None:
        moved |= {f"zones.{name}": number for name, number in by.zones.items()}
    change: Document = {"$inc": moved, "$set": {"version": version}}
    if before.version is None:
        change["$set"]["made_count"] = before.count
    db.audiences.update_one({"_id": before.id}, change, session=session)


@guarded
def sweep(db: Db, *, now: datetime) -> int:
    """Remove lists that were never finished. Returns how many."""
    left = [doc["_id"] for doc in db.audiences.find({"state": "staged", "created_at": {"$lt": now - _STAGED_FOR}})]
    for audience in left:
        members.remove_all(db, audience)
        versions.remove_all(db, audience)
        db.audiences.delete_one({"_id": audience, "state": "staged"})
    return len(left)


def _audience(doc: Mapping[str, Any]) -> Audience:
    return Audience(
        id=AudienceId(doc["_id"]),
        name=doc.get("name", ""),
        count=doc["count"],
        variables=tuple(_variables(doc)),
        created_at=doc["created_at"],
        listed=doc.get("listed", False),
        version=doc.get("version"),
        zones=doc.get("zones"),
    )


def _variables(doc: Mapping[str, Any]) -> list[str]:
    """The names that every contact has."""
    if "version" not in doc:
        return list(doc["variables"])
    everybody = {name for name, number in doc["having"].items() if number == doc["count"] > 0}
    return sorted(everybody | RESERVED)
