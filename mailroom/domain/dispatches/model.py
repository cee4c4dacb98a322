"""A dispatch as planning writes it, as a sender claims it, and what a provider says of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailroom.domain.emails.model import Rank
from mailroom.domain.ids import ClaimId, DispatchId, Lane, RunId, ScheduleId, Token


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
