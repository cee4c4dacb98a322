"""Dispatches in doubt, in the collection `dispatches` (see document.py).

    in_doubt_at   MongoDB's time when the doubt was marked
    called_since  since when it may have been called: before the newest claim where an earlier crossing is in question
    used_a_try    the doubt came of a call that the provider had in its hands, not of our own crash
    doubted       the claim whose crossing of the fence is in doubt: the newest, or one that an older copy did not know
    call_ended    that call ended in the hands of who made it: it is not still to come
    final         its fence says that it was accepted, or refused and split, with other recipients than it has now
    cleared       the last claims that are known not to have been accepted: their crossings stop nobody any more
    asked         questions put to the provider since
    not_before    in doubt: when the next question is due
    told_as       other ids under which events named the mail, at most five: the log is asked by these too
    resolved_by   the person who said what became of it

A conclusion is a decision: bound to the claim and the attempt that are in doubt, and to the guard of the lane. Finding
out that it was accepted is a fact (outcomes.record_accepted).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import UpdateOne

from mailroom.domain.dispatches.model import FAILS_AFTER_CRASHES
from mailroom.domain.dispatches.states import DispatchState, DispatchTrigger
from mailroom.domain.doubts import Doubt
from mailroom.domain.ids import ClaimId, DispatchId, Lane
from mailroom.storage.database import Db, Document, Session, guarded
from mailroom.storage.dispatches.claims import claim_of, claimed_of
from mailroom.storage.dispatches.document import arriving, as_held, leaving
from mailroom.storage.dispatches.outcomes import clearing
from mailroom.storage.dispatches.trails import onto_trail
from mailroom.storage.guard import LaneGuard

CALLED_FOR_GOOD: Final = "its fence says that it was accepted, or split, with other recipients than it has now"
_MOST_NAMES: Final = 5
GIVES_UP: Final = f"it was in hand at {FAILS_AFTER_CRASHES} crashes of its sender"


@guarded
def to_ask(db: Db, lanes: Sequence[Lane], *, now: datetime, limit: int) -> list[Doubt]:
    """Doubts of these lanes about which a question is due, longest waiting first."""
    query = {"lane": {"$in": list(lanes)}, "state": DispatchState.IN_DOUBT, "not_before": {"$lte": now}}
    rows = db.dispatches.find(query, {"trail": 0}).sort("not_before", 1).limit(limit)
    return [_doubt(doc) for doc in rows]


@guarded
def put_off(db: Db, questions: Sequence[tuple[Doubt, datetime]]) -> None:
    """The next question about each is due then; written before one is put, so that no bad answer can spin."""
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
    """Something was heard of these: those in doubt, or unknown, are asked about at once."""
    query = {"_id": {"$in": list(ids)}, "state": DispatchState.IN_DOUBT, "not_before": {"$gt": now}}
    db.dispatches.update_many(query, {"$set": {"not_before": now}}, session=session)
    # What was beyond knowing is asked about once more: the log may show it after all.
    unknown = {"_id": {"$in": list(ids)}, "state": leaving(DispatchTrigger.HEARD_OF), "in_doubt_at": {"$exists": True}}
    again = {"state": arriving(DispatchTrigger.HEARD_OF), "not_before": now, "tell": True}
    db.dispatches.update_many(unknown, {"$set": again}, session=session)


def note_names(db: Db, told: Mapping[DispatchId, str], *, session: Session) -> None:
    """Keep other names by which events tell of dispatches, for those that are in doubt or unknown."""
    held = [DispatchState.IN_DOUBT, DispatchState.UNKNOWN]
    few = {f"told_as.{_MOST_NAMES - 1}": {"$exists": False}}
    db.dispatches.bulk_write(
        [
            UpdateOne(
                {"_id": id_, "state": {"$in": held}, **few},
                {"$addToSet": {"told_as": name}},
            )
            for id_, name in told.items()
        ],
        session=session,
    )


def conclude_not_accepted(
    db: Db, settled: Sequence[tuple[Doubt, datetime | None]], *, by: str, now: datetime, guard: LaneGuard
) -> None:
    """`in_doubt -> pending` from the given time on; None where no try is left: `failed`. `cancelled` instead where the
    run was cancelled meanwhile, `failed` where crashes of ours were too many."""
    writes: list[UpdateOne] = []
    for doubt, not_before in settled:
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
        change = {"$set": {**end, "tell": True}, "$push": pushed, **tries}
        writes.append(UpdateOne(as_held(doubt.dispatch, again) | {"run_cancelled": {"$ne": True}}, change))
        cancelled = {"state": arriving(DispatchTrigger.NOT_ACCEPTED_CANCELLED), "tell": True, "reason": reason}
        writes.append(
            UpdateOne(
                as_held(doubt.dispatch, DispatchTrigger.NOT_ACCEPTED_CANCELLED) | {"run_cancelled": True},
                {"$set": cancelled, "$push": {"trail": trail}, **tries},
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
    """A person's word about an `unknown` of this attempt, or a doubt. False if the dispatch stands otherwise."""
    accepted = {"provider_id": "", "provider": "", "attempt": attempt, "at": now, "by": by}
    change: Document = {
        "$set": {"state": arriving(DispatchTrigger.SAID_TO_BE_SENT), "tell": True, "resolved_by": by},
        "$push": {
            "accepted": accepted,
            "trail": onto_trail(now, "resolved", by=by, attempt=attempt, verdict="it went out"),
        },
    }
    as_seen = {"_id": dispatch, "state": leaving(DispatchTrigger.SAID_TO_BE_SENT), "attempt": attempt}
    return db.dispatches.update_one(as_seen, change, session=session).matched_count == 1


def send_again(
    db: Db, found: Mapping[DispatchId, Mapping[str, Any]], *, by: str, now: datetime, session: Session
) -> set[DispatchId]:
    """A person's word about what is `unknown` or `failed`, as it was found: to `pending`, with all its tries. Returns
    those that are; the others stand otherwise, or others carry their mails."""
    again: Document = {"state": arriving(DispatchTrigger.REQUEUED), "not_before": now, "resolved_by": by}
    held: Document = {"state": leaving(DispatchTrigger.REQUEUED), "sent_again": {"$exists": False}}
    held["final"] = {"$ne": True}
    writes = [
        UpdateOne(
            {"_id": id_, "attempt": doc["attempt"], "run_cancelled": {"$ne": True}, **held},
            {
                "$set": {**again, "tell": True, "tries": 0, "crashes": 0},
                "$unset": {"dropped": ""},
                "$push": {
                    "trail": onto_trail(now, "resolved", by=by, attempt=doc["attempt"], verdict="send again"),
                    **(clearing(doc["doubted"]) if "doubted" in doc else {}),
                },
            },
        )
        for id_, doc in found.items()
    ]
    if not writes:
        return set()
    db.dispatches.bulk_write(writes, ordered=False, session=session)
    moved = db.dispatches.find({"_id": {"$in": list(found)}, **again}, {"_id": 1}, session=session)
    return {DispatchId(doc["_id"]) for doc in moved}


def _as_doubted(doubt: Doubt) -> Document:
    """The dispatch as it was doubted: nobody has concluded or resolved the doubt since."""
    return as_held(doubt.dispatch, DispatchTrigger.BEYOND_KNOWING)


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
        final=doc.get("final", False),
    )
