"""Fences of claimed dispatches, crossed in bulk: step 3 of the protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mailroom.coordination.fences import FenceAnswer, Fences
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.ids import ClaimId
from mailroom.domain.outcomes import NOBODY_KNOWS_WHERE, Accepted, CalledAt, InDoubt
from mailroom.storage.cluster import restored_fences
from mailroom.storage.database import Db


@dataclass(frozen=True, slots=True)
class Crossing:
    """What the fences said to a group of claimed dispatches."""

    go: list[Claimed]
    accepted_before: list[tuple[Claimed, Accepted]]
    split_before: list[Claimed]  # refused, and to be halved
    in_doubt: list[tuple[Claimed, InDoubt]]
    stale: list[Claimed]
    forgotten: list[Claimed]  # Redis is not the one under which the claim was made: nothing may be called
    held: list[Claimed]  # paused, stopped or cancelled since it was claimed


def cross_fences(fences: Fences, claimed: Sequence[Claimed]) -> Crossing:
    """Cross the fences of claimed dispatches, all in one round trip. Raises Unavailable: none may be called."""
    by_claim: dict[ClaimId, list[Claimed]] = {}
    for dispatch in claimed:
        by_claim.setdefault(dispatch.claim.id, []).append(dispatch)
    verdicts, redis_identity = fences.cross(by_claim)
    crossing = Crossing([], [], [], [], [], [], [])
    for dispatch in claimed:
        _sort_in(crossing, dispatch, verdicts[dispatch], remembered=redis_identity == dispatch.claim.redis_identity)
    return crossing


def _sort_in(crossing: Crossing, dispatch: Claimed, verdict: FenceAnswer, *, remembered: bool) -> None:
    before = known_before(verdict)
    if isinstance(before, Accepted):
        crossing.accepted_before.append((dispatch, before))
    elif verdict.split:
        crossing.split_before.append(dispatch)
    elif verdict.stale:
        crossing.stale.append(dispatch)
    elif verdict.held:
        crossing.held.append(dispatch)
    elif not remembered:
        crossing.forgotten.append(dispatch)
    elif verdict.go:
        crossing.go.append(dispatch)
    elif before:
        crossing.in_doubt.append((dispatch, before))


def known_before(verdict: FenceAnswer) -> Accepted | InDoubt | None:
    """What a fence knows of an earlier call: it was accepted, or may have been; None where it knows of none."""
    if verdict.accepted is not None:
        attempt, provider_id = verdict.accepted
        return Accepted(provider_id, attempt, verdict.called_at.provider if verdict.called_at else None)
    if verdict.go or verdict.stale or verdict.split or verdict.held:
        return None
    return crossed_by_another(verdict.crossed_by, verdict.crossed_at, verdict.called_at, final=verdict.final)


def crossed_by_another(
    claim: ClaimId | None, at: datetime | None, where: CalledAt | None, *, final: bool = False
) -> InDoubt:
    """The fence was crossed by a claim that MongoDB does not record, because it is a restored copy. The call may have
    been made at any time since, possibly at another provider."""
    ever = datetime.min.replace(tzinfo=UTC)
    return InDoubt(
        "its fence was crossed before",
        crossed_by=claim or ClaimId(""),
        called_since=at or ever,
        called_at=where or NOBODY_KNOWS_WHERE,
        final=final,
    )


def seed_fences(db: Db, fences: Fences, claimed: Sequence[Claimed]) -> None:
    """Before the fences of these are crossed: let Redis know what it knew of them when MongoDB was put right, should it
    have lost its memory since. Raises Unavailable: none may be called."""
    known = restored_fences.among(db, [one.id for one in claimed])
    if known:
        fences.seed([(one, known[one.id]) for one in claimed if one.id in known])
