"""Collection `controls`: now and then, something that a provider is known to have accepted.

    _id         account / time slot: one is enough for each slot; or its message_id, where it was made on purpose
    account     where it was accepted, such as the sending domain
    message_id  the Message-Id under which the provider's log shows it
    at          a time before its acceptance (MongoDB's clock)
    expires_at  when the provider's log forgets it

A question about a doubt asks for one of these as well: a log that does not show it proves nothing. Written by
recorders and settlers.

Indexes: `account, at` finds the first one since a moment; `expires_at` lets them go (TTL).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from pymongo import ASCENDING, IndexModel

from mailroom.storage.database import Db, guarded

COLLECTION: Final = "controls"
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel([("account", 1), ("at", 1)]),
    IndexModel([("expires_at", 1)], expireAfterSeconds=0),
)


@guarded
def note(db: Db, account: str, message_id: str, *, at: datetime, slot: timedelta | None, kept_for: timedelta) -> None:
    """Remember that this was accepted after `at`, unless the slot of time has one already. Without a slot, always."""
    key = f"{account}/{int(at.timestamp() // slot.total_seconds())}" if slot else message_id
    db.controls.update_one(
        {"_id": key},
        {"$setOnInsert": {"account": account, "message_id": message_id, "at": at, "expires_at": at + kept_for}},
        upsert=True,
    )


@guarded
def first_since(db: Db, account: str, since: datetime) -> str | None:
    """The Message-Id of the earliest control after this moment."""
    found = db.controls.find_one(
        {"account": account, "at": {"$gte": since}}, {"message_id": 1}, sort=[("at", ASCENDING)]
    )
    return str(found["message_id"]) if found else None
