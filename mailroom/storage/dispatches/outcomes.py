"""Outcomes of dispatches, written into the collection `dispatches` (see document.py).

Facts are always written, whoever holds the lane. Decisions are bound to the claim, and to the guard of its lane. A
state that must be propagated to the messages is marked with `tell`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from pymongo import UpdateOne

from mailroom.domain.dispatches.decisions import Failure, Return
from mailroom.domain.dispatches.fences import Fence
from mailroom.domain.dispatches.model import Acceptance, Claimed, Propagation
from mailroom.domain.dispatches.outcomes import InDoubt
from mailroom.domain.dispatches.states import DispatchState, DispatchTrigger
from mailroom.domain.emails.model import OnDoubt
from mailroom.domain.ids import ClaimId, DispatchId, RunId
from mailroom.storage.database import Db, Document, Session, guarded, server_now
from mailroom.storage.dispatches.document import answer_of, arriving, as_held, first_of, ids_of_run, leaving
from mailroom.storage.dispatches.trails import onto_trail
from mailroom.storage.guard import LaneGuard


@guarded
def record_accepted(db: Db, accepted: Sequence[tuple[Claimed, Acceptance]], *, now: datetime) -> list[DispatchId]:
    """Record acceptances: facts, always written, whoever holds the lane. The caller has marked the messages before.

    Returns the dispatches that were accepted more than once, by another attempt or under another id: an alarm, never
    overwritten. The id alone cannot show this: all attempts carry the same Message-Id, and a provider may echo it. An
    acceptance whose id or provider is not known ('') is the same as another one of its attempt.
    """
    if not accepted:
        return []
    entries = {claimed.id: _entry(claimed, yes, now) for claimed, yes in accepted}
    if len(entries) == len(accepted) and _record_first(db, accepted, entries) == len(accepted):
        return []
    return _record_oddly_accepted(db, [(claimed, _entry(claimed, yes, now)) for claimed, yes in accepted])


def _record_first(
    db: Db, accepted: Sequence[tuple[Claimed, Acceptance]], entries: Mapping[DispatchId, Document]
) -> int:
    """Record the usual case in one statement: the claim still holds, and this is its first acceptance.

    Returns the number of recorded acceptances; the others are untouched.
    """
    ids = list(entries)
    standing = {
        "_id": {"$in": ids},
        "state": DispatchState.SENDING,
        "claim_id": {"$in": sorted({claimed.claim.id for claimed, _ in accepted})},
        "accepted": {"$exists": False},
    }
    # Literals: text from a provider may look like an expression.
    mine = {"$indexOfArray": [{"$literal": ids}, "$_id"]}
    entry = {"$arrayElemAt": [{"$literal": list(entries.values())}, mine]}
    gone = {"reason": "$$REMOVE", "code": "$$REMOVE"}
    to_accepted = [{"$set": {"state": arriving(DispatchTrigger.ACCEPTED), "accepted": [entry], **gone}}]
    return db.dispatches.update_many(standing, to_accepted).matched_count


def _record_oddly_accepted(db: Db, facts: Sequence[tuple[Claimed, Document]]) -> list[DispatchId]:
    """Record acceptances that may be known, late, or second acceptances. Returns the dispatches that need an alarm."""
    writes: list[UpdateOne] = []
    for claimed, entry in facts:
        new = {"_id": claimed.id, "accepted": {"$not": {"$elemMatch": _same_as(entry)}}}
        # A dispatch that was split after a refusal stays split: its parts go on, and the acceptance is an alarm.
        on_split = UpdateOne(new | {"state": DispatchState.SPLIT}, {"$push": {"accepted": entry}})
        to_accepted = {
            # A dispatch whose mail went elsewhere has no messages of its own: propagation finds them.
            "$set": {"state": arriving(DispatchTrigger.ACCEPTED), "tell": True},
            "$push": {"accepted": entry},
            "$unset": {"reason": "", "code": "", "may_move": ""},
        }
        move = UpdateOne(new | {"state": leaving(DispatchTrigger.ACCEPTED)}, to_accepted)
        writes += [on_split, move, on_split]  # a split may come between the first and the second write
    db.dispatches.bulk_write(writes, ordered=True)
    docs = db.dispatches.find({"_id": {"$in": [claimed.id for claimed, _ in facts]}}, {"accepted": 1, "state": 1})
    return [DispatchId(doc["_id"]) for doc in docs if _is_alarming(doc)]


def _same_as(entry: Document) -> Document:
    """A condition on an acceptance: it is this one. A log may show a call without the id that the answer has, and a
    fence does not always know the provider."""
    known = {name: {"$in": [entry[name], ""]} for name in ("provider_id", "provider") if entry[name]}
    return {"attempt": entry["attempt"], **known}


def _is_alarming(doc: Document) -> bool:
    """True if accepted twice, or split and accepted. A provider may confirm a person's word without an alarm."""
    acceptances = [entry for entry in doc.get("accepted", ()) if not entry.get("by")]
    return len(acceptances) > 1 or (bool(acceptances) and doc["state"] == DispatchState.SPLIT)


