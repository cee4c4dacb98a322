"""State moves and facts of messages, written into the collection `messages` (see document.py).

States move as MOVES says. Facts are separate from the state, and may arrive in any order and repeatedly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pymongo import UpdateMany, UpdateOne

from mailroom.domain.ids import DispatchId, MessageId
from mailroom.domain.messages.event_effects import Effect
from mailroom.domain.messages.states import MOVES, MessageTrigger
from mailroom.storage import kept_counts
from mailroom.storage.database import Db, Document, Session, guarded
from mailroom.storage.schedules import last_runs


@dataclass(frozen=True, slots=True)
class MessageMark:
    """A trigger for all messages of a dispatch, with the reason and code of the outcome.

    `first`: the messages have gone elsewhere since (see departures.py).
    """

    dispatch: DispatchId
    trigger: MessageTrigger
    reason: str = ""
    code: int | None = None
    first: bool = False


@guarded
def mark(db: Db, marks: Sequence[MessageMark]) -> None:
    """Move the messages of these dispatches by their triggers. Idempotent."""
    writes: list[UpdateMany] = []
    for mark in marks:
        leaves, state = MOVES[mark.trigger]
        change: Document = {"$set": {"state": state}}
        if mark.trigger is MessageTrigger.NOT_SENT:
            change["$unset"] = _NO_REASON
        elif mark.reason:
            change["$set"] |= {"reason": mark.reason} | ({"code": mark.code} if mark.code is not None else {})
        carrier = "first_dispatch" if mark.first else "dispatch_id"
        writes.append(UpdateMany({carrier: mark.dispatch, "state": {"$in": sorted(leaves)}}, change))
    if writes:
        kept_counts.mark(db, kept_counts.of_dispatches(mark.dispatch for mark in marks))
        db.messages.bulk_write(writes, ordered=True)


# The reason of an earlier state does not hold for the new state; the timeline of the mail still shows it.
_NO_REASON: Final = {"reason": "", "code": ""}


@guarded
def mark_sent(db: Db, dispatches: Sequence[DispatchId], *, at: datetime) -> None:
    """Mark all messages of these dispatches as sent. Idempotent."""
    if dispatches:
        runs = kept_counts.of_dispatches(dispatches)
        last_runs.note_sent(db, runs, at=at)
        kept_counts.mark(db, runs)
        db.messages.update_many({"dispatch_id": {"$in": list(dispatches)}}, _to_sent(at))


@guarded
def mark_sent_first(db: Db, dispatches: Sequence[DispatchId], *, at: datetime) -> None:
    """As `mark_sent`, for messages that have gone elsewhere since."""
    kept_counts.mark(db, kept_counts.of_dispatches(dispatches))
    db.messages.update_many({"first_dispatch": {"$in": list(dispatches)}}, _to_sent(at))


@guarded
def mark_some_sent(db: Db, ids: Sequence[MessageId], *, at: datetime) -> None:
    """Mark these messages as sent, whatever the outcome of the other messages of their dispatch. Idempotent."""
    if ids:
        runs = kept_counts.of_messages(ids)
        last_runs.note_sent(db, runs, at=at)
        kept_counts.mark(db, runs)
        db.messages.update_many({"_id": {"$in": list(ids)}}, _to_sent(at))


def mark_sent_among(db: Db, ids: Sequence[MessageId], *, at: datetime, session: Session) -> None:
    """As `mark_some_sent`, inside a transaction."""
    if ids:
        runs = kept_counts.of_messages(ids)
        last_runs.note_sent(db, runs, at=at, session=session)
        kept_counts.mark_within(db, runs, session)
        db.messages.update_many({"_id": {"$in": list(ids)}}, _to_sent(at), session=session)


def _to_sent(at: datetime) -> list[Document]:
    """State and fact in one update: the state moves as MOVES says, and the earliest reported time stays."""
    leaves, state = MOVES[MessageTrigger.SENT]
    moves = {"$in": ["$state", sorted(leaves)]}
    kept = {name: {"$cond": [moves, "$$REMOVE", f"${name}"]} for name in _NO_REASON}
    moved = {"$cond": [moves, state, "$state"]}
    return [{"$set": {"state": moved, "sent_at": {"$min": ["$sent_at", at]}, **kept}}]


def apply_effects(db: Db, effects: Sequence[tuple[MessageId, Effect]], *, now: datetime, session: Session) -> None:
    """Write the effects of events on their messages, inside the transaction that stores the events."""
    writes: list[UpdateOne] = []
    for message_id, effect in effects:
        facts: Document = {"$max": {"told_at": now}}
        if effect.earliest:
            facts["$min"] = effect.earliest
        if effect.counts:
            facts["$inc"] = effect.counts
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
