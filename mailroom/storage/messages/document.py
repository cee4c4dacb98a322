"""Collection `messages`: one document for each mail of a run, or for each recipient of a single mail.

    _id          run id + '/' + digest of the folded address, so that an address occurs once in a run
    run_id, dispatch_id (absent for a message without a dispatch), address, name
    left_dispatch, first_dispatch   see departures.py;  sent_again: see unreached.py
    parts        the rendered pieces of the content that differ by recipient
    place, created_at
                 for a recipient of a single mail: to, cc or bcc, and the time of acceptance; run_id is the mail's id
    state        see domain/messages/states.py: MOVES is the whole table
    code, reason of the provider's last answer or event, or of our own refusal
    sent_at, delivered_at, bounced_at, complained_at, unsubscribed_at, first_opened_at, first_clicked_at
                 facts: the earliest reported time
    opens, machine_opens, clicks, machine_clicks
                 facts: int, number of distinct events
    told_at      when the newest event about it was taken in; absent before the first, and where an older version of
                 Mailroom took it in
    erased       true once its recipient was erased: address, name, parts and reason are gone (see erasing.py)

Inserted by planning and by the acceptance of single mails. State and facts are written by the senders' recorder and by
the intake of events, each as a conditional update from MOVES.

Indexes: `dispatch_id`, `first_dispatch` to read and mark a dispatch's mails; `run_id` for reports; `listed` for a run's
mails in a state; `single` for single mails by the state of a recipient.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo import DESCENDING, IndexModel

from mailroom.domain.errors import MessageNotFound
from mailroom.domain.ids import DispatchId, EmailId, MessageId, RunId, run_of_message
from mailroom.domain.messages.model import Message, StoredMessage
from mailroom.domain.messages.states import MessageState
from mailroom.domain.packed_ids import MessageName
from mailroom.storage.database import Db, Document, Session, guarded

COLLECTION: Final = "messages"
# Rare states that people search for. Most messages only pass through queued, sent and delivered, outside the index.
_LISTED: Final = sorted(set(MessageState) - {MessageState.QUEUED, MessageState.SENT, MessageState.DELIVERED})
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel([("dispatch_id", 1)]),
    IndexModel([("first_dispatch", 1)], partialFilterExpression={"first_dispatch": {"$exists": True}}),
    IndexModel([("run_id", 1)]),
    IndexModel(
        [("run_id", 1), ("state", 1), ("_id", 1)], partialFilterExpression={"state": {"$in": _LISTED}}, name="listed"
    ),
    IndexModel(
        [("state", 1), ("created_at", DESCENDING), ("_id", DESCENDING)],
        partialFilterExpression={"created_at": {"$exists": True}},
        name="single",
    ),
)


def add_many(db: Db, messages: Iterable[Message], *, session: Session, **more: Any) -> None:
    """Insert messages. `more`: further fields of every document."""
    documents = [_document(message) | more for message in messages]
    if documents:
        db.messages.insert_many(documents, ordered=False, session=session)


@guarded
def get(db: Db, message_id: MessageId) -> StoredMessage:
    """A stored message. Raises MessageNotFound."""
    doc = db.messages.find_one({"_id": message_id})
    if doc is None:
        raise MessageNotFound(message_id)
    return stored_message_of(doc)


@guarded
def whole(db: Db, message_id: MessageId) -> Message:
    """A message with its parts. Raises MessageNotFound."""
    doc = db.messages.find_one({"_id": message_id})
    if doc is None:
        raise MessageNotFound(message_id)
    return _message(doc)


@guarded
def beside(db: Db, message_id: MessageId) -> tuple[MessageId | None, MessageId | None]:
    """The messages before and after this one in its run, in the order of their ids."""
    run = run_of_message(message_id)
    before = db.messages.find_one({"_id": {"$gt": f"{run}/", "$lt": message_id}}, {"_id": 1}, sort=[("_id", -1)])
    after = db.messages.find_one({"_id": {"$gt": message_id, "$lt": f"{run}0"}}, {"_id": 1}, sort=[("_id", 1)])
    return (MessageId(before["_id"]) if before else None, MessageId(after["_id"]) if after else None)


@guarded
def of_dispatches(db: Db, dispatches: Sequence[DispatchId]) -> dict[DispatchId, list[Message]]:
    """The messages of each dispatch, in the order of their ids."""
    by_dispatch: dict[DispatchId, list[Message]] = {dispatch: [] for dispatch in dispatches}
    rows = db.messages.find({"dispatch_id": {"$in": list(dispatches)}}, _AS_MAILED).batch_size(2_000)
    for doc in rows:
        by_dispatch[doc["dispatch_id"]].append(_message(doc))
    for messages in by_dispatch.values():
        messages.sort(key=lambda message: message.id)
    return by_dispatch


@guarded
def with_any_sent(db: Db, dispatches: Sequence[DispatchId], *, session: Session | None = None) -> set[DispatchId]:
    """The dispatches among these with a message that is known to have gone out."""
    sent = {"dispatch_id": {"$in": list(dispatches)}, "sent_at": {"$exists": True}}
    docs = db.messages.aggregate([{"$match": sent}, {"$group": {"_id": "$dispatch_id"}}], session=session)
    return {DispatchId(doc["_id"]) for doc in docs}


@guarded
def addresses_of(db: Db, dispatches: Sequence[DispatchId]) -> dict[DispatchId, dict[MessageId, str]]:
    """The messages of each dispatch with their addresses."""
    by_dispatch: dict[DispatchId, dict[MessageId, str]] = {dispatch: {} for dispatch in dispatches}
    for doc in db.messages.find({"dispatch_id": {"$in": list(dispatches)}}, {"dispatch_id": 1, "address": 1}):
        by_dispatch[doc["dispatch_id"]][doc["_id"]] = doc["address"]
    return by_dispatch


@guarded
def addresses_of_first(db: Db, dispatches: Sequence[DispatchId]) -> dict[DispatchId, dict[MessageId, str]]:
    """As `addresses_of`, for dispatches whose messages have gone elsewhere since."""
    by_dispatch: dict[DispatchId, dict[MessageId, str]] = {dispatch: {} for dispatch in dispatches}
    query = {"first_dispatch": {"$in": list(dispatches)}}
    for doc in db.messages.find(query, {"first_dispatch": 1, "address": 1}):
        by_dispatch[doc["first_dispatch"]][doc["_id"]] = doc["address"]
    return by_dispatch


@guarded
def sent_among(db: Db, dispatches: Sequence[DispatchId]) -> dict[DispatchId, list[str]]:
    """The addresses of each dispatch whose mail a provider is known to have accepted."""
    by_dispatch: dict[DispatchId, list[str]] = {dispatch: [] for dispatch in dispatches}
    sent = {"dispatch_id": {"$in": list(dispatches)}, "sent_at": {"$exists": True}}
    for doc in db.messages.find(sent, {"dispatch_id": 1, "address": 1}):
        by_dispatch[doc["dispatch_id"]].append(doc["address"])
    return by_dispatch


@dataclass(frozen=True, slots=True)
class Reported:
    """How many mails of a dispatch the provider's events report as accepted (`sent`), and as delivered."""

    sent: int
    delivered: int


