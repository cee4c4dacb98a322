"""Collection `cluster`: when the ledger was checked, and by whom next.

_id         'ledger': the newest check of whether it all balances
at, wrong   when, and how many things did not;  next_at  when a sender makes the next one
"""

from datetime import datetime

from mailroom.storage.database import Db, guarded


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
