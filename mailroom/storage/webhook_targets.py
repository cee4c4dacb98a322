"""Collection `webhook_targets`: where a provider was told to send its webhooks, and whether they come.

    _id          provider
    url, pushed_at, pushed_by
                 the address of the newest push, when, and by whom
    pushed_url, mark
                 that address with its mark, and the mark
    marked_at    when a verified webhook last came to the marked address, to within a second
    arrived_at   when a verified webhook of this provider last came, to within a second
    unread       how many of its events could not be read; they are kept raw in `events`, of kind `unknown`

Indexes: none; there are a handful.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import IndexModel, UpdateOne

from mailroom.storage.database import Db, Document, Session, guarded

COLLECTION: Final = "webhook_targets"
INDEXES: Final[Sequence[IndexModel]] = ()


@guarded
def every(db: Db) -> dict[str, Mapping[str, Any]]:
    return {doc["_id"]: doc for doc in db.webhook_targets.find()}


@guarded
def pushed(db: Db, provider: str, url: str, marked: str, mark: str, *, by: str, now: datetime) -> None:
    told = {"url": url, "pushed_url": marked, "mark": mark, "pushed_at": now, "pushed_by": by}
    fields: Document = {name: {"$literal": value} for name, value in told.items()}
    # A webhook that came to another address says nothing about this one.
    fields["marked_at"] = {"$cond": [{"$eq": ["$mark", {"$literal": mark}]}, "$marked_at", "$$REMOVE"]}
    db.webhook_targets.update_one({"_id": provider}, [{"$set": fields}], upsert=True)


def count_unread(db: Db, counts: Mapping[str, int], *, session: Session) -> None:
    writes = [UpdateOne({"_id": one}, {"$inc": {"unread": count}}, upsert=True) for one, count in counts.items()]
    db.webhook_targets.bulk_write(writes, session=session)


@guarded
def arrived(db: Db, provider: str, mark: str, *, now: datetime) -> None:
    db.webhook_targets.update_one({"_id": provider}, {"$max": {"arrived_at": now}}, upsert=True)
    if mark:
        db.webhook_targets.update_one({"_id": provider, "mark": mark}, {"$max": {"marked_at": now}})
