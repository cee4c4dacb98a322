"""Collection `run_feeds`: the copy of a feed that a run keeps. Never changed once written, and kept as long as its run.

    _id          run id: a run has one copy, the first that was stored
    schedule_id
    fetched_at   when it was fetched; of a resent run, when its source fetched it
    url          without its query
    values       what the run's template gets as `feed`, as JSON: keys may be anything, whole numbers of any size
    found        items in the feed, new or not;  items: items that the run took
    seen         keys of these and earlier items (see domain/feeds/newer.py)
    away         why the run goes without its feed; absent otherwise

Written by the holder of the lane that fetched it.

Index `schedule_id, fetched_at`: what earlier runs of a schedule took.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from pymongo import DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from mailroom.domain.feeds.model import KeptFeed
from mailroom.domain.ids import RunId, ScheduleId
from mailroom.storage.database import Db, Document, drop_unset, guarded

COLLECTION: Final = "run_feeds"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("schedule_id", 1), ("fetched_at", DESCENDING)]),)


@guarded
def keep_first(db: Db, feed: KeptFeed) -> KeptFeed:
    """Store a run's copy, if it has none. Returns the copy that it has from now on."""
    try:
        db.run_feeds.insert_one(_document(feed))
    except DuplicateKeyError:
        kept = find(db, feed.run_id)
        if kept is None:
            raise
        return kept
    return feed


@guarded
def find(db: Db, run_id: RunId) -> KeptFeed | None:
    """A run's copy, if it has one."""
    doc = db.run_feeds.find_one({"_id": run_id})
    return _feed(doc) if doc else None


@guarded
def get_many(db: Db, run_ids: Collection[RunId]) -> dict[RunId, KeptFeed]:
    """The copies of these runs, by run."""
    docs = db.run_feeds.find({"_id": {"$in": sorted(run_ids)}})
    return {RunId(doc["_id"]): _feed(doc) for doc in docs}


@guarded
def newest_of(db: Db, schedule_id: ScheduleId, *, before: datetime, limit: int) -> list[RunId]:
    """The runs of a schedule with a copy that was fetched before a time, newest first."""
    query = {"schedule_id": schedule_id, "fetched_at": {"$lt": before}}
    rows = db.run_feeds.find(query, {"_id": 1}).sort("fetched_at", DESCENDING).limit(limit)
    return [RunId(doc["_id"]) for doc in rows]


def _document(feed: KeptFeed) -> Document:
    return drop_unset(
        {
            "_id": feed.run_id,
            "schedule_id": feed.schedule_id,
            "fetched_at": feed.fetched_at,
            "url": feed.url,
            "values": orjson.dumps(dict(feed.values)).decode(),
            "found": feed.found,
            "items": len(feed.items),
            "seen": list(feed.seen),
            "away": feed.away or None,
        }
    )


def _feed(doc: Any) -> KeptFeed:
    return KeptFeed(
        run_id=RunId(doc["_id"]),
        schedule_id=ScheduleId(doc["schedule_id"]),
        fetched_at=doc["fetched_at"],
        url=doc["url"],
        values=orjson.loads(doc["values"]),
        found=doc["found"],
        seen=doc["seen"],
        away=doc.get("away", ""),
    )
