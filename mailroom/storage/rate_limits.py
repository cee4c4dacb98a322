"""Collection `rate_limits`: rate limits set by a person.

    _id        `provider/<name>` or `domain/<recipient's domain>`
    kind, name, mails, per, warm_up, began_at
               see domain/rates.py
    changed_by, changed_at

Written by API, pages and commands; read by senders every few seconds.

Indexes: none; there are at most `MAX_RATE_LIMITS`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pymongo import IndexModel

from mailroom.domain.rates import Limit, LimitKind, Per
from mailroom.storage.database import Db, guarded

COLLECTION: Final = "rate_limits"
INDEXES: Final[Sequence[IndexModel]] = ()


@guarded
def every(db: Db) -> list[Limit]:
    return [_limit(doc) for doc in db.rate_limits.find().sort("_id", 1)]


@guarded
def put(db: Db, limit: Limit, *, by: str) -> Limit:
    """Store the limit in place of an earlier limit. An unchanged warm-up continues from its start."""
    earlier = db.rate_limits.find_one({"_id": limit.id})
    began_at = limit.began_at
    if earlier and limit.warm_up and list(limit.warm_up) == earlier["warm_up"]:
        began_at = earlier["began_at"]
    fields = {name: getattr(limit, name) for name in ("kind", "name", "mails", "per")}
    changed = {"changed_by": by, "changed_at": limit.began_at}
    doc = {**fields, "warm_up": list(limit.warm_up), "began_at": began_at, **changed}
    db.rate_limits.replace_one({"_id": limit.id}, doc, upsert=True)
    return _limit(doc)


@guarded
def remove(db: Db, id_: str) -> bool:
    return db.rate_limits.delete_one({"_id": id_}).deleted_count == 1


def _limit(doc: Mapping[str, Any]) -> Limit:
    return Limit(
        LimitKind(doc["kind"]), doc["name"], doc["mails"], Per(doc["per"]), tuple(doc["warm_up"]), doc["began_at"]
    )
