"""Cross the fences of claimed dispatches, in bulk: step 3 of the protocol."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches.fences import FenceAnswer, known_before
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.dispatches.outcomes import Accepted, CallResult
from mailroom.domain.errors import RedisChanged
from mailroom.domain.ids import ClaimId
from mailroom.storage.cluster import restored_fences
from mailroom.storage.database import Db


@dataclass(frozen=True, slots=True)
class Crossing:
    """The answers of the fences to a group of claimed dispatches: each is in one list at most."""

    go: list[Claimed] = field(default_factory=list)
    called_before: list[CallResult] = field(
        default_factory=list
    )  # accepted by an earlier call, or in doubt because of it
    split_before: list[Claimed] = field(default_factory=list)  # refused before, and to be halved
    stale: list[Claimed] = field(default_factory=list)  # a newer holder has the lane
    # Redis' identity has changed since the claim: nothing may be called.
    forgotten: list[Claimed] = field(default_factory=list)
    held: list[Claimed] = field(default_factory=list)  # paused, stopped or cancelled since the claim


def cross_fences(fences: Fences, claimed: Sequence[Claimed]) -> Crossing:
    """Cross the fences of claimed dispatches in one round trip. Raises Unavailable: none may be called then."""
    by_claim: dict[ClaimId, list[Claimed]] = {}
    for dispatch in claimed:
        by_claim.setdefault(dispatch.claim.id, []).append(dispatch)
    answers, redis_identity = fences.cross(by_claim)
    crossing = Crossing()
    for dispatch in claimed:
        _sort_in(crossing, dispatch, answers[dispatch], remembered=redis_identity == dispatch.claim.redis_identity)
    return crossing


def _sort_in(crossing: Crossing, dispatch: Claimed, answer: FenceAnswer, *, remembered: bool) -> None:
    before = known_before(answer)
    if isinstance(before, Accepted):
        crossing.called_before.append(CallResult(dispatch, before))
    elif answer.split:
        crossing.split_before.append(dispatch)
    elif answer.stale:
        crossing.stale.append(dispatch)
    elif answer.held:
        crossing.held.append(dispatch)
    elif not remembered:
        crossing.forgotten.append(dispatch)
    elif answer.go:
        crossing.go.append(dispatch)
    elif before:
        crossing.called_before.append(CallResult(dispatch, before))


def seed_fences(db: Db, fences: Fences, claimed: Sequence[Claimed]) -> None:
    """Before a crossing: write back to Redis the fences that were stored when MongoDB was repaired, in case Redis has
    lost its memory since. Raises Unavailable, or RedisChanged if they went to another Redis than that of the claims,
    in which they will be crossed: none may be called then."""
    records = restored_fences.among(db, [dispatch.id for dispatch in claimed])
    known = [(dispatch, records[dispatch.id]) for dispatch in claimed if dispatch.id in records]
    if known:
        redis_identity = fences.seed(known)
        if any(dispatch.claim.redis_identity != redis_identity for dispatch, _ in known):
            raise RedisChanged("Redis changed between claim and call")