def _entry(claimed: Claimed, yes: Acceptance, now: datetime) -> Document:
    entry: Document = {"provider_id": yes.provider_id, "provider": yes.provider, "attempt": yes.attempt}
    if yes.found:
        entry["found"] = True
    return {**entry, **answer_of(yes), "at": now, "sender": claimed.claim.sender, "token": claimed.claim.token}


@guarded
def replay_accepted(db: Db, fences: Sequence[tuple[DispatchId, Fence]]) -> tuple[int, int]:
    """Record acceptances from fences that a restored MongoDB may lack. Returns (the number of recorded acceptances, the
    number of these dispatches that exist)."""
    if not fences:
        return 0, 0
    now = server_now(db)
    writes = []
    for id_, fence in fences:
        entry = {"provider_id": fence.provider_id, "provider": "", "attempt": fence.attempt, "at": now}
        step = onto_trail(now, "replayed", attempt=fence.attempt, reason="its fence says that it was accepted")
        writes.append(
            UpdateOne(
                # Whatever the state: a failed dispatch may have been requeued since, and a fact overrides.
                {
                    "_id": id_,
                    "digest": fence.digest,
                    "accepted": {"$exists": False},
                    "state": leaving(DispatchTrigger.ACCEPTED),
                },
                {
                    "$set": {"state": arriving(DispatchTrigger.ACCEPTED), "tell": True},
                    "$max": {"attempt": fence.attempt},
                    "$push": {"accepted": entry, "trail": step},
                },
            )
        )
    changed = db.dispatches.bulk_write(writes, ordered=False).modified_count
    return changed, db.dispatches.count_documents({"_id": {"$in": [id_ for id_, _ in fences]}})


@guarded
def record_in_doubt(db: Db, doubts: Sequence[tuple[Claimed, InDoubt]], *, now: datetime) -> None:
    """`sending -> in_doubt`, written by the sender that had the call in hand.

    Only this claim can know more, so its claim id is the guard. The lane's token is not checked: an outcome that a
    stale holder does not know is unknown to every other sender too.
    """
    writes = [
        UpdateOne(
            as_held(claimed, DispatchTrigger.ANSWER_LOST),
            _to_in_doubt(claimed, claimed.claim.sender, doubt, now, crashed=False, ended=doubt.crossed_by is None),
        )
        for claimed, doubt in doubts
    ]
    if writes:
        db.dispatches.bulk_write(writes, ordered=False)


def return_to_pending(db: Db, returns: Sequence[Return], *, now: datetime, guard: LaneGuard) -> None:
    """`sending -> pending`; `cancelled` instead if the run was cancelled."""
    writes: list[UpdateOne] = []
    for back in returns:
        trail = _answer_step(back.claimed, "returned", back.reason, back.code, now)
        why = {"reason": back.reason, "code": back.code}
        writes.append(
            UpdateOne(
                as_held(back.claimed, DispatchTrigger.RETURNED) | {"run_cancelled": {"$ne": True}},
                {
                    "$set": {"state": arriving(DispatchTrigger.RETURNED), "not_before": back.not_before, **why},
                    "$inc": {"tries": int(back.used_a_try), "crashes": int(back.crashed)},
                    "$push": {"trail": trail, **clearing(back.claimed.claim.id)},
                },
            )
        )
        writes.append(
            UpdateOne(
                as_held(back.claimed, DispatchTrigger.RETURNED_CANCELLED) | {"run_cancelled": True},
                {
                    "$set": {"state": arriving(DispatchTrigger.RETURNED_CANCELLED), "tell": True, **why},
                    "$push": {"trail": trail},
                },
            )
        )
    if writes:
        db.dispatches.bulk_write(writes, ordered=True, session=guard.session)


def fail(db: Db, failures: Sequence[Failure], *, now: datetime, guard: LaneGuard) -> None:
    """`sending -> failed`."""
    writes: list[UpdateOne] = []
    for failure in failures:
        claimed, why = failure.claimed, {"reason": failure.reason, "code": failure.code}
        trail = _answer_step(claimed, "failed", failure.reason, failure.code, now)
        writes.append(
            UpdateOne(
                as_held(claimed, DispatchTrigger.FAILED),
                {
                    "$set": {"state": arriving(DispatchTrigger.FAILED), "tell": True, **why},
                    "$inc": {"tries": 1},
                    "$push": {"trail": trail, **clearing(claimed.claim.id)},
                },
            )
        )
    if writes:
        db.dispatches.bulk_write(writes, ordered=False, session=guard.session)


def doubt_abandoned(
    db: Db, doubts: Sequence[tuple[Claimed, InDoubt]], by: str, *, now: datetime, guard: LaneGuard
) -> None:
    """`sending -> in_doubt` at a take-over, for dispatches that are still under the same claim."""
    writes = [
        UpdateOne(
            as_held(claimed, DispatchTrigger.ANSWER_LOST),
            _to_in_doubt(claimed, by, doubt, now, crashed=claimed.claim.sender != by, ended=False),
        )
        for claimed, doubt in doubts
    ]
    if writes:
        db.dispatches.bulk_write(writes, ordered=False, session=guard.session)


