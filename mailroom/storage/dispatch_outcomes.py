"""What came of dispatches, written into the collection `dispatches` (see dispatches.py for the document).

Facts are always written, whoever holds the lane. Decisions are bound to the claim, and run inside a transaction that
has touched the lane under its token. Whatever its messages must be told is marked with `tell`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import UpdateOne

from mailroom.domain.dispatches import Acceptance, Claimed, DispatchState
from mailroom.domain.ids import DispatchId, RunId
from mailroom.storage.database import Db, Document, Session, guarded
from mailroom.storage.dispatches import onto_trail


@guarded
def record_accepted(db: Db, accepted: Sequence[tuple[Claimed, Acceptance]], *, now: datetime) -> list[DispatchId]:
    """The fact that a provider took a dispatch. Always written, whoever holds the lane.

    Returns the dispatches that were accepted more than once, by another attempt or under another id: an alarm, never
    overwritten. The id alone does not tell: all attempts carry the same Message-Id, and a provider may echo it.
    """
    writes: list[UpdateOne] = []
    for claimed, acceptance in accepted:
        entry = {
            "provider_id": acceptance.provider_id,
            "provider": acceptance.provider,
            "attempt": acceptance.attempt,
        }
        trail = onto_trail(now, "accepted", sender=claimed.claim.sender, token=claimed.claim.token, **entry)
        writes.append(
            UpdateOne(
                {"_id": claimed.id, "accepted": {"$not": {"$elemMatch": entry}}},
                {
                    "$set": {"state": DispatchState.ACCEPTED, "tell": True},
                    "$push": {"accepted": {**entry, "at": now}, "trail": trail},
                },
            )
        )
    if not writes:
        return []
    db.dispatches.bulk_write(writes, ordered=False)
    ids = [claimed.id for claimed, _ in accepted]
    return [
        doc["_id"] for doc in db.dispatches.find({"_id": {"$in": ids}, "accepted.1": {"$exists": True}}, {"_id": 1})
    ]


@guarded
def record_in_doubt(db: Db, doubts: Sequence[tuple[Claimed, str, int | None]], *, now: datetime) -> None:
    """`sending -> in_doubt` by whom the call was in hand: (dispatch, reason, code).

    Nothing but this claim can know more, so its own claim id is the guard; the lane's token is not asked, because
    what a stale holder does not know is not known by anybody else either.
    """
    writes = [
        UpdateOne(_own(claimed), _to_in_doubt(claimed.claim.sender, reason, code, now))
        for claimed, reason, code in doubts
    ]
    if writes:
        db.dispatches.bulk_write(writes, ordered=False)


def return_to_pending(
    db: Db,
    returns: Sequence[tuple[Claimed, datetime, bool, str, int | None]],
    *,
    now: datetime,
    session: Session,
) -> None:
    """`sending -> pending` for (dispatch, not before, uses a try, reason, code), in a transaction that has touched the
    lanes; `cancelled` instead where the run was cancelled meanwhile."""
    writes: list[UpdateOne] = []
    for claimed, not_before, uses_a_try, reason, code in returns:
        trail = onto_trail(
            now, "returned", sender=claimed.claim.sender, token=claimed.claim.token, reason=reason, code=code
        )
        told = {"reason": reason, "code": code}
        writes.append(
            UpdateOne(
                _own(claimed) | {"run_cancelled": {"$ne": True}},
                {
                    "$set": {"state": DispatchState.PENDING, "not_before": not_before, **told},
                    "$inc": {"tries": 1 if uses_a_try else 0},
                    "$push": {"trail": trail},
                },
            )
        )
        writes.append(
            UpdateOne(
                _own(claimed) | {"run_cancelled": True},
                {"$set": {"state": DispatchState.CANCELLED, "tell": True, **told}, "$push": {"trail": trail}},
            )
        )
    if writes:
        db.dispatches.bulk_write(writes, ordered=True, session=session)


def fail(db: Db, failures: Sequence[tuple[Claimed, str, int | None]], *, now: datetime, session: Session) -> None:
    """`sending -> failed` for (dispatch, reason, code), in a transaction that has touched the lanes."""
    writes = [
        UpdateOne(
            _own(claimed),
            {
                "$set": {"state": DispatchState.FAILED, "tell": True, "reason": reason, "code": code},
                "$inc": {"tries": 1},
                "$push": {"trail": onto_trail(now, "failed", sender=claimed.claim.sender, reason=reason, code=code)},
            },
        )
        for claimed, reason, code in failures
    ]
    if writes:
        db.dispatches.bulk_write(writes, ordered=False, session=session)


def doubt_abandoned(db: Db, doubts: Sequence[tuple[Claimed, str]], by: str, *, now: datetime, session: Session) -> None:
    """`sending -> in_doubt` at a take-over, for (dispatch as it stood, reason), where the lanes have been touched."""
    writes = [UpdateOne(_own(claimed), _to_in_doubt(by, reason, None, now)) for claimed, reason in doubts]
    if writes:
        db.dispatches.bulk_write(writes, ordered=False, session=session)


def cancel(db: Db, run_id: RunId, *, now: datetime, session: Session) -> None:
    """What waits is cancelled; what is in hand or in doubt must not come back to wait."""
    db.dispatches.update_many(
        {"run_id": run_id, "state": DispatchState.PENDING},
        {
            "$set": {"state": DispatchState.CANCELLED, "tell": True, "run_cancelled": True},
            "$push": {"trail": onto_trail(now, "cancelled")},
        },
        session=session,
    )
    db.dispatches.update_many(
        {"run_id": run_id, "state": {"$in": [DispatchState.SENDING, DispatchState.IN_DOUBT]}},
        {"$set": {"run_cancelled": True}},
        session=session,
    )


@guarded
def to_tell(db: Db, *, limit: int) -> list[Mapping[str, Any]]:
    """Dispatches whose messages have not been told their state: `_id`, `state`, `accepted`, `reason`, `created_at`."""
    return list(db.dispatches.find({"tell": True}, _FOR_TELLING).limit(limit))


@guarded
def to_tell_of(db: Db, ids: Sequence[DispatchId]) -> list[Mapping[str, Any]]:
    """The same, among these dispatches."""
    return list(db.dispatches.find({"_id": {"$in": list(ids)}, "tell": True}, _FOR_TELLING))


_FOR_TELLING: Final = {"state": 1, "accepted": 1, "reason": 1, "created_at": 1}


@guarded
def told(db: Db, states: Mapping[DispatchId, DispatchState]) -> None:
    """Messages were told these states; where a state has moved on since, it is still to be told."""
    writes = [
        UpdateOne({"_id": id_, "state": state}, {"$unset": {"tell": ""}, "$set": {"told": state}})
        for id_, state in states.items()
    ]
    if writes:
        db.dispatches.bulk_write(writes, ordered=False)


def _own(claimed: Claimed) -> Document:
    """The dispatch as this claim holds it: nobody has claimed or judged it since."""
    return {
        "_id": claimed.id,
        "state": DispatchState.SENDING,
        "claim_id": claimed.claim.id,
        "attempt": claimed.attempt,
        "token": claimed.claim.token,
    }


def _to_in_doubt(sender: str, reason: str, code: int | None, now: datetime) -> Document:
    return {
        "$set": {"state": DispatchState.IN_DOUBT, "tell": True, "reason": reason, "code": code, "in_doubt_at": now},
        "$push": {"trail": onto_trail(now, "in_doubt", sender=sender, reason=reason, code=code)},
    }
