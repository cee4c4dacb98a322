"""A dispatch as written by planning, as claimed by a sender, and as stored."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from msgspec import Struct

from mailroom.domain.dispatches.elsewhere import First
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.emails.model import OnDoubt, Rank
from mailroom.domain.ids import ClaimId, DispatchId, Lane, RunId, ScheduleId, Token


class NewDispatch(Struct, frozen=True):
    """A dispatch as written by planning."""

    id: DispatchId
    run_id: RunId
    schedule_id: ScheduleId | None  # None: a single mail
    lane: Lane
    chunk: int
    revision: int
    messages: int
    digest: str
    rank: Rank = Rank.CAMPAIGN
    size: int = 0  # bytes of a single mail's body, or of the files of each mail of a campaign
    not_before: datetime | None = None
    span: str = ""  # its recipients, for a campaign: see domain/dispatches/spans.py
    on_doubt: OnDoubt = OnDoubt.WAIT
    domain: str = ""  # of all its recipients, where shares between providers may depend on it; '' otherwise
    held: str = ""  # the reason why only a person can decide about sending it; '' otherwise
    due_at: datetime | None = None  # when its mails should go out; None: at once
    trace: str = ""  # the request that handed it in; '' if it is not traced
    is_test: bool = False  # a test send of a campaign


class Claimable(Struct, frozen=True):
    """A `pending` dispatch: the fields that a sender needs to select, claim and call it."""

    id: DispatchId
    run_id: RunId
    schedule_id: ScheduleId | None  #: None: a single mail
    lane: Lane
    attempt: int  #: calls claimed so far
    tries: int  #: calls that count against the retry limit
    revision: int
    messages: int
    digest: str  #: of the ids of its messages
    not_before: datetime
    crashes: int = 0
    rank: Rank = Rank.CAMPAIGN
    size: int = 0  #: bytes of a single mail's body, or of the files of each mail of a campaign
    span: str = ""  #: see domain/dispatches/spans.py
    cleared: tuple[ClaimId, ...] = ()  #: claims whose crossings of the fence are known not to have been accepted
    on_doubt: OnDoubt = OnDoubt.WAIT
    among: tuple[str, ...] = ()  #: the providers by which it may go, in this order; (): by any
    due_at: datetime | None = None  #: when its mails should have gone out first
    trace: str = ""  #: the request that handed it in; '' if it is not traced
    domain: str = ""  #: of all its recipients; '' if they have several, or it matters to no share
    is_test: bool = False  #: a test send of a campaign: never a control for a doubt


class InQueue(NamedTuple):
    """The place of a `pending` dispatch among others: in the order of claims."""

    rank: Rank
    not_before: datetime
    id: DispatchId
    lane: Lane


class Claim(Struct, frozen=True):
    """Proof that this sender moved these dispatches to `sending`, with the lane's token.

    `redis_identity`: the identity of Redis at the time of the claim. A take-over under another identity cannot trust a
    missing fence.
    """

    id: ClaimId
    lane: Lane
    token: Token
    sender: str
    redis_identity: str


class Claimant(Struct, frozen=True):
    """The fields that all claims of one step share: the sender, and the provider's account."""

    sender: str
    redis_identity: str
    provider: str
    account: str


class Claimed(Struct, frozen=True):
    """A dispatch in `sending` under a claim."""

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
    span: str = ""  # see domain/dispatches/spans.py
    cleared: tuple[ClaimId, ...] = ()  # claims whose crossings of the fence are known not to have been accepted
    on_doubt: OnDoubt = OnDoubt.WAIT
    is_test: bool = False
    left_out: bool = False  # recipients were left out after its claim was stored; `digest` is of those that stayed

    def __hash__(self) -> int:
        # A sender keeps claims in dictionaries all along a mail's way; the hash of all fields costs far more.
        return hash(self.id)


