"""What came of dispatches, written into the collection `dispatches` (see document.py).

Facts are always written, whoever holds the lane. Decisions are bound to the claim, and to the guard of its lane.
Whatever its messages must still be told is marked with `tell`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo import UpdateOne

from mailroom.domain.dispatches.fences import Fence
from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.dispatches.states import DispatchState, DispatchTrigger
from mailroom.domain.ids import ClaimId, DispatchId, RunId
from mailroom.domain.outcomes import InDoubt
from mailroom.storage.database import Db, Document, Session, guarded, server_now
from mailroom.storage.dispatches.document import arriving, as_held, leaving
from mailroom.storage.dispatches.trails import onto_trail
from mailroom.storage.guard import LaneGuard


@guarded
def record_accepted(db: Db, accepted: Sequence[tuple[Claimed, Acceptance]], *, now: datetime) -> list[DispatchId]:
    """The fact that a provider took a dispatch. Always written, whoever holds the lane; its messages were told before.

    Returns the dispatches that were accepted more than once, by another attempt or under another id: an alarm, never
    overwritten. The id alone does not tell: all attempts carry the same Message-Id, and a provider may echo it.
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
    """Nearly always the claim still stands, and this is its first acceptance: one statement for all of them.

    Returns for how many it was so; the others are untouched.
    """
    ids = list(entries)
    standing = {
        "_id": {"$in": ids},
        "state": DispatchState.SENDING,
        "claim_id": {"$in": sorted({claimed.claim.id for claimed, _ in accepted})},
        "accepted": {"$exists": False},
    }
    # Literals: what a provider says may look like an expression.
    mine = {"$indexOfArray": [{"$literal": ids}, "$_id"]}
    entry = {"$arrayElemAt": [{"$literal": list(entries.values())}, mine]}
    gone = {"reason": "$$REMOVE", "code": "$$REMOVE"}
    to_accepted = [{"$set": {"state": arriving(DispatchTrigger.ACCEPTED), "accepted": [entry], **gone}}]
    return db.dispatches.update_many(standing, to_accepted).matched_count


def _record_oddly_accepted(db: Db, facts: Sequence[tuple[Claimed, Document]]) -> list[DispatchId]:
    """Acceptances of which some were told before, come late, or come a second time."""
    writes: list[UpdateOne] = []
    for claimed, entry in facts:
        same = {name: entry[name] for name in ("provider_id", "provider", "attempt")}
        new = {"_id": claimed.id, "accepted": {"$not": {"$elemMatch": same}}}
        # What was split for a refusal stays split: its parts go on, and this is an alarm.
        kept = UpdateOne(new | {"state": DispatchState.SPLIT}, {"$push": {"accepted": entry}})
        to_accepted = {
            "$set": {"state": arriving(DispatchTrigger.ACCEPTED)},
            "$push": {"accepted": entry},
            "$unset": {"reason": "", "code": ""},
        }
        moved = UpdateOne(new | {"state": leaving(DispatchTrigger.ACCEPTED)}, to_accepted)
        writes += [kept, moved, kept]  # it may be split between the first and the second
    db.dispatches.bulk_write(writes, ordered=True)
    found = db.dispatches.find({"_id": {"$in": [claimed.id for claimed, _ in facts]}}, {"accepted": 1, "state": 1})
    return [DispatchId(doc["_id"]) for doc in found if _is_alarming(doc)]


def _is_alarming(doc: Document) -> bool:
    """Accepted twice, or refused, split and accepted. What a person said went out, a provider may confirm."""
    acceptances = [entry for entry in doc.get("accepted", ()) if not entry.get("by")]
    return len(acceptances) > 1 or (bool(acceptances) and doc["state"] == DispatchState.SPLIT)


def _entry(claimed: Claimed, yes: Acceptance, now: datetime) -> Document:
    entry: Document = {"provider_id": yes.provider_id, "provider": yes.provider, "attempt": yes.attempt}
    if yes.found:
        entry["found"] = True
    return {**entry, "at": now, "sender": claimed.claim.sender, "token": claimed.claim.token}


