"""Collection `events`: every event of a provider, raw and parsed, each once. Never changed.

    _id         provider + domain + the provider's id + its time (Mailgun's ids are unique only within a day)
    provider, kind, at, recipient, run_id, dispatch_id, message_id (absent if the event belongs to no message of ours)
    by_machine  an open or click by a proxy or scanner
    code, reason  the provider's words for a failure
    raw         the provider's own document;  received_at
    stray       the folded address of an event that belongs to no message of ours

Inserted by the intake, in the transaction that applies the events to their messages. Changed by the erasure of a person
alone: recipient, raw and reason go, and every count stays.

Indexes: `run_id, kind` to recount a run; `message_id` (partial) for the timeline of one message; `stray` (partial) for
a person's other events; `received_at` (TTL, see retention.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pymongo import IndexModel

from mailroom.domain.addresses import fold
from mailroom.domain.erasures import ERASED, holds
from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import DispatchId, MessageId, RunId
from mailroom.storage.database import Db, Document, Session, drop_unset, guarded, insert_new

COLLECTION: Final = "events"
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel([("run_id", 1), ("kind", 1)]),
    IndexModel([("message_id", 1)], partialFilterExpression={"message_id": {"$exists": True}}),
    IndexModel([("stray", 1)], partialFilterExpression={"stray": {"$exists": True}}),
)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """A stored event about a message, without the provider's own document."""

    kind: EventKind
    at: datetime
    code: int | None
    reason: str


def known(db: Db, ids: Sequence[str], *, session: Session) -> set[str]:
    """The ids among these of events that are already stored."""
    return {doc["_id"] for doc in db.events.find({"_id": {"$in": list(ids)}}, {"_id": 1}, session=session)}


def add_many(db: Db, events: Sequence[tuple[Event, MessageId | None]], *, now: datetime, session: Session) -> None:
    """Insert events with their messages. Raises AlreadyThere if an event is already stored."""
    if not events:
        return
    insert_new(db.events, [_document(event, message, now) for event, message in events], session)


@guarded
def of_message(db: Db, message_id: MessageId) -> list[RecordedEvent]:
    """Every event about a message."""
    rows = db.events.find({"message_id": message_id}, {"kind": 1, "at": 1, "code": 1, "reason": 1})
    return [RecordedEvent(EventKind(doc["kind"]), doc["at"], doc.get("code"), doc.get("reason", "")) for doc in rows]


@guarded
def recipients_of_accepted(db: Db, dispatches: Sequence[tuple[RunId, DispatchId]]) -> dict[DispatchId, list[str]]:
    """The recipients of each dispatch whose events show that a provider had accepted its mail. Each dispatch with its
    run or single mail."""
    recipients: dict[DispatchId, list[str]] = {dispatch: [] for _, dispatch in dispatches}
    query = {
        "run_id": {"$in": [run for run, _ in dispatches]},
        "kind": {"$ne": EventKind.UNKNOWN},  # which may mean anything
        "dispatch_id": {"$in": list(recipients)},
    }
    for doc in db.events.find(query, {"dispatch_id": 1, "recipient": 1}):
        recipients[doc["dispatch_id"]].append(doc["recipient"])
    return recipients


@guarded
def recount(db: Db, run_id: RunId, session: Session) -> dict[str, int]:
    """A run's counts straight from the raw events, independent of the messages, at the moment of the snapshot."""
    by_machine: Document = {"$cond": ["$by_machine", 1, 0]}
    rows = db.events.aggregate(
        [
            {"$match": {"run_id": run_id, "message_id": {"$exists": True}}},
            # Group by mail and kind first: 'unique' counts mails, 'total' counts events.
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


@guarded
def stored_of(db: Db, ids: Sequence[MessageId]) -> dict[MessageId, list[Mapping[str, object]]]:
    """All that is stored of the events about each message, in their order."""
    found: dict[MessageId, list[Mapping[str, object]]] = {id_: [] for id_ in ids}
    rows = db.events.find({"message_id": {"$in": list(ids)}}, dict.fromkeys(_STRANGE, 0))
    for doc in sorted(rows, key=lambda doc: doc["at"]):
        found[doc.pop("message_id")].append(doc)
    return found


@guarded
def strays_of(db: Db, key: str) -> Sequence[Mapping[str, object]]:
    """All that is stored of events about a folded address that belong to no message of ours."""
    return list(db.events.find({"stray": key}, dict.fromkeys((*_STRANGE, "stray"), 0)))


def erase(db: Db, ids: Sequence[MessageId], *, session: Session) -> int:
    """Take the recipient and the provider's words off the events about these messages. Returns how many were
    changed."""
    named = {"message_id": {"$in": list(ids)}, "recipient": {"$ne": ERASED}}
    return db.events.update_many(named, _ERASURE, session=session).modified_count if ids else 0


def erase_of_mail(db: Db, run_id: RunId, key: str, *, session: Session) -> int:
    """The same of all events of a single mail whose provider's document names this folded address: it may name all
    recipients. Who else an event is about stays."""
    docs = db.events.find({"run_id": run_id}, {"raw": 1, "recipient": 1}, session=session)
    named = [doc for doc in docs if fold(doc["recipient"]) == key or holds(doc["raw"], key)]
    theirs = [doc["_id"] for doc in named if fold(doc["recipient"]) in (key, "")]
    db.events.update_many({"_id": {"$in": theirs}}, _ERASURE, session=session)
    others = [doc["_id"] for doc in named if doc["_id"] not in theirs]
    db.events.update_many({"_id": {"$in": others}}, {"$set": {"raw": ""}}, session=session)
    return len(named)


def erase_strays(db: Db, key: str, *, limit: int, session: Session) -> int:
    """The same of events about a folded address that belong to no message of ours."""
    ids = [doc["_id"] for doc in db.events.find({"stray": key}, {"_id": 1}, session=session).limit(limit)]
    change: Document = {"$set": _ERASURE["$set"], "$unset": {**_ERASURE["$unset"], "stray": ""}}
    return db.events.update_many({"_id": {"$in": ids}}, change, session=session).modified_count if ids else 0


_ERASURE: Final[Document] = {"$set": {"recipient": ERASED, "raw": ""}, "$unset": {"reason": ""}}
_STRANGE: Final = ("_id", "run_id")  # nothing of theirs


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
            "stray": (fold(event.recipient) or None) if message_id is None else None,
        }
    )
