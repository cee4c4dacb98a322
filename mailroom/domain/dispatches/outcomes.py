"""The outcome of one call to a provider. The kinds of failure are separate types, so that they cannot be confused.

`Refused` is certain: the provider did not accept the call. `InDoubt`: the mail may have gone out, and is never retried
before the doubt is concluded.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.ids import ClaimId


class Refusal(StrEnum):
    NOT_CALLED = "not_called"  # no byte of the request reached the kernel; no try is used up
    HELD = "held"  # not called: a hold on the run, or on all sending, came after the claim; no try is used up
    TEMPORARY = "temporary"
    PERMANENT = "permanent"
    RECIPIENT = "recipient"  # a recipient is refused: halves of the batch may be accepted
    TOO_MANY = "too_many"  # more recipients than the provider takes in a call: split; no try is used up
    THROTTLED = "throttled"  # not called: our own rate limit delays the call by `retry_after`; no try is used up
    ACCOUNT = "account"  # quota, key, domain: the lane waits, a person is alerted, no try is used up


BRIEF: Final = timedelta(seconds=5)


class Accepted(Struct, frozen=True):
    """`attempt`, `provider`: set only if the acceptance belongs to an earlier attempt or another provider; None means
    this call. `code`, `reason`: the provider's answer in its own words, for people; no decision reads them.
    `bounces_read`: of a provider without webhooks, that a bounce would come to a mailbox that is read."""

    provider_id: str
    attempt: int | None = None
    provider: str | None = None
    code: int | None = None
    reason: str = ""
    bounces_read: bool = False


class Refused(Struct, frozen=True):
    kind: Refusal
    reason: str
    code: int | None = None
    retry_after: timedelta | None = None
    at_most: int | None = None  # with TOO_MANY: the provider's limit of recipients in a call
    too_fast: bool = False  # with ACCOUNT: only our rate is too high
    broke: bool = False  # with NOT_CALLED: a new session's dialogue broke off; repeated breaks use up tries
    spent: bool = False  # with TEMPORARY: the session had carried mail before; a new session may succeed
    hard: bool = False  # the address itself takes no mail: it is suppressed

    @property
    def is_brief(self) -> bool:
        """True if only our rate is too high, and the provider asks for a pause of at most BRIEF."""
        return self.kind is Refusal.ACCOUNT and self.too_fast and (self.retry_after or timedelta()) <= BRIEF


class InPart(Struct, frozen=True):
    """The provider decided about each recipient separately: it refused those in `refused` and accepted all others.
    `code`, `reason`, `bounces_read`: of its answer to the others, as of `Accepted`."""

    provider_id: str
    refused: Mapping[str, Refused]  # by address
    code: int | None = None
    reason: str = ""
    bounces_read: bool = False


class CalledAt(Struct, frozen=True):
    """The provider and account of a call. Only they can be asked about the call."""

    provider: str
    account: str


NOBODY_KNOWS_WHERE: Final = CalledAt("", "")


class InDoubt(Struct, frozen=True):
    """This call may have been accepted. With `crossed_by`: the call of another claim, made at `called_since` or later,
    at `called_at`. `final`: that call was accepted, or refused and split, with other recipients than now."""

    reason: str
    code: int | None = None
    crossed_by: ClaimId | None = None
    called_since: datetime | None = None
    called_at: CalledAt | None = None
    final: bool = False


Outcome = Accepted | InPart | Refused | InDoubt


class CallResult(Struct, frozen=True):
    """A call, made or not made, and its outcome. `took_s`: from the request's beginning to the outcome; None without a
    call."""

    claimed: Claimed
    outcome: Outcome
    took_s: float | None = None


def health_of(outcome: Outcome) -> bool | None:
    """The provider's health as an outcome shows it. True: healthy. False: not healthy. None: no statement."""
    if isinstance(outcome, Accepted):
        return True if outcome.attempt is None else None
    if isinstance(outcome, InPart):
        return True
    if isinstance(outcome, InDoubt):
        return False if outcome.crossed_by is None else None
    if outcome.kind is Refusal.NOT_CALLED:
        return False if outcome.broke else None
    if outcome.kind in (Refusal.PERMANENT, Refusal.RECIPIENT):
        return True if outcome.code is not None else None  # a refusal without a code is our own
    return False if outcome.kind is Refusal.TEMPORARY and not outcome.spent else None
