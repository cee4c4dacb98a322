"""Collection `webhook_tokens`: the one-time tokens of webhooks, each with its event.

    _id       provider + token
    event_id  the event;  at: when the webhook arrived

Inserted by the intake, in the transaction that stores the event or finds it stored. Removed by MongoDB two days later
(TTL index): a webhook with this token is then too old to be accepted.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from pymongo import IndexModel, UpdateOne

from mailroom.storage.database import Db, Session

COLLECTION: Final = "webhook_tokens"
_KEPT_S: Final = 2 * 86_400
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("at", 1)], expireAfterSeconds=_KEPT_S),)


def used(db: Db, keys: Sequence[str], *, session: Session) -> dict[str, str]:
    """The event of each of these tokens that was used before."""
    rows = db.webhook_tokens.find({"_id": {"$in": list(keys)}}, {"event_id": 1}, session=session)
    return {doc["_id"]: doc["event_id"] for doc in rows}


def add_many(db: Db, tokens: Mapping[str, str], *, now: datetime, session: Session) -> None:
    """Store tokens with their events. Two transactions with the same token collide, and one of them is retried."""
    writes = [
        UpdateOne({"_id": key}, {"$setOnInsert": {"event_id": event, "at": now}}, upsert=True)
        for key, event in tokens.items()
    ]
    if writes:
        db.webhook_tokens.bulk_write(writes, ordered=False, session=session)
