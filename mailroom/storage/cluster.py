"""Collection `cluster`: what we remember of etcd's memory, so that a restored etcd is noticed.

    _id         `etcd`
    cluster_id  etcd's cluster id, '' before the first answer
    revision    the highest revision we have seen
    epoch       int, raised when etcd came back with another id or a lower revision

    _id         'mark': how far this database has come
    number      int, raised every moment by senders; mirrored in Redis, where a higher one tells of an older copy
    at          when
    remembers   true once there was something to keep in the collection `remembered`

    _id         'replay': instants of a time that an older copy knows nothing of
    since, through
                due instants in between are planned as if on time, whatever the misfire rule: their mails went out
    held        true while senders hold, because this is an older copy

    _id         'ledger': the newest check of whether it all balances
    at, wrong   when, and how many things did not;  next_at  when a sender makes the next one

    _id         'tried': written now and then to find out whether MongoDB takes writes
    at          when it last did

Tokens are `epoch * 2^40 + create revision`, so they keep growing after etcd lost its memory.

The order matters: first `recall`, then ask etcd, then `settle`. What etcd answers after the recall is at least as new
as what was recalled, unless etcd lost its memory in between.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pymongo
from pymongo import ReturnDocument

from mailroom.domain.errors import StoreRestored, TakesNoWrites
from mailroom.storage.database import DISK_IS_FULL, Db, Session, guarded

COLLECTION: Final = "cluster"
_TRY_S: Final = 3.0
_LEAST_ROOM: Final = 16 * 1024 * 1024  # bytes, of MongoDB's largest document


@dataclass(frozen=True, slots=True)
class EtcdMemory:
    """What was known of etcd at one moment."""

    cluster_id: str
    revision: int
    epoch: int


@guarded
def recall(db: Db) -> EtcdMemory:
    """What is recorded of etcd now."""
    doc = db.cluster.find_one_and_update(
        {"_id": "etcd"},
        {"$setOnInsert": {"cluster_id": "", "revision": 0, "epoch": 1}},
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    assert doc is not None  # an upsert always leaves one
    return EtcdMemory(doc["cluster_id"], doc["revision"], doc["epoch"])


@guarded
def raise_epoch(db: Db, least: int) -> None:
    """Make every later token higher than all of the epochs up to `least`."""
    db.cluster.update_one({"_id": "etcd"}, [{"$set": {"epoch": {"$add": [{"$max": ["$epoch", least]}, 1]}}}])


@guarded
def mark(db: Db) -> tuple[int, datetime | None]:
    """How far this database has come, and when it was there."""
    doc = db.cluster.find_one({"_id": "mark"})
    return (doc["number"], doc["at"]) if doc else (0, None)


@guarded
def raise_mark(db: Db, least: int = 0, *, remembers: bool = False) -> tuple[int, datetime, bool]:
    """Raise the mark by one, and above `least`; `remembers` says from now on that there is something in `remembered`.

    Returns the mark, the server's time, and whether there is something in `remembered`.
    """
    higher = {"$add": [{"$max": [{"$ifNull": ["$number", 0]}, least]}, 1]}
    doc = db.cluster.find_one_and_update(
        {"_id": "mark"},
        [{"$set": {"number": higher, "at": "$$NOW"} | ({"remembers": True} if remembers else {})}],
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    assert doc is not None  # an upsert always leaves one
    return doc["number"], doc["at"], doc.get("remembers", False)


def require_mark(db: Db, number: int, session: Session) -> None:
    """Inside a transaction: make sure that this is not an older copy than the one that had reached this mark.

    Raises StoreRestored.
    """
    doc = db.cluster.find_one({"_id": "mark"}, session=session)
    now = doc["number"] if doc else 0
    if now < number:
        raise StoreRestored(f"MongoDB had come to {number}, and is at {now} now")


@guarded
def set_replay(db: Db, since: datetime, through: datetime) -> None:
    """Due instants in between are planned as if on time."""
    db.cluster.update_one({"_id": "replay"}, {"$set": {"since": since, "through": through}}, upsert=True)


@guarded
def replay(db: Db) -> tuple[datetime, datetime] | None:
    """The time of which the last older copy knew nothing."""
    doc = db.cluster.find_one({"_id": "replay"})
    return (doc["since"], doc["through"]) if doc and "since" in doc else None


@guarded
def note_held(db: Db, held: bool) -> None:
    """Let API and pages know whether senders hold."""
    db.cluster.update_one({"_id": "replay"}, {"$set": {"held": held}}, upsert=True)


@guarded
def is_held(db: Db) -> bool:
    """True while senders hold because this is an older copy."""
    doc = db.cluster.find_one({"_id": "replay"}, {"held": 1})
    return bool(doc and doc.get("held"))


@guarded
def claim_ledger(db: Db, *, every_s: float) -> bool:
    """True for one caller in each span of time: it is to make the next ledger."""
    due = {"$lte": [{"$ifNull": ["$next_at", "$$NOW"]}, "$$NOW"]}
    next_at = {"$dateAdd": {"startDate": "$$NOW", "unit": "second", "amount": int(every_s)}}
    db.cluster.update_one({"_id": "ledger"}, {"$setOnInsert": {"wrong": 0}}, upsert=True)
    return bool(db.cluster.update_one({"_id": "ledger", "$expr": due}, [{"$set": {"next_at": next_at}}]).modified_count)


@guarded
def note_ledger(db: Db, *, at: datetime, wrong: int) -> None:
    """How the newest ledger came out."""
    db.cluster.update_one({"_id": "ledger"}, {"$set": {"at": at, "wrong": wrong}}, upsert=True)


@guarded
def newest_ledger(db: Db) -> tuple[datetime, int] | None:
    """When the newest ledger was made, and how many things did not balance."""
    doc = db.cluster.find_one({"_id": "ledger"})
    return (doc["at"], doc["wrong"]) if doc and "at" in doc else None


@guarded
def settle(db: Db, recalled: EtcdMemory, *, cluster_id: str, revision: int) -> int:
    """The epoch for tokens of this revision, which etcd told after `recalled` was read; raised first if etcd lost its
    memory. Of many senders that see the same loss one raises."""
    if recalled.cluster_id in ("", cluster_id) and recalled.revision <= revision:
        db.cluster.update_one(
            {"_id": "etcd", "epoch": recalled.epoch},
            {"$max": {"revision": revision}, "$set": {"cluster_id": cluster_id}},
        )
        return recalled.epoch
    db.cluster.update_one(
        {"_id": "etcd", "epoch": recalled.epoch},
        {"$set": {"cluster_id": cluster_id, "revision": revision}, "$inc": {"epoch": 1}},
    )
    return recall(db).epoch


@guarded
def check_writes(db: Db) -> None:
    """Write one small document, journaled by a majority. Raises TakesNoWrites, Unavailable."""
    with pymongo.timeout(_TRY_S):
        db.cluster.update_one({"_id": "tried"}, [{"$set": {"at": "$$NOW"}}], upsert=True)
        # A small write finds room in a page that is there already, long after a mail does not.
        if not has_room(db.command("dbStats")):
            raise TakesNoWrites("MongoDB", DISK_IS_FULL)


def has_room(stats: Mapping[str, Any]) -> bool:
    """Whether the disk of MongoDB's data has room for the largest document; True where its figures are not told."""
    total, used = stats.get("fsTotalSize"), stats.get("fsUsedSize")
    return total is None or used is None or total - used >= _LEAST_ROOM
