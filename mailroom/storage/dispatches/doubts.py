"""Dispatches in doubt, in the collection `dispatches` (see document.py).

    in_doubt_at   MongoDB's time of the mark
    called_since  earliest time of a possible call; earlier than the newest claim if an earlier crossing is in question
    used_a_try    bool: the call reached the provider; false if our own crash caused the doubt
    doubted       the claim whose crossing of the fence is in doubt: the newest, or a claim that a restored copy lacks
    call_ended    bool: the caller saw that call end, so it is not still to come
    final         bool: the fence shows acceptance, or refusal and split, with other recipients than now
    cleared       list of the last claims that are known not to have been accepted: their crossings block no new attempt
    asked         int, questions to the provider since the mark
    not_before    in doubt: the time of the next question
    told_as       list of other ids of the mail from events, at most five: questions also name these
    resolved_by   the person who resolved the doubt

A conclusion is a decision: bound to the claim and the attempt that are in doubt, and to the guard of the lane. An
acceptance found in the log is a fact (outcomes.record_accepted).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from pymongo import UpdateOne

from mailroom.domain.dispatches.decisions import GIVES_UP
from mailroom.domain.dispatches.doubts import Doubt
from mailroom.domain.dispatches.model import FAILS_AFTER_CRASHES, Dispatch
from mailroom.domain.dispatches.states import DispatchState, DispatchTrigger
from mailroom.domain.ids import ClaimId, DispatchId, Lane
from mailroom.storage.database import Db, Document, Session, guarded
from mailroom.storage.dispatches.document import arriving, as_held, claim_of, claimed_of, leaving
from mailroom.storage.dispatches.outcomes import clearing
from mailroom.storage.dispatches.trails import onto_trail
from mailroom.storage.guard import LaneGuard

CALLED_FOR_GOOD: Final = "its fence says that it was accepted, or split, with other recipients than it has now"
_MOST_NAMES: Final = 5


@guarded
def to_ask(db: Db, lanes: Sequence[Lane], *, now: datetime, limit: int) -> list[Doubt]:
    """Doubts of these lanes with a due question, longest waiting first."""
    query = {"lane": {"$in": list(lanes)}, "state": DispatchState.IN_DOUBT, "not_before": {"$lte": now}}
    rows = db.dispatches.find(query, {"trail": 0}).sort("not_before", 1).limit(limit)
    return [_doubt(doc) for doc in rows]


@guarded
def put_off(db: Db, questions: Sequence[tuple[Doubt, datetime]]) -> None:
    """Set the time of the next question about each doubt, before the question, so that a bad answer cannot loop."""
    writes = [
        UpdateOne(
            _as_doubted(doubt),
            {"$set": {"not_before": next_at}, "$inc": {"asked": 1}},
        )
        for doubt, next_at in questions
    ]
    if writes:
        db.dispatches.bulk_write(writes, ordered=False)


def hurry(db: Db, ids: Sequence[DispatchId], *, now: datetime, session: Session) -> None:
    """Make a question due at once about those of these dispatches that are in doubt or unknown: an event named them."""
    query = {"_id": {"$in": list(ids)}, "state": DispatchState.IN_DOUBT, "not_before": {"$gt": now}}
    db.dispatches.update_many(query, {"$set": {"not_before": now}}, session=session)
    # An unknown dispatch is in doubt again: the log may show it after all.
    unknown = {"_id": {"$in": list(ids)}, "state": leaving(DispatchTrigger.HEARD_OF), "in_doubt_at": {"$exists": True}}
    again = {"state": arriving(DispatchTrigger.HEARD_OF), "not_before": now, "tell": True}
    db.dispatches.update_many(unknown, {"$set": again}, session=session)


def note_names(db: Db, names: Mapping[DispatchId, str], *, session: Session) -> None:
    """Store other ids of mails from events, for dispatches that are in doubt or unknown."""
    held = [DispatchState.IN_DOUBT, DispatchState.UNKNOWN]
    few = {f"told_as.{_MOST_NAMES - 1}": {"$exists": False}}
    db.dispatches.bulk_write(
        [
            UpdateOne(
                {"_id": id_, "state": {"$in": held}, **few},
                {"$addToSet": {"told_as": name}},
            )
            for id_, name in names.items()
        ],
        session=session,
    )


def conclude_not_accepted(
    db: Db, concluded: Sequence[tuple[Doubt, datetime | None]], *, by: str, now: datetime, guard: LaneGuard
) -> None:
    """`in_doubt -> pending` with the given `not_before`; `failed` if that is None, because no try is left. Instead,
    `cancelled` if the run was cancelled, and `failed` after too many crashes of ours."""
    writes: list[UpdateOne] = []
    for doubt, not_before in concluded:
        reason = "the provider's log is complete and shows nothing of it"
        trail = onto_trail(now, "not_accepted", sender=by, attempt=doubt.dispatch.attempt, reason=reason)
        tries: Document = {"$inc": {"tries": 1 if doubt.used_a_try else 0}}
        over, again = DispatchTrigger.NOT_ACCEPTED_AND_OVER, DispatchTrigger.NOT_ACCEPTED
        end: Document = {"state": arriving(over), "reason": f"not accepted, and no try is left ({reason})"}
        if doubt.dispatch.crashes >= FAILS_AFTER_CRASHES:
            end = {"state": arriving(over), "reason": GIVES_UP}
        elif not_before is not None:
            end = {"state": arriving(again), "not_before": not_before, "reason": reason}
        pushed = {"trail": trail, **clearing(doubt.doubted)}
        change = {"$set": {**end, "tell": True}, "$unset": {"may_move": ""}, "$push": pushed, **tries}
        writes.append(UpdateOne(as_held(doubt.dispatch, again) | {"run_cancelled": {"$ne": True}}, change))
        cancelled = {"state": arriving(DispatchTrigger.NOT_ACCEPTED_CANCELLED), "tell": True, "reason": reason}
        writes.append(
            UpdateOne(
                as_held(doubt.dispatch, DispatchTrigger.NOT_ACCEPTED_CANCELLED) | {"run_cancelled": True},
                {"$set": cancelled, "$unset": {"may_move": ""}, "$push": {"trail": trail}, **tries},
            )
        )
    if writes:
        db.dispatches.bulk_write(writes, ordered=True, session=guard.session)


def conclude_unknown(db: Db, doubts: Sequence[Doubt], reason: str, *, by: str, now: datetime, guard: LaneGuard) -> None:
    """`in_doubt -> unknown`: held for a person."""
    writes = []
    for doubt in doubts:
        why = CALLED_FOR_GOOD if doubt.final else reason
        step = onto_trail(now, "unknown", sender=by, attempt=doubt.dispatch.attempt, reason=why)
        unknown = {"state": arriving(DispatchTrigger.BEYOND_KNOWING), "tell": True, "reason": why}
        writes.append(UpdateOne(_as_doubted(doubt), {"$set": unknown, "$push": {"trail": step}}))
    if writes:
        db.dispatches.bulk_write(writes, ordered=False, session=guard.session)


def went_out(db: Db, dispatch: DispatchId, attempt: int, *, by: str, now: datetime, session: Session) -> bool:
    """Record a person's word that this attempt, unknown or in doubt, went out. False if the dispatch has changed."""
    accepted = {"provider_id": "", "provider": "", "attempt": attempt, "at": now, "by": by}
    change: Document = {
        "$set": {"state": arriving(DispatchTrigger.SAID_TO_BE_SENT), "tell": True, "resolved_by": by},
        "$unset": {"may_move": ""},
        "$push": {
            "accepted": accepted,
            "trail": onto_trail(now, "resolved", by=by, attempt=attempt, verdict="it went out"),
        },
    }
    as_seen = {"_id": dispatch, "state": leaving(DispatchTrigger.SAID_TO_BE_SENT), "attempt": attempt}
    return db.dispatches.update_one(as_seen, change, session=session).matched_count == 1


