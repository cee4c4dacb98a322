"""Collection `events`: every event a provider told, raw and read, each once. Never changed.

    _id         provider + domain + the provider's id + its time (Mailgun's ids are unique only within a day)
    provider, kind, at, recipient, run_id, dispatch_id, message_id (absent where it is nobody's we know)
    by_machine  an open or click by a proxy or scanner
    code, reason  the provider's words for a failure
    raw         the provider's own document;  received_at

Inserted by the intake in the transaction that applies them to their messages.

Indexes: `run_id, kind` to recount a run; `message_id` (partial) for the story of one message; `received_at` (TTL, see
retention.py).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pymongo import IndexModel

from mailroom.domain.events import Event
from mailroom.domain.ids import MessageId, RunId
from mailroom.storage.database import Db, Document, Session, drop_unset, guarded, insert_new

COLLECTION: Final = "events"
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel([("run_id", 1), ("kind", 1)]),
    IndexModel([("message_id", 1)], partialFilterExpression={"message_id": {"$exists": True}}),
)


def known(db: Db, ids: Sequence[str], *, session: Session) -> set[str]:
    """Which of these events are stored already."""
    return {doc["_id"] for doc in db.events.find({"_id": {"$in": list(ids)}}, {"_id": 1}, session=session)}


def add_many(db: Db, events: Sequence[tuple[Event, MessageId | None]], *, now: datetime, session: Session) -> None:
    """Raises AlreadyThere."""
    if not events:
        return
    insert_new(db.events, [_document(event, message, now) for event, message in events], session)


@guarded
def of_message(db: Db, message_id: MessageId) -> list[Document]:
    """Every event about a message, without the providers' own documents."""
    return list(db.events.find({"message_id": message_id}, {"raw": 0}))


@guarded
def recount(db: Db, run_id: RunId, session: Session) -> dict[str, int]:
    """A run's counts straight from the raw events, independent of what stands in the messages, at the moment of the
    snapshot."""
    by_machine: Document = {"$cond": ["$by_machine", 1, 0]}
    rows = db.events.aggregate(
        [
            {"$match": {"run_id": run_id, "message_id": {"$exists": True}}},
            # Per mail and kind first: 'unique' counts mails, 'total' counts events.
            {
                "$group": {
                    "_id": {"m": "$message_id", "k": "$kind"},
                    "machine": {"$sum": by_machine},
                    "human": {"$sum": {"$subtract": [1, by_machine]}},
                }
            },
            {
                "$group": {
                    "_id": "$_id.k",
                    "mails": {"$sum": 1},
                    "mails_by_people": {"$sum": {"$cond": [{"$gt": ["$human", 0]}, 1, 0]}},
                    "by_people": {"$sum": "$human"},
                    "by_machines": {"$sum": "$machine"},
                }
            },
        ],
        session=session,
    )
    kinds = {row["_id"]: row for row in rows}
    counted = {
        "delivered": ("delivered", "mails"),
        "bounced": ("bounced", "mails"),
        "complained": ("complained", "mails"),
        "unsubscribed": ("unsubscribed", "mails"),
        "unique_opens": ("opened", "mails_by_people"),
        "total_opens": ("opened", "by_people"),
        "machine_opens": ("opened", "by_machines"),
        "unique_clicks": ("clicked", "mails_by_people"),
    }
    return {name: kinds.get(kind, {}).get(count, 0) for name, (kind, count) in counted.items()}


def _document(event: Event, message_id: MessageId | None, now: datetime) -> Document:
    return drop_unset(
        {
            "_id": event.id,
            "provider": event.provider,
            "kind": event.kind,
            "at": event.at,
            "recipient": event.recipient,
            "run_id": event.run_id,
            "dispatch_id": event.dispatch_id,
            "message_id": message_id,
            "by_machine": event.by_machine or None,
            "code": event.code,
            "reason": event.reason or None,
            "raw": event.raw,
            "received_at": now,
        }
    )
