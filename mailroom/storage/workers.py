"""Collection `workers`: the lanes that each sender holds, as of its last check-in.

    _id           the sender's name, unique among all that ever run
    lanes         the lanes that it held
    checked_in_at when it said so, by MongoDB's clock

Written by each sender every few seconds, at the end of a completed round; removed by its TTL. `doctor` and `/metrics`
read every document: there are as many as senders.

Indexes: `checked_in_at` (TTL).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pymongo import IndexModel

from mailroom.domain.ids import Lane
from mailroom.storage.database import Db, guarded

COLLECTION: Final = "workers"
_KEPT_S: Final = 3_600
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("checked_in_at", 1)], expireAfterSeconds=_KEPT_S),)


@guarded
def check_in(db: Db, worker: str, lanes: Sequence[Lane]) -> None:
    says = {"$set": {"lanes": sorted(lanes)}, "$currentDate": {"checked_in_at": True}}
    db.workers.update_one({"_id": worker}, says, upsert=True)


@guarded
def lanes_held(db: Db, *, since: datetime) -> set[Lane]:
    """Every lane that some sender named in a check-in at this time or later."""
    rows = db.workers.find({"checked_in_at": {"$gte": since}}, {"lanes": 1})
    return {Lane(lane) for doc in rows for lane in doc["lanes"]}
