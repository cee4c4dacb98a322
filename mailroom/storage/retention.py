"""Retention: TTL indexes, and the removal of trails from dispatches that are through.

    events      `received_at`      bodies    `kept_since`      refusals, requests  `at`
                each has a TTL index `kept`, whose span follows the settings

Collection `cluster`, _id 'trails': `runs`, `emails`: trails of runs and mails created up to this time were cut.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from pymongo import IndexModel
from pymongo.errors import OperationFailure

from mailroom.domain.ids import RunId
from mailroom.storage.database import Db, guarded
from mailroom.storage.dispatches import trails

_FIELDS: Final = {"events": "received_at", "bodies": "kept_since", "refusals": "at", "requests": "at"}
_OPTIONS_CONFLICT: Final = 85


@guarded
def keep_for(db: Db, collection: str, span: timedelta) -> None:
    """Let MongoDB remove the documents of a collection after `span`. A changed span applies from now on."""
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
    """Remove the trails of dispatches whose run or mail was created before `made_before`, about `limit` runs
    and `limit` mails in a call. Acceptances stay, because they are facts. Returns the number of trails removed."""
    done: Any = db.cluster.find_one({"_id": "trails"}) or {}
    cut = 0
    for collection in ("runs", "emails"):
        query: dict[str, Any] = {"created_at": {"$lt": made_before}}
        if collection in done:
            query["created_at"]["$gt"] = done[collection]
        docs = list(db[collection].find(query, {"created_at": 1}).sort("created_at", 1).limit(limit))
        if not docs:
            continue
        through = docs[-1]["created_at"]
        # All documents of the last creation time, because the next call begins after that time.
        same = db[collection].find({"created_at": through}, {"_id": 1})
        cut += trails.cut(db, [RunId(id_) for id_ in sorted({doc["_id"] for doc in [*docs, *same]})])
        db.cluster.update_one({"_id": "trails"}, {"$max": {collection: through}}, upsert=True)
    return cut