@guarded
def replay_accepted(db: Db, fences: Sequence[tuple[DispatchId, Fence]]) -> tuple[int, int]:
    """Acceptances that fences remember and this database may have forgotten. Returns how many were written, and how
    many of the dispatches there are."""
    if not fences:
        return 0, 0
    now = server_now(db)
    writes = []
    for id_, fence in fences:
        entry = {"provider_id": fence.provider_id, "provider": "", "attempt": fence.attempt, "at": now}
        step = onto_trail(now, "replayed", attempt=fence.attempt, reason="its fence says that it was accepted")
        writes.append(
            UpdateOne(
                # Whatever stands there: what failed may have been sent again since, and a fact wins.
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
    """`sending -> in_doubt` by whom the call was in hand.

    Nothing but this claim can know more, so its own claim id is the guard; the lane's token is not asked, because
    what a stale holder does not know is not known by anybody else either.
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


@dataclass(frozen=True, slots=True)
class Return:
    """A dispatch that goes back to wait: until when, and whether it cost a try or a crash."""

    claimed: Claimed
    not_before: datetime
    reason: str
    code: int | None = None
    used_a_try: bool = False
    crashed: bool = False


def return_to_pending(db: Db, returns: Sequence[Return], *, now: datetime, guard: LaneGuard) -> None:
    """`sending -> pending`; `cancelled` instead where the run was cancelled meanwhile."""
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


def fail(db: Db, failures: Sequence[tuple[Claimed, str, int | None]], *, now: datetime, guard: LaneGuard) -> None:
    """`sending -> failed` for (dispatch, reason, code)."""
    writes = [
        UpdateOne(
            as_held(claimed, DispatchTrigger.FAILED),
            {
                "$set": {"state": arriving(DispatchTrigger.FAILED), "tell": True, "reason": reason, "code": code},
                "$inc": {"tries": 1},
                "$push": {"trail": _answer_step(claimed, "failed", reason, code, now), **clearing(claimed.claim.id)},
            },
        )
        for claimed, reason, code in failures
    ]
    if writes:
        db.dispatches.bulk_write(writes, ordered=False, session=guard.session)


def doubt_abandoned(
    db: Db, doubts: Sequence[tuple[Claimed, InDoubt]], by: str, *, now: datetime, guard: LaneGuard
) -> None:
    """`sending -> in_doubt` at a take-over, for dispatches as they stood, where the lanes have been touched."""
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
    """What waits is cancelled; what is in hand or in doubt must not come back to wait. Returns how many waited."""
    cancelled = db.dispatches.update_many(
        {"run_id": run_id, "state": leaving(DispatchTrigger.CANCELLED)},
        {
            "$set": {"state": arriving(DispatchTrigger.CANCELLED), "tell": True, "run_cancelled": True},
            "$push": {"trail": onto_trail(now, "cancelled")},
        },
        session=session,
    )
    db.dispatches.update_many(
        {"run_id": run_id, "state": {"$in": _MAY_COME_BACK}},
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
def pending_propagation(db: Db, *, limit: int) -> list[Mapping[str, Any]]:
    """Dispatches whose messages have not been told their state: `_id`, `state`, `accepted`, `reason`, `code`."""
    return list(db.dispatches.find({"tell": True}, _FOR_TELLING).limit(limit))


@guarded
def pending_propagation_of(db: Db, ids: Sequence[DispatchId]) -> list[Mapping[str, Any]]:
    """The same, among these dispatches."""
    return list(db.dispatches.find({"_id": {"$in": list(ids)}, "tell": True}, _FOR_TELLING))


_FOR_TELLING: Final = {"state": 1, "accepted": 1, "reason": 1, "code": 1}


@guarded
def note_propagated(db: Db, states: Mapping[DispatchId, DispatchState]) -> None:
    """Clear `tell` if the dispatch is still in the propagated state; otherwise set it again, because our older update
    may have overwritten a newer one."""
    writes: list[UpdateOne] = []
    for id_, state in states.items():
        writes.append(UpdateOne({"_id": id_, "state": state}, {"$unset": {"tell": ""}}))
        writes.append(UpdateOne({"_id": id_, "state": {"$ne": state}}, {"$set": {"tell": True}}))
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
    return {
        "$set": {"state": arriving(DispatchTrigger.ANSWER_LOST), "tell": True, **why, **marked, **where},
        "$inc": {"crashes": int(crashed)},
        "$push": {"trail": step},
    }


_CLEARED: Final = 12  # of a dispatch; an older one that comes back after all leads to one doubt more


def clearing(*claims: ClaimId) -> Document:
    """What is pushed to a dispatch of which these claims are known not to have been accepted."""
    return {"cleared": {"$each": list(claims), "$slice": -_CLEARED}}


def _answer_step(claimed: Claimed, step: str, reason: str, code: int | None, now: datetime) -> Document:
    made = {"sender": claimed.claim.sender, "token": claimed.claim.token, "attempt": claimed.attempt}
    return onto_trail(now, step, **made, provider=claimed.provider, reason=reason, code=code)
