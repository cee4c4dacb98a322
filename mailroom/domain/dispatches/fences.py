"""The fence of a dispatch: its record in Redis, the meaning of its answers, its proof about an abandoned dispatch."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.dispatches.outcomes import NOBODY_KNOWS_WHERE, Accepted, CalledAt, InDoubt
from mailroom.domain.ids import ClaimId


class FenceState(StrEnum):
    """The state of a dispatch's fence in Redis."""

    NONE = "none"
    CROSSED = "crossed"
    RELEASED = "released"
    SPLIT = "split"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Fence:
    """The fence of one dispatch as read at take-over."""

    state: FenceState
    attempt: int = 0
    claim_id: ClaimId | None = None
    digest: str = ""
    provider_id: str = ""
    crossed_at: datetime | None = None  # claim time of the crossing on record, if known
    called_at: CalledAt | None = None  # provider and account of that claim
    span: str = ""  # see domain/dispatches/spans.py


class FenceAnswer(Struct, frozen=True):
    """The fence's answer to one claimed dispatch: exactly one of these.

    `go`: call. `accepted`: an earlier call was accepted, (attempt, provider's id). `stale`: the lane has seen a higher
    token. `split`: refused before, and continued in parts. `held`: its run, or all sending, is held. None of these: in
    doubt.
    """

    go: bool = False
    stale: bool = False
    split: bool = False
    held: bool = False
    crossed_at: datetime | None = None  # in doubt: claim time of the crossing on record, if known
    crossed_by: ClaimId | None = None  # in doubt: claim of the crossing on record
    called_at: CalledAt | None = None  # in doubt or accepted: where it was called, if known
    # In doubt for good: accepted, or refused and split, with other recipients than the dispatch has now.
    final: bool = False
    accepted: tuple[int, str] | None = None


def known_before(answer: FenceAnswer) -> Accepted | InDoubt | None:
    """The earlier call that a fence records: accepted, or in doubt. None if the fence records no earlier call."""
    if answer.accepted is not None:
        attempt, provider_id = answer.accepted
        return Accepted(provider_id, attempt, answer.called_at.provider if answer.called_at else None)
    if answer.go or answer.stale or answer.split or answer.held:
        return None
    return crossed_by_another(answer.crossed_by, answer.crossed_at, answer.called_at, final=answer.final)


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


class Finding(StrEnum):
    """The conclusion of a take-over about an abandoned dispatch in `sending`."""

    ACCEPTED = "accepted"
    NOT_CALLED = "not_called"
    SPLIT = "split"  # refused and to be split: the decision was made, but may not be recorded
    IN_DOUBT = "in_doubt"


_CALLED: Final = (FenceState.CROSSED, FenceState.DONE, FenceState.SPLIT)


def judge_abandoned(
    fence: Fence, *, claim: ClaimId, cleared: Collection[ClaimId], digest: str, memory_unchanged: bool
) -> Finding:
    """Step 6 of the protocol, for a dispatch in `sending` under this claim. 'No fence' proves 'never crossed' only
    while Redis has not lost its data. `cleared`: claims whose crossings are known not to have been accepted."""
    if fence.state is FenceState.DONE:
        return Finding.ACCEPTED if fence.digest == digest else Finding.IN_DOUBT
    if fence.state is FenceState.SPLIT:
        return Finding.SPLIT if fence.digest == digest else Finding.IN_DOUBT
    if fence.state is FenceState.CROSSED and fence.claim_id not in cleared:
        return Finding.IN_DOUBT  # its own crossing, or a crossing that a restored MongoDB does not record
    if fence.state is FenceState.RELEASED and fence.claim_id == claim:
        return Finding.NOT_CALLED  # released by the claim itself; no loss of data can make that untrue
    # No fence, or a crossing that is known not to have been accepted.
    return Finding.NOT_CALLED if memory_unchanged else Finding.IN_DOUBT


def accepted_by_fence(fence: Fence, dispatch: Claimed, *, found: bool = False) -> Acceptance:
    """The acceptance recorded in a fence in state `done`. `found`: the acceptance ends a doubt."""
    provider = fence.called_at.provider if fence.called_at else dispatch.provider
    return Acceptance(provider, fence.provider_id, fence.attempt, found=found)


def doubt_of_abandoned(fence: Fence, dispatch: Claimed, *, memory_unchanged: bool) -> InDoubt:
    """The doubt about an abandoned dispatch: its reason, and the earliest time and the place of a possible call."""
    if fence.state in _CALLED and fence.claim_id not in (dispatch.claim.id, *dispatch.cleared):
        # A restored MongoDB does not record the crossing, and may name another provider than the one of that call.
        final = fence.state is not FenceState.CROSSED
        return crossed_by_another(fence.claim_id, fence.crossed_at, fence.called_at, final=final)
    if memory_unchanged:
        return InDoubt("its sender went away after it crossed the fence: the call may have been made")
    return InDoubt("its sender went away, and Redis has restarted since: whether the call was made is forgotten")
