"""Collection `cluster`: the form of what is stored (see domain/schema.py).

_id         'schema'
number      int, the newest release whose migrations are complete; absent: 0
at          when that number was reached, by MongoDB's clock
restoring   the name of the restore that fills this database, or was cut off; absent otherwise

Written by every process at its start, and by senders; the number only grows. A restore writes `restoring` first and
removes it last, so that nothing works with half a database.
"""

import secrets

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
def restoring(db: Db) -> str | None:
    """The name of the restore that fills this database, or was cut off; None if there is none."""
    doc = db.cluster.find_one({"_id": "schema"}, {"restoring": 1})
    return str(doc["restoring"]) if doc and doc.get("restoring") else None


@guarded
def begin_restore(db: Db) -> str:
    """From now on no process starts on this database, and an earlier restore cannot end. Returns this one's name."""
    name = secrets.token_hex(8)
    db.cluster.update_one({"_id": "schema"}, {"$set": {"restoring": name, "number": 0}}, upsert=True)
    return name


@guarded
def end_restore(db: Db, name: str, number: int) -> bool:
    """The database is whole, in the form of this number. False if another restore has begun since."""
    change = {"$set": {"number": number}, "$unset": {"restoring": ""}, "$currentDate": {"at": True}}
    return db.cluster.update_one({"_id": "schema", "restoring": name}, change).matched_count == 1
