"""How long things are kept: TTL indexes, and trails that are cut off dispatches which are through.

    events      `received_at`      bodies    `kept_since`      refusals  `at`
                each with an index `kept`, whose span follows the settings

Collection `cluster`, _id 'trails': `runs`, `emails`, the times of making through which trails were looked at.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from pymongo import IndexModel
from pymongo.errors import OperationFailure

from mailroom.domain.ids import RunId
from mailroom.storage.database import Db, guarded
from mailroom.storage.dispatches import trails

_FIELDS: Final = {"events": "received_at", "bodies": "kept_since", "refusals": "at"}
_OPTIONS_CONFLICT: Final = 85


@guarded
def keep_for(db: Db, collection: str, span: timedelta) -> None:
    """Have the documents of a collection removed after this long; another span than before holds from now on."""
    seconds = int(span.total_seconds())
    index = IndexModel([(_FIELDS[collection], 1)], name="kept", expireAfterSeconds=seconds)
    try:
        db[collection].create_indexes([index])
    except OperationFailure as error:
        if error.code != _OPTIONS_CONFLICT:
            raise
        db.command("collMod", collection, index={"name": "kept", "expireAfterSeconds": seconds})


@guarded
def cut_trails(db: Db, *, made_before: datetime, limit: int = 200) -> int:
    """Cut the trails off some of the dispatches of runs and mails that were made before this. Acceptances stay: they
    are facts. Returns how many were cut."""
    done: Any = db.cluster.find_one({"_id": "trails"}) or {}
    cut = 0
    for collection in ("runs", "emails"):
        query: dict[str, Any] = {"created_at": {"$lt": made_before}}
        if collection in done:
            query["created_at"]["$gt"] = done[collection]
        found = list(db[collection].find(query, {"created_at": 1}).sort("created_at", 1).limit(limit))
        if not found:
            continue
        through = found[-1]["created_at"]
        # All that were made in the last one's moment: the next look begins after it.
        same = db[collection].find({"created_at": through}, {"_id": 1})
        cut += trails.cut(db, [RunId(id_) for id_ in sorted({doc["_id"] for doc in [*found, *same]})])
        db.cluster.update_one({"_id": "trails"}, {"$max": {collection: through}}, upsert=True)
    return cut
