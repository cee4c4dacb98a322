"""Collection `controls`: mails that a provider is known to have accepted, as controls of its log.

    _id         account / time slot, because each slot needs only one control; or the message_id of a test mail
    account     the account of the acceptance, such as the sending domain
    message_id  the Message-Id under which the provider's log shows the mail
    at          a time before its acceptance (MongoDB's clock)
    expires_at  when the provider's log drops the mail

A question about a doubt also asks for a control: a log that does not show the control proves nothing. Written by the
senders' recorders and reconcilers.

Indexes: `account, at` finds the first control since a time; `expires_at` removes controls (TTL).
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
    """Store a mail that was accepted after `at` as a control, unless its time slot has one. Without a slot: always."""
    key = f"{account}/{int(at.timestamp() // slot.total_seconds())}" if slot else message_id
    db.controls.update_one(
        {"_id": key},
        {"$setOnInsert": {"account": account, "message_id": message_id, "at": at, "expires_at": at + kept_for}},
        upsert=True,
    )


@guarded
def first_since(db: Db, account: str, since: datetime) -> str | None:
    """The Message-Id of the earliest control at or after `since`, or None."""
    doc = db.controls.find_one({"account": account, "at": {"$gte": since}}, {"message_id": 1}, sort=[("at", ASCENDING)])
    return str(doc["message_id"]) if doc else None
