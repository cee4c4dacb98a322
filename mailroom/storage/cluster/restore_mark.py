"""Collection `cluster`: the high-water mark of this database, and the state of a recovery after a restore.

_id         'mark': the high-water mark
number      int, raised continually by senders; mirrored in Redis. A higher mark there shows that this is an older copy
at          time of the newest raise, by MongoDB's clock
remembers   true once the collection `remembered` was written;  restored_at: when that was last
lost        {number, at}: a backup was put back, and this database had come so far before; as a higher mark in Redis,
            which may be emptied before senders have seen it

_id         'replay': the time span that an older copy does not contain
since, through
            due instants in the span are planned as if on time, whatever the misfire rule: their mails went out
held        true while senders hold, because this is an older copy
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from pymongo import ReturnDocument

from mailroom.domain.errors import StoreRestored
from mailroom.domain.misfire import Replay
from mailroom.storage.database import Db, Document, Session, guarded


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a database had come, and when by its clock."""

    number: int
    at: datetime


class Raised(NamedTuple):
    """The mark, the server's time, and whether this database was restored once. `restored_at`: when it was put right
    last; None if it never was, or by an earlier version."""

    number: int
    at: datetime
    remembers: bool
    restored_at: datetime | None


@dataclass(frozen=True, slots=True)
class Healthy:
    """A database that is no older copy, as it was seen. `mark`: its mark. `remembers`: it was restored once, and stores
    its fences' records of that time. `restored_at`: when it was put right last; None if it never was, or by an earlier
    version."""

    mark: int = 0
    remembers: bool = False
    restored_at: datetime | None = None


NEVER_RESTORED: Final = Healthy()


@guarded
def mark(db: Db, *, session: Session | None = None) -> tuple[int, datetime | None]:
    """(The mark, the time of its newest raise); (0, None) before the first raise."""
    doc = db.cluster.find_one({"_id": "mark"}, session=session)
    return (doc["number"], doc["at"]) if doc else (0, None)


@guarded
def mark_and_lost(db: Db) -> tuple[int, datetime | None, Reached | None]:
    """As `mark`, and how far this database had come before a backup was put back; None if none ever was."""
    doc = db.cluster.find_one({"_id": "mark"}) or {}
    lost = doc.get("lost")
    return doc.get("number", 0), doc.get("at"), Reached(lost["number"], lost["at"]) if lost else None


@guarded
def note_lost(db: Db, lost: Reached) -> None:
    """Note that a backup was put back: senders hold, whatever Redis remembers, until the mark is above this one."""
    told = {"lost": {"number": lost.number, "at": lost.at}}
    db.cluster.update_one({"_id": "mark"}, {"$set": told, "$setOnInsert": {"number": 0, "at": None}}, upsert=True)


@guarded
def raise_mark(db: Db, least: int = 0, *, remembers: bool = False) -> Raised:
    """Raise the mark by one, and above `least`. `remembers`: note for good that `remembered` was written, and when."""
    higher = {"$add": [{"$max": [{"$ifNull": ["$number", 0]}, least]}, 1]}
    restored = {"remembers": True, "restored_at": "$$NOW"}
    doc = db.cluster.find_one_and_update(
        {"_id": "mark"},
        [{"$set": {"number": higher, "at": "$$NOW"} | (restored if remembers else {})}],
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    assert doc is not None  # an upsert always returns a document
    return Raised(doc["number"], doc["at"], doc.get("remembers", False), doc.get("restored_at"))


def require_mark(db: Db, number: int, session: Session) -> None:
    """Inside a transaction: check that this database has reached the mark `number`, so that it is not an older copy.

    Raises StoreRestored.
    """
    _require_mark(db, number, session)


def require_unrestored(db: Db, seen: Healthy, session: Session) -> None:
    """Inside a transaction: check that this database was not restored since it was `seen`, whether it was put right
    or not.

    Raises StoreRestored.
    """
    restored_at = _require_mark(db, seen.mark, session).get("restored_at")
    if restored_at != seen.restored_at:
        raise StoreRestored(f"MongoDB was restored, and put right at {restored_at}")


def _require_mark(db: Db, number: int, session: Session) -> Document:
    doc = db.cluster.find_one({"_id": "mark"}, session=session) or {}
    now = doc.get("number", 0)
    if now < number:
        raise StoreRestored(f"MongoDB had come to {number}, and is at {now} now")
    return doc


@guarded
def set_replay(db: Db, since: datetime, through: datetime) -> None:
    """Let due instants in this span be planned as if on time."""
    db.cluster.update_one({"_id": "replay"}, {"$set": {"since": since, "through": through}}, upsert=True)


@guarded
def replay(db: Db) -> Replay | None:
    """The time span that the last restored copy did not contain; None without a restore."""
    doc = db.cluster.find_one({"_id": "replay"})
    return Replay(doc["since"], doc["through"]) if doc and "since" in doc else None


@guarded
def note_held(db: Db, held: bool) -> None:
    """Note for API and pages whether senders hold."""
    db.cluster.update_one({"_id": "replay"}, {"$set": {"held": held}}, upsert=True)


@guarded
def is_held(db: Db) -> bool:
    """True while senders hold because this is an older copy."""
    doc = db.cluster.find_one({"_id": "replay"}, {"held": 1})
    return bool(doc and doc.get("held"))