def cancel(db: Db, run_id: RunId, *, now: datetime, session: Session) -> int:
    """Cancel the pending dispatches of a run, and bar the others from a return to `pending`. Returns how many were
    pending."""
    cancelled = db.dispatches.update_many(
        {"run_id": run_id, "state": leaving(DispatchTrigger.CANCELLED)},
        {
            "$set": {"state": arriving(DispatchTrigger.CANCELLED), "tell": True, "run_cancelled": True},
            "$push": {"trail": onto_trail(now, "cancelled")},
        },
        session=session,
    )
    # By the ids: no index by run has the states in which most dispatches stay for good.
    db.dispatches.update_many(
        {"_id": ids_of_run(run_id), "state": {"$in": _MAY_COME_BACK}},
        {"$set": {"run_cancelled": True}},
        session=session,
    )
    return cancelled.modified_count


_MAY_COME_BACK: Final = [
    DispatchState.SENDING,
    DispatchState.IN_DOUBT,
    DispatchState.UNKNOWN,
    DispatchState.FAILED,
]


@guarded
def pending_propagation(db: Db, *, limit: int) -> list[Propagation]:
    """States of dispatches that have not been propagated to their messages."""
    return [_propagation(doc) for doc in db.dispatches.find({"tell": True}, _TO_PROPAGATE).limit(limit)]


@guarded
def pending_propagation_of(db: Db, ids: Sequence[DispatchId]) -> list[Propagation]:
    """As `pending_propagation`, among these dispatches."""
    return [_propagation(doc) for doc in db.dispatches.find({"_id": {"$in": list(ids)}, "tell": True}, _TO_PROPAGATE)]


_TO_PROPAGATE: Final = dict.fromkeys(("state", "accepted", "reason", "code", "first", "elsewhere"), 1)


def _propagation(doc: Document) -> Propagation:
    first = next(iter(doc.get("accepted", ())), None)
    accepted_at = first["at"] if first else None
    return Propagation(
        DispatchId(doc["_id"]),
        DispatchState(doc["state"]),
        accepted_at,
        doc.get("reason") or "",
        doc.get("code"),
        first_of(doc),
        "elsewhere" in doc,
    )


@guarded
def note_propagated(db: Db, propagated: Sequence[Propagation]) -> None:
    """Clear `tell` if the dispatch still stands as it was propagated; otherwise set it again, because our older update
    may have overwritten a newer one."""
    writes: list[UpdateOne] = []
    for each in propagated:
        stands = {"state": each.state, "first": each.first, "elsewhere": {"$exists": each.moved}}
        changed = [
            {"state": {"$ne": each.state}},
            {"first": {"$ne": each.first}},
            {"elsewhere": {"$exists": not each.moved}},
        ]
        writes.append(UpdateOne({"_id": each.id, **stands}, {"$unset": {"tell": ""}}))
        writes.append(UpdateOne({"_id": each.id, "$or": changed}, {"$set": {"tell": True}}))
    if writes:
        db.dispatches.bulk_write(writes, ordered=False)


def _to_in_doubt(claimed: Claimed, by: str, doubt: InDoubt, now: datetime, *, crashed: bool, ended: bool) -> Document:
    why = {"reason": doubt.reason, "code": doubt.code}
    where = {"provider": doubt.called_at.provider, "account": doubt.called_at.account} if doubt.called_at else {}
    provider = where.get("provider", claimed.provider)
    step = onto_trail(now, "in_doubt", sender=by, attempt=claimed.attempt, provider=provider, **why)
    marked = {"in_doubt_at": now, "not_before": now, "asked": 0, "used_a_try": not crashed}
    marked["called_since"] = doubt.called_since or claimed.claimed_at
    marked["doubted"] = claimed.claim.id if doubt.crossed_by is None else doubt.crossed_by
    marked |= {"call_ended": ended, "final": doubt.final}
    if claimed.on_doubt is OnDoubt.ELSEWHERE:
        marked["may_move"] = now
    return {
        "$set": {"state": arriving(DispatchTrigger.ANSWER_LOST), "tell": True, **why, **marked, **where},
        "$inc": {"crashes": int(crashed)},
        "$push": {"trail": step},
    }


_CLEARED: Final = 12  # claims of a dispatch; an older claim that reappears causes only one more doubt


def clearing(*claims: ClaimId) -> Document:
    """The `$push` for a dispatch that notes these claims as not accepted."""
    return {"cleared": {"$each": list(claims), "$slice": -_CLEARED}}


def _answer_step(claimed: Claimed, step: str, reason: str, code: int | None, now: datetime) -> Document:
    claim = {"sender": claimed.claim.sender, "token": claimed.claim.token, "attempt": claimed.attempt}
    return onto_trail(now, step, **claim, provider=claimed.provider, reason=reason, code=code)
