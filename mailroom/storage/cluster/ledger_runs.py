"""Collection `cluster`: the newest check of the ledger, and the time of the next check.

_id         'ledger'
at, wrong   time of the newest check, and the number of its imbalances
next_at     time of the next check, by MongoDB's clock; set by the sender that claims a check
"""

from datetime import datetime

from mailroom.storage.cluster.server_clock import has_come, in_seconds
from mailroom.storage.database import Db, guarded


@guarded
def claim_ledger(db: Db, *, every_s: float) -> bool:
    """True for one caller in each span of `every_s` seconds: that caller makes the next check."""
    due, next_at = has_come("next_at"), in_seconds(every_s)
    db.cluster.update_one({"_id": "ledger"}, {"$setOnInsert": {"wrong": 0}}, upsert=True)
    return bool(db.cluster.update_one({"_id": "ledger", "$expr": due}, [{"$set": {"next_at": next_at}}]).modified_count)


@guarded
def note_ledger(db: Db, *, at: datetime, wrong: int) -> None:
    """Store the result of the newest check. `wrong`: the number of imbalances."""
    db.cluster.update_one({"_id": "ledger"}, {"$set": {"at": at, "wrong": wrong}}, upsert=True)


@guarded
def newest_ledger(db: Db) -> tuple[datetime, int] | None:
    """(Time, number of imbalances) of the newest check; None before the first."""
    doc = db.cluster.find_one({"_id": "ledger"})
    return (doc["at"], doc["wrong"]) if doc and "at" in doc else None
