"""What a fence remembers of a dispatch, and what that says of a dispatch in nobody's hands."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mailroom.domain.ids import ClaimId
from mailroom.domain.outcomes import CalledAt


class FenceState(StrEnum):
    """What Redis remembers of a dispatch."""

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
    crossed_at: datetime | None = None  # the time of the claim that crossed it, where that is known
    called_at: CalledAt | None = None  # by whom it was to be carried then
    span: str = ""  # see domain/spans.py


class Finding(StrEnum):
    """What a take-over concludes about a `sending` that is in nobody's hands."""

    ACCEPTED = "accepted"
    NOT_CALLED = "not_called"
    SPLIT = "split"  # it was refused and is to be halved: that was decided, and perhaps not written down
    IN_DOUBT = "in_doubt"


def judge_abandoned(
    fence: Fence, *, claim: ClaimId, cleared: Collection[ClaimId], digest: str, memory_unchanged: bool
) -> Finding:
    """Step 6 of the protocol, for a dispatch in `sending` under this claim. 'No fence' proves 'never crossed' only
    while Redis has not lost its memory; `cleared` are crossings that are known not to have been accepted."""
    if fence.state is FenceState.DONE:
        return Finding.ACCEPTED if fence.digest == digest else Finding.IN_DOUBT
    if fence.state is FenceState.SPLIT:
        return Finding.SPLIT if fence.digest == digest else Finding.IN_DOUBT
    if fence.state is FenceState.CROSSED and fence.claim_id not in cleared:
        return Finding.IN_DOUBT  # its own, or one that an older copy of MongoDB knows nothing of
    if fence.state is FenceState.RELEASED and fence.claim_id == claim:
        return Finding.NOT_CALLED  # said by the claim itself; no loss of memory can make that untrue
    # No fence, or one that is known not to have been accepted.
    return Finding.NOT_CALLED if memory_unchanged else Finding.IN_DOUBT