def send_again(
    db: Db, as_read: Mapping[DispatchId, Dispatch], *, by: str, now: datetime, session: Session
) -> set[DispatchId]:
    """A person's requeue of `unknown` or `failed` dispatches: to `pending`, with all tries, if still as in `as_read`.
    Returns the requeued dispatches. The others have changed, or another run or mail carries their messages."""
    again: Document = {"state": arriving(DispatchTrigger.REQUEUED), "not_before": now, "resolved_by": by}
    held: Document = {"state": leaving(DispatchTrigger.REQUEUED), "sent_again": {"$exists": False}}
    held |= {"final": {"$ne": True}, "elsewhere": {"$exists": False}}
    writes = [
        UpdateOne(
            {"_id": id_, "attempt": dispatch.attempt, "run_cancelled": {"$ne": True}, **held},
            {
                "$set": {**again, "tell": True, "tries": 0, "crashes": 0},
                "$unset": {"dropped": ""},
                "$push": {
                    "trail": onto_trail(now, "resolved", by=by, attempt=dispatch.attempt, verdict="send again"),
                    **(clearing(dispatch.doubted) if dispatch.doubted is not None else {}),
                },
            },
        )
        for id_, dispatch in as_read.items()
    ]
    if not writes:
        return set()
    db.dispatches.bulk_write(writes, ordered=False, session=session)
    moved = db.dispatches.find({"_id": {"$in": list(as_read)}, **again}, {"_id": 1}, session=session)
    return {DispatchId(doc["_id"]) for doc in moved}


def _as_doubted(doubt: Doubt) -> Document:
    """A query for the dispatch with this doubt, neither concluded nor resolved."""
    return as_held(doubt.dispatch, DispatchTrigger.BEYOND_KNOWING, moved=doubt.moved)


def _doubt(doc: Document) -> Doubt:
    return Doubt(
        dispatch=claimed_of(doc, claim_of(doc)),
        marked_at=doc["in_doubt_at"],
        called_since=doc["called_since"],
        asked=doc.get("asked", 0),
        used_a_try=doc.get("used_a_try", False),
        doubted=ClaimId(doc.get("doubted") or doc["claim_id"]),
        call_ended=doc.get("call_ended", False),
        told_as=tuple(doc.get("told_as", ())),
        moved="elsewhere" in doc,
        final=doc.get("final", False),
    )