@guarded
def reported(db: Db, dispatch: DispatchId) -> Reported:
    query = {"dispatch_id": dispatch, "sent_at": {"$exists": True}}
    rows = list(db.messages.find(query, {"delivered_at": 1}))
    return Reported(len(rows), sum("delivered_at" in row for row in rows))


def existing(db: Db, ids: Sequence[MessageId], *, session: Session) -> dict[MessageId, bool]:
    """The ids among these of stored messages, each with whether its recipient was erased."""
    rows = db.messages.find({"_id": {"$in": list(ids)}}, {"erased": 1}, session=session)
    return {MessageId(doc["_id"]): doc.get("erased", False) for doc in rows}


@guarded
def is_erased(db: Db, id_: MessageId) -> bool:
    """True for a stored message whose recipient was erased."""
    return db.messages.find_one({"_id": id_, "erased": True}, {"_id": 1}) is not None


@guarded
def named(db: Db, name: MessageName) -> StoredMessage | None:
    """The message of this name; None if there is none, or more than one."""
    first = f"{name.run}/{name.digest}"
    docs = list(db.messages.find({"_id": {"$gte": first, "$lt": f"{first}g"}}, NO_PARTS).limit(2))
    return stored_message_of(docs[0]) if len(docs) == 1 else None


@guarded
def page(db: Db, run_id: RunId, *, state: MessageState | None, after: str, limit: int) -> list[StoredMessage]:
    """A page of a run's messages in the order of their ids. `after`: the last id of the previous page, or ''."""
    if state in _LISTED:
        query: Document = {"run_id": run_id, "state": state, "_id": {"$gt": after}}
        return [stored_message_of(doc) for doc in db.messages.find(query, NO_PARTS).sort("_id", 1).limit(limit)]
    # Ids begin with their run, so the primary index alone gives a run's messages in order.
    by_id: Document = {"_id": {"$gt": after or f"{run_id}/", "$lt": f"{run_id}0"}} | ({"state": state} if state else {})
    return [stored_message_of(doc) for doc in db.messages.find(by_id, NO_PARTS).sort("_id", 1).limit(limit)]


