"""What is learnt about messages, written into the collection `messages` (see document.py).

States move straight from MOVES; facts stand beside them, told in any order and as often as one likes.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pymongo import UpdateMany, UpdateOne

from mailroom.domain.ids import DispatchId, MessageId
from mailroom.domain.messages import MOVES, Effect, MessageTrigger
from mailroom.storage import kept_counts
from mailroom.storage.database import Db, Document, Session, guarded


@guarded
def mark(db: Db, marks: Sequence[tuple[DispatchId, MessageTrigger, str, int | None]]) -> None:
    """Tell the messages of these dispatches what was learnt: (dispatch, what, reason, code). May be repeated."""
    writes: list[UpdateMany] = []
    for dispatch, learnt, reason, code in marks:
        leaves, state = MOVES[learnt]
        change: Document = {"$set": {"state": state}}
        if learnt is MessageTrigger.NOT_SENT:
            change["$unset"] = _NO_REASON
        elif reason:
            change["$set"] |= {"reason": reason} | ({"code": code} if code is not None else {})
        writes.append(UpdateMany({"dispatch_id": dispatch, "state": {"$in": sorted(leaves)}}, change))
    if writes:
        kept_counts.mark(db, kept_counts.of_dispatches(dispatch for dispatch, *_ in marks))
        db.messages.bulk_write(writes, ordered=True)


# What was said of an earlier state is not true of the new one; the story of the mail keeps it.
_NO_REASON: Final = {"reason": "", "code": ""}


@guarded
def mark_sent(db: Db, dispatches: Sequence[DispatchId], *, at: datetime) -> None:
    """Tell all messages of these dispatches that they were sent. May be repeated."""
    if dispatches:
        kept_counts.mark(db, kept_counts.of_dispatches(dispatches))
        db.messages.update_many({"dispatch_id": {"$in": list(dispatches)}}, _to_sent(at))


@guarded
def mark_some_sent(db: Db, ids: Sequence[MessageId], *, at: datetime) -> None:
    """Tell these messages that they were sent, whatever became of the rest of their dispatch. May be repeated."""
    if ids:
        kept_counts.mark(db, kept_counts.of_messages(ids))
        db.messages.update_many({"_id": {"$in": list(ids)}}, _to_sent(at))


def mark_sent_among(db: Db, ids: Sequence[MessageId], *, at: datetime, session: Session) -> None:
    """The same, inside a transaction."""
    if ids:
        kept_counts.mark_within(db, kept_counts.of_messages(ids), session)
        db.messages.update_many({"_id": {"$in": list(ids)}}, _to_sent(at), session=session)


def _to_sent(at: datetime) -> list[Document]:
    """State and fact in one pass: the state moves as MOVES says, the earliest time told stays."""
    leaves, state = MOVES[MessageTrigger.SENT]
    moves = {"$in": ["$state", sorted(leaves)]}
    kept = {name: {"$cond": [moves, "$$REMOVE", f"${name}"]} for name in _NO_REASON}
    moved = {"$cond": [moves, state, "$state"]}
    return [{"$set": {"state": moved, "sent_at": {"$min": ["$sent_at", at]}, **kept}}]


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
        kept_counts.mark_within(db, kept_counts.of_messages(message for message, _ in effects), session)
        db.messages.bulk_write(writes, ordered=True, session=session)
