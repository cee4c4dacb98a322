"""What became of dispatches, apart from acceptances, written into the collection `dispatches` (see document.py).

That a call is in doubt is a fact of its claim. Decisions are bound to the claim, and to the guard of its lane. A state
that must be propagated to the messages is marked with `tell`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pymongo import UpdateOne

from mailroom.domain.dispatches.decisions import Failure, Return
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.dispatches.outcomes import InDoubt
from mailroom.domain.dispatches.states import DispatchState, DispatchTrigger
from mailroom.domain.emails.model import OnDoubt
from mailroom.domain.ids import ClaimId, RunId
from mailroom.storage.database import Db, Document, Session, guarded
from mailroom.storage.dispatches.document import arriving, as_held, ids_of_run, leaving
from mailroom.storage.dispatches.trails import onto_trail
from mailroom.storage.guard import LaneGuard

_MAY_COME_BACK: Final = [
    DispatchState.SENDING,
    DispatchState.IN_DOUBT,
    DispatchState.UNKNOWN,
    DispatchState.FAILED,
]
_CLEARED: Final = 12  # claims of a dispatch; an older claim that reappears causes only one more doubt


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


def clearing(*claims: ClaimId) -> Document:
    """The `$push` for a dispatch that notes these claims as not accepted."""
    return {"cleared": {"$each": list(claims), "$slice": -_CLEARED}}


def _answer_step(claimed: Claimed, step: str, reason: str, code: int | None, now: datetime) -> Document:
    claim = {"sender": claimed.claim.sender, "token": claimed.claim.token, "attempt": claimed.attempt}
    return onto_trail(now, step, **claim, provider=claimed.provider, reason=reason, code=code)
