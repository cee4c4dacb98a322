"""Messages that did not reach their recipient, and their resend by another run or mail, in the collection `messages`.

    sent_again   the run or mail that carries the message instead, for good

So neither a repeated resend, nor a requeue of a dispatch whose messages another run carries, mails a recipient twice. A
recipient with a sign of the mail (delivered, opened, clicked, complained, unsubscribed) was reached, whatever a bounce
reported. A recipient who was erased can be reached no more, and is in none of these lists.

Index: `listed` of document.py.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from mailroom.domain.ids import DispatchId, MessageId, RunId
from mailroom.domain.messages.model import StoredMessage
from mailroom.domain.messages.states import UNREACHED
from mailroom.storage import kept_counts
from mailroom.storage.cluster import restored_fences
from mailroom.storage.database import Db, Document, Session, guarded
from mailroom.storage.dispatches import resends
from mailroom.storage.messages.document import NO_PARTS, stored_message_of

_NONE: Final[Document] = {"$exists": False}
_SIGNS: Final = ("delivered_at", "first_opened_at", "first_clicked_at", "complained_at", "unsubscribed_at")
_COUNTS: Final = ("opens", "machine_opens", "clicks", "machine_clicks")
_A_STEP: Final = 1_000


@guarded
def count(db: Db, run_id: RunId, *, session: Session | None = None) -> int:
    """The number of a run's unreached messages that no other run or mail carries. Their own calls may still be made."""
    return db.messages.count_documents(_query(run_id) | {"sent_again": _NONE}, session=session)


@guarded
def page(db: Db, run_id: RunId, *, after: str, limit: int) -> list[StoredMessage]:
    """A page of unreached messages in the order of their ids. `after`: the last id of the previous page, or ''."""
    query = _query(run_id) | {"_id": {"$gt": after}}
    return _first(db, query, limit)


@dataclass(frozen=True, slots=True)
class Resendable:
    """Messages that may be resent now, and whether more follow."""

    messages: Sequence[StoredMessage]
    more: bool


@guarded
def left(db: Db, run_id: RunId, *, after: str, limit: int) -> Resendable:
    """At most `limit` unreached messages, in the order of their ids. Messages that another run or mail carries are left
    out, as are messages whose own call may still be made, or may have been made."""
    messages: list[StoredMessage] = []
    while len(messages) <= limit:
        step = _first(db, _query(run_id) | {"sent_again": _NONE, "_id": {"$gt": after}}, _A_STEP)
        if not step:
            break
        held = _held(db, [message.dispatch_id for message in step if message.dispatch_id])
        messages += [message for message in step if message.dispatch_id not in held]
        after = step[-1].id
    return Resendable(messages[:limit], len(messages) > limit)


def take(db: Db, ids: Collection[MessageId], by: RunId, *, session: Session) -> bool:
    """Assign these messages to another run or mail, for good. False if one of them was reached, or is already carried:
    the caller must then abort the transaction."""
    taken = {"$set": {"sent_again": by}}
    named = {"_id": {"$in": list(ids)}}
    kept_counts.mark_within(db, kept_counts.of_messages(ids), session)
    marked = db.messages.update_many(named | _UNREACHED | {"sent_again": _NONE}, taken, session=session)
    if marked.matched_count != len(ids):
        return False
    # Read their dispatches again: a split may have changed them since the first read.
    now = db.messages.find(named | {"dispatch_id": {"$exists": True}}, {"dispatch_id": 1}, session=session)
    carried = sorted({doc["dispatch_id"] for doc in now})
    return resends.note_resent(db, carried, by=by, session=session)


def _first(db: Db, query: Document, limit: int) -> list[StoredMessage]:
    rows = db.messages.find(query, NO_PARTS).sort("_id", 1).limit(limit).hint("listed")
    return [stored_message_of(doc) for doc in rows]


def _held(db: Db, ids: Sequence[DispatchId]) -> set[str]:
    """The dispatches among these that may still go, or have a fence that a restored MongoDB does not record in full."""
    return resends.may_still_go(db, ids) | set(restored_fences.among(db, ids))


_UNREACHED: Final[Document] = {
    "state": {"$in": sorted(UNREACHED)},
    **dict.fromkeys(_SIGNS, _NONE),
    **{name: {"$not": {"$gt": 0}} for name in _COUNTS},
    "erased": _NONE,
}


def _query(run_id: RunId) -> Document:
    return {"run_id": run_id, **_UNREACHED}