@guarded
def of_emails(db: Db, emails: Sequence[EmailId]) -> dict[EmailId, list[StoredMessage]]:
    """The messages of each single mail."""
    messages: dict[EmailId, list[StoredMessage]] = {email: [] for email in emails}
    for doc in db.messages.find({"run_id": {"$in": list(emails)}}, NO_PARTS):
        messages[doc["run_id"]].append(stored_message_of(doc))
    return messages


@dataclass(frozen=True, slots=True)
class RecipientInState:
    """One recipient of a single mail, found by the recipient's state."""

    email: EmailId
    created_at: datetime


@guarded
def of_single_mails(
    db: Db, state: MessageState, *, before: tuple[datetime, str] | None, limit: int
) -> list[RecipientInState]:
    """A page of recipients of single mails in a state, newest mail first. `before`: (created_at, id) of the last row of
    the previous page."""
    query: Document = {"state": state, "created_at": {"$exists": True}}
    if before:
        at, id_ = before
        query["$or"] = [{"created_at": {"$lt": at}}, {"created_at": at, "_id": {"$lt": id_}}]
    newest = [("created_at", DESCENDING), ("_id", DESCENDING)]
    rows = db.messages.find(query, {"run_id": 1, "created_at": 1}).sort(newest).limit(limit)
    return [RecipientInState(EmailId(doc["run_id"]), doc["created_at"]) for doc in rows]


NO_PARTS: Final = {"parts": 0}
_AS_MAILED: Final = dict.fromkeys(
    ("place", "run_id", "dispatch_id", "address", "name", "parts", "state", "sent_at", "erased"), 1
)


def _document(message: Message) -> Document:
    document: Document = {
        "_id": message.id,
        "run_id": message.run_id,
        "address": message.address,
        "name": message.name,
        "parts": message.parts,
        "state": message.state,
    }
    if message.dispatch_id is not None:
        document["dispatch_id"] = message.dispatch_id
    if message.reason:
        document["reason"] = message.reason
    if message.place:
        document["place"] = message.place
    if message.erased:
        document["erased"] = True
    return document


def _message(doc: Document) -> Message:
    return Message(
        id=MessageId(doc["_id"]),
        run_id=RunId(doc["run_id"]),
        dispatch_id=doc.get("dispatch_id"),
        address=doc["address"],
        name=doc["name"],
        parts=doc["parts"],
        state=MessageState(doc["state"]),
        reason=doc.get("reason") or "",
        place=doc.get("place", ""),
        sent="sent_at" in doc,
        erased=doc.get("erased", False),
    )


def stored_message_of(doc: Mapping[str, Any]) -> StoredMessage:
    """A document as a value, without its parts."""
    return StoredMessage(
        id=MessageId(doc["_id"]),
        run_id=RunId(doc["run_id"]),
        dispatch_id=doc.get("dispatch_id"),
        left_dispatch=doc.get("left_dispatch"),
        address=doc["address"],
        name=doc["name"],
        state=MessageState(doc["state"]),
        code=doc.get("code"),
        reason=doc.get("reason"),
        place=doc.get("place", ""),
        sent_again=doc.get("sent_again"),
        sent_at=doc.get("sent_at"),
        delivered_at=doc.get("delivered_at"),
        bounced_at=doc.get("bounced_at"),
        first_opened_at=doc.get("first_opened_at"),
        told_at=doc.get("told_at"),
        opens=doc.get("opens", 0),
        clicks=doc.get("clicks", 0),
    )
