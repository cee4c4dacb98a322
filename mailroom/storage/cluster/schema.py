"""Collection `cluster`: the form of what is stored (see domain/schema.py).

_id         'schema'
number      int, the newest release whose migrations are complete; absent: 0
at          when that number was reached, by MongoDB's clock
restoring   true while a restore fills this database, and after one that was cut off

Written by every process at its start, and by senders; the number only grows. A restore writes `restoring` first and
removes it last, so that nothing works with half a database.
"""

from mailroom.domain.errors import RestoreUnfinished
from mailroom.storage.database import Db, Session, briefly, guarded


@briefly
def reached(db: Db, *, session: Session | None = None) -> int:
    """The number that this database has reached; 0 before the first. Raises RestoreUnfinished."""
    doc = db.cluster.find_one({"_id": "schema"}, session=session)
    if doc and doc.get("restoring"):
        raise RestoreUnfinished
    return int(doc["number"]) if doc else 0


@guarded
def reach(db: Db, number: int) -> None:
    """Note that this database has reached the number, unless it has come further."""
    further = {"$gt": [number, {"$ifNull": ["$number", 0]}]}
    change = {
        "number": {"$max": ["$number", number]},
        "at": {"$cond": [further, "$$NOW", "$at"]},
    }
    db.cluster.update_one({"_id": "schema"}, [{"$set": change}], upsert=True)


@guarded
def restoring(db: Db) -> bool:
    """True while a restore fills this database, and after one that was cut off."""
    return db.cluster.find_one({"_id": "schema", "restoring": True}, {"_id": 1}) is not None


@guarded
def begin_restore(db: Db) -> None:
    """From now on no process starts on this database."""
    db.cluster.update_one({"_id": "schema"}, {"$set": {"restoring": True, "number": 0}}, upsert=True)


@guarded
def end_restore(db: Db, number: int) -> None:
    """The database is whole, in the form of this number."""
    change = {"$set": {"number": number}, "$unset": {"restoring": ""}, "$currentDate": {"at": True}}
    db.cluster.update_one({"_id": "schema"}, change)
