"""Collection `messages`: one document a mail of a run, or a recipient of a single mail.

    _id          run id + '/' + digest of the folded address: a run has an address once
    run_id, dispatch_id (absent where it never gets one), address, name
    left_dispatch   see departures.py;  sent_again: see unreached.py
    parts        the rendered pieces of the content that differ by recipient
    place, created_at
                 of a recipient of a single mail: to, cc or bcc, and when it was accepted; run_id is the mail's id
    state        see domain/messages.py: MOVES is the whole table
    code, reason the last word of the provider or of our own refusal
    sent_at, delivered_at, bounced_at, complained_at, unsubscribed_at, first_opened_at, first_clicked_at
                 facts: the earliest time told
    opens, machine_opens, clicks, machine_clicks
                 facts: distinct events

Inserted by planning; state and facts are written by the senders' recorder and by the intake of events, each as a
conditional update straight from MOVES.

Indexes: `dispatch_id` to read and mark a dispatch's mails; `run_id` for reports; `listed` for a run's mails in a state;
`single` for single mails by the state of a recipient.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import DESCENDING, IndexModel

from mailroom.domain.errors import MessageNotFound
from mailroom.domain.ids import DispatchId, EmailId, MessageId, RunId
from mailroom.domain.messages import Message, MessageState
from mailroom.storage.database import Db, Document, Session, guarded

COLLECTION: Final = "messages"
# States that few messages are in, and that people look for. The way of most, queued, sent, delivered, touches no index.
_LISTED: Final = sorted(set(MessageState) - {MessageState.QUEUED, MessageState.SENT, MessageState.DELIVERED})
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel([("dispatch_id", 1)]),
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
    """`more` are further fields of all of them."""
    documents = [_document(message) | more for message in messages]
    if documents:
        db.messages.insert_many(documents, ordered=False, session=session)


@guarded
def get(db: Db, message_id: MessageId) -> Mapping[str, Any]:
    """The whole document. Raises MessageNotFound."""
    doc = db.messages.find_one({"_id": message_id})
    if doc is None:
        raise MessageNotFound(message_id)
    return doc


@guarded
def of_dispatches(db: Db, dispatches: Sequence[DispatchId]) -> dict[DispatchId, list[Message]]:
    """The messages of each dispatch, in the order of their ids."""
    found: dict[DispatchId, list[Message]] = {dispatch: [] for dispatch in dispatches}
    rows = db.messages.find({"dispatch_id": {"$in": list(dispatches)}}, _AS_MAILED).batch_size(2_000)
    for doc in rows:
        found[doc["dispatch_id"]].append(_message(doc))
    for messages in found.values():
        messages.sort(key=lambda message: message.id)
    return found


@guarded
def with_any_sent(db: Db, dispatches: Sequence[DispatchId], *, session: Session | None = None) -> set[DispatchId]:
    """Those of the dispatches of which any message is known to have gone out."""
    known = {"dispatch_id": {"$in": list(dispatches)}, "sent_at": {"$exists": True}}
    found = db.messages.aggregate([{"$match": known}, {"$group": {"_id": "$dispatch_id"}}], session=session)
    return {DispatchId(doc["_id"]) for doc in found}


@guarded
def addresses_of(db: Db, dispatches: Sequence[DispatchId]) -> dict[DispatchId, dict[MessageId, str]]:
    """To whom the messages of each dispatch go."""
    found: dict[DispatchId, dict[MessageId, str]] = {dispatch: {} for dispatch in dispatches}
    for doc in db.messages.find({"dispatch_id": {"$in": list(dispatches)}}, {"dispatch_id": 1, "address": 1}):
        found[doc["dispatch_id"]][doc["_id"]] = doc["address"]
    return found


@guarded
def sent_among(db: Db, dispatches: Sequence[DispatchId]) -> dict[DispatchId, list[str]]:
    """Those of the addresses of each dispatch of which a provider has told that it took the mail."""
    found: dict[DispatchId, list[str]] = {dispatch: [] for dispatch in dispatches}
    known = {"dispatch_id": {"$in": list(dispatches)}, "sent_at": {"$exists": True}}
    for doc in db.messages.find(known, {"dispatch_id": 1, "address": 1}):
        found[doc["dispatch_id"]].append(doc["address"])
    return found


@guarded
def reported(db: Db, dispatch: DispatchId) -> dict[str, int]:
    """How many mails of a dispatch the provider's events report as accepted (`sent`), and as delivered."""
    query = {"dispatch_id": dispatch, "sent_at": {"$exists": True}}
    rows = list(db.messages.find(query, {"delivered_at": 1}))
    return {"sent": len(rows), "delivered": sum("delivered_at" in row for row in rows)}


def existing(db: Db, ids: Sequence[MessageId], *, session: Session) -> set[MessageId]:
    """Which of these messages are ours."""
    return {MessageId(doc["_id"]) for doc in db.messages.find({"_id": {"$in": list(ids)}}, {"_id": 1}, session=session)}


@guarded
def page(db: Db, run_id: RunId, *, state: MessageState | None, after: str, limit: int) -> list[Mapping[str, Any]]:
    """A run's messages as documents without their parts, in the order of their ids."""
    if state in _LISTED:
        query: Document = {"run_id": run_id, "state": state, "_id": {"$gt": after}}
        return list(db.messages.find(query, {"parts": 0}).sort("_id", 1).limit(limit))
    # Ids begin with their run, so the primary index alone gives a run's messages in order.
    by_id: Document = {"_id": {"$gt": after or f"{run_id}/", "$lt": f"{run_id}0"}} | ({"state": state} if state else {})
    return list(db.messages.find(by_id, {"parts": 0}).sort("_id", 1).limit(limit))


@guarded
def of_emails(db: Db, emails: Sequence[EmailId]) -> dict[EmailId, list[Mapping[str, Any]]]:
    """The messages of each single mail, as documents."""
    found: dict[EmailId, list[Mapping[str, Any]]] = {email: [] for email in emails}
    for doc in db.messages.find({"run_id": {"$in": list(emails)}}, {"parts": 0}):
        found[doc["run_id"]].append(doc)
    return found


@guarded
def of_single_mails(
    db: Db, state: MessageState, *, before: tuple[datetime, str] | None, limit: int
) -> list[Mapping[str, Any]]:
    """Recipients of single mails in a state, newest mail first: `_id`, `run_id`, `created_at`."""
    query: Document = {"state": state, "created_at": {"$exists": True}}
    if before:
        at, id_ = before
        query["$or"] = [{"created_at": {"$lt": at}}, {"created_at": at, "_id": {"$lt": id_}}]
    newest = [("created_at", DESCENDING), ("_id", DESCENDING)]
    return list(db.messages.find(query, {"run_id": 1, "created_at": 1}).sort(newest).limit(limit))


_AS_MAILED: Final = dict.fromkeys(("place", "run_id", "dispatch_id", "address", "name", "parts", "state", "sent_at"), 1)


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
    return document


def _message(doc: Document) -> Message:
    return Message(
        id=MessageId(doc["_id"]),
        run_id=RunId(doc["run_id"]),
        dispatch_id=DispatchId(doc["dispatch_id"]),
        address=doc["address"],
        name=doc["name"],
        parts=doc["parts"],
        state=MessageState(doc["state"]),
        place=doc.get("place", ""),
        sent="sent_at" in doc,
    )
