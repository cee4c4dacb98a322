"""Collection `webhook_targets`: the webhook address registered at each provider, and the arrival of its webhooks.

    _id          provider
    url, pushed_at, pushed_by
                 the registered address, when it was registered, and by whom
    pushed_url, mark
                 the address with its mark, and the mark
    marked_at    when a verified webhook last arrived at the marked address, to within a second
    arrived_at   when a verified webhook of this provider last arrived, to within a second
    unread       int, events that could not be parsed; they are stored raw in `events`, with the kind `unknown`

Indexes: none; there are few documents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

from pymongo import IndexModel, UpdateOne

from mailroom.storage.database import Db, Document, Session, guarded

COLLECTION: Final = "webhook_targets"
INDEXES: Final[Sequence[IndexModel]] = ()


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """The registered webhook address of a provider, and the arrival of its webhooks. All empty: never registered."""

    url: str | None = None
    pushed_at: datetime | None = None
    pushed_by: str | None = None
    pushed_url: str | None = None  #: the address with its mark
    mark: str | None = None
    marked_at: datetime | None = None  #: when a verified webhook last arrived at the marked address
    arrived_at: datetime | None = None  #: when a verified webhook last arrived
    unread: int = 0  #: events that could not be parsed


NOT_PUSHED: Final = WebhookTarget()


@guarded
def every(db: Db) -> dict[str, WebhookTarget]:
    """All targets by provider. A provider without a registration and without webhooks is absent."""
    return {doc["_id"]: _target(doc) for doc in db.webhook_targets.find()}


@guarded
def pushed(db: Db, provider: str, url: str, marked: str, mark: str, *, by: str, now: datetime) -> None:
    target = {"url": url, "pushed_url": marked, "mark": mark, "pushed_at": now, "pushed_by": by}
    fields: Document = {name: {"$literal": value} for name, value in target.items()}
    # A webhook that arrived at another address proves nothing about this address.
    fields["marked_at"] = {"$cond": [{"$eq": ["$mark", {"$literal": mark}]}, "$marked_at", "$$REMOVE"]}
    db.webhook_targets.update_one({"_id": provider}, [{"$set": fields}], upsert=True)


def count_unread(db: Db, counts: Mapping[str, int], *, session: Session) -> None:
    writes = [UpdateOne({"_id": name}, {"$inc": {"unread": count}}, upsert=True) for name, count in counts.items()]
    db.webhook_targets.bulk_write(writes, session=session)


@guarded
def arrived(db: Db, provider: str, mark: str, *, now: datetime) -> None:
    db.webhook_targets.update_one({"_id": provider}, {"$max": {"arrived_at": now}}, upsert=True)
    if mark:
        db.webhook_targets.update_one({"_id": provider, "mark": mark}, {"$max": {"marked_at": now}})


def _target(doc: Document) -> WebhookTarget:
    return WebhookTarget(**{field.name: doc[field.name] for field in fields(WebhookTarget) if field.name in doc})