def under_claim(waiting: Claimable, claim: Claim, claimant: Claimant, *, attempt: int, claimed_at: datetime) -> Claimed:
    """A dispatch as it stands under this claim."""
    return Claimed(
        id=waiting.id,
        run_id=waiting.run_id,
        schedule_id=waiting.schedule_id,
        claim=claim,
        attempt=attempt,
        tries=waiting.tries,
        revision=waiting.revision,
        messages=waiting.messages,
        digest=waiting.digest,
        provider=claimant.provider,
        account=claimant.account,
        claimed_at=claimed_at,
        crashes=waiting.crashes,
        rank=waiting.rank,
        size=waiting.size,
        span=waiting.span,
        cleared=waiting.cleared,
        on_doubt=waiting.on_doubt,
        is_test=waiting.is_test,
    )


# A dispatch that was in hand at this many crashes may be their cause: it goes alone, and after more crashes fails.
ALONE_AFTER_CRASHES: Final = 2
FAILS_AFTER_CRASHES: Final = 3


class Acceptance(Struct, frozen=True):
    """A provider's acceptance: its attempt and the provider's id. `found`: known from the log, not from an answer.
    `code`, `reason`: the answer, if it is known; for people. `bounces_read`: as of `Accepted`."""

    provider: str
    provider_id: str
    attempt: int
    found: bool = False
    code: int | None = None
    reason: str = ""
    bounces_read: bool = False


class RecordedAcceptance(Struct, frozen=True):
    """A stored fact: the provider's acceptance, or the statement of a person or of events in its place."""

    provider_id: str  #: '' if unknown
    provider: str  #: '' if the acceptance is known only from the fence, an event or a person
    attempt: int
    at: datetime
    by: str = ""  #: the person or the events that state the acceptance; '' for the provider itself
    code: int | None = None  #: of the provider's answer; None if it is not known
    reason: str = ""  #: the provider's answer in its own words; '' if it said nothing, or is not known


class TrailStep(Struct, frozen=True):
    """One step of a dispatch's audit trail: its name, its time and its facts (texts, numbers, lists of ids)."""

    at: datetime
    step: str
    facts: Mapping[str, object]


class Dispatch(Struct, frozen=True, kw_only=True):
    """A stored dispatch, as of its read."""

    id: DispatchId
    run_id: RunId  #: for a single mail: the mail's id
    schedule_id: ScheduleId | None  #: None: a single mail
    lane: Lane
    state: DispatchState
    messages: int
    attempt: int  #: calls claimed so far
    tries: int  #: calls that count against the retry limit
    inherited_tries: int = 0  #: for a part: the share of `tries` taken over from the parent
    not_before: datetime  #: no claim before this; in doubt: when the provider is asked next
    parent: DispatchId | None = None  #: for a part: the dispatch that was split
    children: tuple[DispatchId, ...] = ()  #: for a split dispatch: its parts
    claim: Claim | None = None  #: the newest claim; None: never claimed
    claimed_at: datetime | None = None
    provider: str | None = None  #: of the newest claim, or of the parent's call
    account: str = ""
    accepted: tuple[RecordedAcceptance, ...] = ()  #: more than one acceptance by providers is an alarm
    reason: str | None = None  #: the reason of the last refusal or of the doubt
    code: int | None = None
    asked: int = 0  #: questions put to the provider about its doubt
    doubted: ClaimId | None = None  #: the claim whose crossing of the fence is, or was, in doubt
    final: bool = False  #: its fence shows a final call with other recipients than now: never called again
    on_doubt: OnDoubt = OnDoubt.WAIT
    elsewhere: DispatchId | None = None  #: the dispatch that carries its mail on at another provider
    elsewhere_of: DispatchId | None = None  #: the dispatch in doubt whose mail this one carries on
    first: First | None = None  #: for such a dispatch: what is known of the first; None once it was not accepted
    sent_again: str | None = None  #: the newest run or mail that carries one of its messages instead
    run_cancelled: bool = False
    trail: tuple[TrailStep, ...] = ()  #: in order, acceptances included; () if it was not read


class Propagation(Struct, frozen=True):
    """A dispatch's state that must be copied to its messages.

    `first`: see domain/dispatches/elsewhere.py. `moved`: another dispatch carries its messages on.
    """

    id: DispatchId
    state: DispatchState
    accepted_at: datetime | None  #: time of the first acceptance
    reason: str
    code: int | None
    first: First | None = None
    moved: bool = False
