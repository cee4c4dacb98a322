"""Collection `messages`: one document a mail of a run, or a recipient of a single mail.

    _id          run id + '/' + digest of the folded address: a run has an address once
    run_id, dispatch_id (absent where it never gets one), address, name
    left_dispatch   see dispatch_trims.py
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
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo import DESCENDING, IndexModel, UpdateMany, UpdateOne

from mailroom.domain.errors import MessageNotFound
from mailroom.domain.ids import DispatchId, EmailId, MessageId, RunId
from mailroom.domain.messages import MOVES, Effect, Learnt, Message, MessageState
from mailroom.domain.reports import Report
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
def mark(db: Db, marks: Sequence[tuple[DispatchId, Learnt, str, int | None]]) -> None:
    """Tell the messages of these dispatches what was learnt: (dispatch, what, reason, code). May be repeated."""
    writes: list[UpdateMany] = []
    for dispatch, learnt, reason, code in marks:
        leaves, state = MOVES[learnt]
        change: Document = {"$set": {"state": state}}
        if learnt is Learnt.NOT_SENT:
            change["$unset"] = _NO_REASON
        elif reason:
            change["$set"] |= {"reason": reason} | ({"code": code} if code is not None else {})
        writes.append(UpdateMany({"dispatch_id": dispatch, "state": {"$in": sorted(leaves)}}, change))
    if writes:
        db.messages.bulk_write(writes, ordered=True)


# What was said of an earlier state is not true of the new one; the story of the mail keeps it.
_NO_REASON: Final = {"reason": "", "code": ""}


@guarded
def mark_sent(db: Db, dispatches: Sequence[DispatchId], *, at: datetime) -> None:
    """Tell all messages of these dispatches that they were sent. May be repeated."""
    if dispatches:
        db.messages.update_many({"dispatch_id": {"$in": list(dispatches)}}, _to_sent(at))


@guarded
def mark_some_sent(db: Db, ids: Sequence[MessageId], *, at: datetime) -> None:
    """Tell these messages that they were sent, whatever became of the rest of their dispatch. May be repeated."""
    if ids:
        db.messages.update_many({"_id": {"$in": list(ids)}}, _to_sent(at))


def _to_sent(at: datetime) -> list[Document]:
    """State and fact in one pass: the state moves as MOVES says, the earliest time told stays."""
    leaves, state = MOVES[Learnt.SENT]
    moves = {"$in": ["$state", sorted(leaves)]}
    kept = {name: {"$cond": [moves, "$$REMOVE", f"${name}"]} for name in _NO_REASON}
    moved = {"$cond": [moves, state, "$state"]}
    return [{"$set": {"state": moved, "sent_at": {"$min": ["$sent_at", at]}, **kept}}]


@guarded
def any_sent(db: Db, dispatch: DispatchId, *, session: Session | None = None) -> bool:
    """True if any message of this dispatch is known to have gone out."""
    query = {"dispatch_id": dispatch, "sent_at": {"$exists": True}}
    return db.messages.find_one(query, {"_id": 1}, session=session) is not None


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


@dataclass(frozen=True, slots=True)
class Carried:
    """How many mails name a dispatch, and how many of them wait for what becomes of it."""

    mails: int
    waiting: int


@guarded
def carried_by(db: Db, run_id: RunId) -> dict[DispatchId | None, Carried]:
    """A run's mails, counted by the dispatch that each names; None for those that never get one."""
    waiting = {"$in": ["$state", [MessageState.QUEUED, MessageState.IN_DOUBT]]}
    counts = {"mails": {"$sum": 1}, "waiting": {"$sum": {"$cond": [waiting, 1, 0]}}}
    rows = db.messages.aggregate([{"$match": {"run_id": run_id}}, {"$group": {"_id": "$dispatch_id", **counts}}])
    return {row["_id"]: Carried(row["mails"], row["waiting"]) for row in rows}


def existing(db: Db, ids: Sequence[MessageId], *, session: Session) -> set[MessageId]:
    """Which of these messages are ours."""
    return {MessageId(doc["_id"]) for doc in db.messages.find({"_id": {"$in": list(ids)}}, {"_id": 1}, session=session)}


def apply_effects(db: Db, effects: Sequence[tuple[MessageId, Effect]], *, session: Session) -> None:
    """Write what events did to their messages, inside the transaction that stores the events."""
    writes: list[UpdateOne] = []
    for message_id, effect in effects:
        facts: Document = {}
        if effect.earliest:
            facts["$min"] = effect.earliest
        if effect.counts:
            facts["$inc"] = effect.counts
        if facts:
            writes.append(UpdateOne({"_id": message_id}, facts))
        if effect.learnt is not None:
            leaves, state = MOVES[effect.learnt]
            change: Document = {"$set": {"state": state, **effect.notes}}
            if not effect.notes:
                change["$unset"] = _NO_REASON
            writes.append(UpdateOne({"_id": message_id, "state": {"$in": sorted(leaves)}}, change))
    if writes:
        db.messages.bulk_write(writes, ordered=True, session=session)


@guarded
def report(db: Db, runs: Sequence[RunId], session: Session) -> dict[RunId, Report]:
    """The counts of each run, from the facts and states of its messages, at the moment of the snapshot."""
    rows = db.messages.aggregate(
        [
            {"$match": {"run_id": {"$in": list(runs)}}},
            # Only what is counted travels on to the group stage.
            {"$project": dict.fromkeys(("run_id", "state", *_TIMES.values(), "opens", "machine_opens"), 1)},
            {
                "$group": {
                    "_id": "$run_id",
                    "recipients": {"$sum": 1},
                    "total_opens": {"$sum": "$opens"},
                    "machine_opens": {"$sum": "$machine_opens"},
                    **{name: {"$sum": _is_set(field)} for name, field in _TIMES.items()},
                    **{state: {"$sum": {"$cond": [{"$eq": ["$state", state]}, 1, 0]}} for state in _STATES},
                }
            },
        ],
        session=session,
    )
    found = {RunId(row.pop("_id")): Report(**row) for row in rows}
    return {run: found.get(run, Report()) for run in runs}


@guarded
def opens_by_hour(db: Db, runs: Sequence[RunId]) -> list[tuple[datetime, int]]:
    """First opens of these runs by the hour in which they were made."""
    rows = db.messages.aggregate(
        [
            {"$match": {"run_id": {"$in": list(runs)}, "first_opened_at": {"$exists": True}}},
            {"$group": {"_id": {"$dateTrunc": {"date": "$first_opened_at", "unit": "hour"}}, "n": {"$sum": 1}}},
            {"$sort": {"_id": 1}},
        ]
    )
    return [(row["_id"], row["n"]) for row in rows]


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


_AS_MAILED: Final = {"place": 1, "run_id": 1, "dispatch_id": 1, "address": 1, "name": 1, "parts": 1, "state": 1}

_TIMES: Final = {
    "sent": "sent_at",
    "delivered": "delivered_at",
    "bounced": "bounced_at",
    "complained": "complained_at",
    "unsubscribed": "unsubscribed_at",
    "unique_opens": "first_opened_at",
    "unique_clicks": "first_clicked_at",
}
_STATES: Final = (
    MessageState.QUEUED,
    MessageState.DEFERRED,
    MessageState.REJECTED,
    MessageState.FAILED,
    MessageState.SUPPRESSED,
    MessageState.CANCELLED,
    MessageState.IN_DOUBT,
    MessageState.UNKNOWN,
)


def _is_set(field: str) -> Document:
    return {"$cond": [{"$gt": [f"${field}", None]}, 1, 0]}


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
    )
