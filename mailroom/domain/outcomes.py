"""What came of one call to a provider. Three failures, three names: they are never mixed up.

`Refused` is certain: the provider did not take it. `InDoubt` may have gone out: it is never tried again by accident.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from mailroom.domain.ids import ClaimId


class Refusal(StrEnum):
    NOT_CALLED = "not_called"  # no byte of the request reached the kernel; no try is used up
    HELD = "held"  # not called: its run, or all sending, was put on hold after the claim; no try is used up
    TEMPORARY = "temporary"
    PERMANENT = "permanent"
    RECIPIENT = "recipient"  # one of its recipients is refused: halves of it may do better
    TOO_MANY = "too_many"  # more recipients than this provider takes in a call: it goes on in parts, no try is used up
    THROTTLED = "throttled"  # not called: a limit of our own holds it back until `retry_after`; no try is used up
    ACCOUNT = "account"  # quota, key, domain: the lane waits, a person is told, no try is used up


BRIEF: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Accepted:
    """`attempt`, `provider`: set only if the acceptance belongs to an earlier attempt or another provider; None means
    this call."""

    provider_id: str
    attempt: int | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    kind: Refusal
    reason: str
    code: int | None = None
    retry_after: timedelta | None = None
    at_most: int | None = None  # with TOO_MANY: recipients that the provider takes in a call
    too_fast: bool = False  # with ACCOUNT: nothing is wrong but our pace
    broke: bool = False  # with NOT_CALLED: a new session's dialogue broke off; if it always does, tries are used up
    spent: bool = False  # with TEMPORARY: the session had carried mail before; a new session may do better
    hard: bool = False  # the address itself takes no mail: it gets nothing more

    @property
    def is_brief(self) -> bool:
        """True if nothing is wrong but our pace, and a moment's pause is all that is asked for."""
        return self.kind is Refusal.ACCOUNT and self.too_fast and (self.retry_after or timedelta()) <= BRIEF


@dataclass(frozen=True, slots=True)
class InPart:
    """The provider judged each recipient by itself: those in `refused` as it says, all others are accepted."""

    provider_id: str
    refused: Mapping[str, Refused]  # by address


@dataclass(frozen=True, slots=True)
class CalledAt:
    """Where a call went: it can be asked about nowhere else."""

    provider: str
    account: str


NOBODY_KNOWS_WHERE: Final = CalledAt("", "")


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The call at hand may have been accepted; or, with `crossed_by`, what another claim called: since `called_since`,
    at `called_at`. `final`: that was accepted, or refused and split, with other recipients than there are now."""

    reason: str
    code: int | None = None
    crossed_by: ClaimId | None = None
    called_since: datetime | None = None
    called_at: CalledAt | None = None
    final: bool = False


Outcome = Accepted | InPart | Refused | InDoubt


def health_of(outcome: Outcome) -> bool | None:
    """What an outcome says about its provider: True, it works; False, it does not; None, nothing."""
    if isinstance(outcome, Accepted):
        return True if outcome.attempt is None else None
    if isinstance(outcome, InPart):
        return True
    if isinstance(outcome, InDoubt):
        return False if outcome.crossed_by is None else None
    if outcome.kind is Refusal.NOT_CALLED:
        return False if outcome.broke else None
    if outcome.kind in (Refusal.PERMANENT, Refusal.RECIPIENT):
        return True if outcome.code is not None else None  # without a code it was not the provider who refused
    return False if outcome.kind is Refusal.TEMPORARY and not outcome.spent else None
