"""Collection `cluster`: how far this database has come, and what a restore left to be done.

_id         'mark': how far this database has come
number      int, raised every moment by senders; mirrored in Redis, where a higher one tells of an older copy
at          when
remembers   true once there was something to keep in the collection `remembered`

_id         'replay': instants of a time that an older copy knows nothing of
since, through
            due instants in between are planned as if on time, whatever the misfire rule: their mails went out
held        true while senders hold, because this is an older copy
"""

from datetime import datetime

from pymongo import ReturnDocument

from mailroom.domain.errors import StoreRestored
from mailroom.storage.database import Db, Session, guarded


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
