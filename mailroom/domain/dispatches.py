"""A dispatch: one call to a provider, carrying 1 to N messages. The unit that must happen once.

pending -> sending -> accepted | pending again | in_doubt | failed | split
in_doubt -> accepted | pending | unknown | split
unknown -> accepted | pending (a person's word)
failed -> pending (a person has it sent again)
pending, sending, in_doubt -> cancelled (only where it is known not to have been accepted)
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from mailroom.domain.emails.model import Rank
from mailroom.domain.ids import ClaimId, DispatchId, Lane, RunId, ScheduleId, Token
from mailroom.domain.messages import MessageTrigger
from mailroom.domain.outcomes import CalledAt


class DispatchState(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    ACCEPTED = "accepted"
    IN_DOUBT = "in_doubt"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SPLIT = "split"
    CANCELLED = "cancelled"


OPEN: Final = frozenset({DispatchState.PENDING, DispatchState.SENDING, DispatchState.IN_DOUBT})

# What a dispatch's state says about its messages.
TELLS_MESSAGES: Final = {
    DispatchState.PENDING: MessageTrigger.NOT_SENT,
    DispatchState.SENDING: MessageTrigger.NOT_SENT,  # claimed before its messages were told that it waits again
    DispatchState.ACCEPTED: MessageTrigger.SENT,
    DispatchState.IN_DOUBT: MessageTrigger.IN_DOUBT,
    DispatchState.UNKNOWN: MessageTrigger.UNKNOWN,
    DispatchState.FAILED: MessageTrigger.REFUSED,
    DispatchState.CANCELLED: MessageTrigger.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class NewDispatch:
    """A dispatch as planning writes it."""

    id: DispatchId
    run_id: RunId
    schedule_id: ScheduleId | None  # None: it carries a single mail
    lane: Lane
    chunk: int
    revision: int
    messages: int
    digest: str
    rank: Rank = Rank.CAMPAIGN
    size: int = 0  # bytes of a single mail's body
    not_before: datetime | None = None
    span: str = ""  # of a campaign's: see domain/spans.py
    held: str = ""  # why nobody can know whether it may be sent; a person is to say


@dataclass(frozen=True, slots=True)
class Claim:
    """Proof that this sender moved these dispatches to `sending`: it names the lane's token and the store's memory.

    `memory` is the identity of Redis when the claim was made; a take-over under another identity cannot trust a
    missing fence.
    """

    id: ClaimId
    lane: Lane
    token: Token
    sender: str
    redis_identity: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A dispatch in this sender's hands."""

    id: DispatchId
    run_id: RunId
    schedule_id: ScheduleId | None
    claim: Claim
    attempt: int
    tries: int
    revision: int
    messages: int
    digest: str
    provider: str
    account: str
    claimed_at: datetime
    crashes: int = 0
    rank: Rank = Rank.CAMPAIGN
    size: int = 0
    span: str = ""  # see domain/spans.py
    cleared: tuple[ClaimId, ...] = ()  # claims whose crossings of the fence are known not to have been accepted


# A dispatch that was in hand at so many crashes may be what crashes us: it goes alone, and later not at all.
ALONE_AFTER_CRASHES: Final = 2
FAILS_AFTER_CRASHES: Final = 3


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A provider's yes: which attempt it was given to, and the provider's id. `found`: in its log, not in an answer."""

    provider: str
    provider_id: str
    attempt: int
    found: bool = False


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
