"""Decisions about a dispatch that was not accepted: return to `pending`, fail, or split.

Pure: a refusal or a fence, the tries so far, now. The writes are in storage/dispatches, under the lane's guard.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailroom.domain.dispatches.model import FAILS_AFTER_CRASHES, Acceptance, Claimed
from mailroom.domain.dispatches.outcomes import Refusal, Refused
from mailroom.domain.dispatches.retry_or_halve import Delays, Divide, TryAgain, after_refusal, half
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import MessageId

GIVES_UP: Final = f"it was in hand at {FAILS_AFTER_CRASHES} crashes of its sender"


@dataclass(frozen=True, slots=True)
class Return:
    """The return of a dispatch to `pending`: the earliest time of a new claim, and whether a try or a crash counts."""

    claimed: Claimed
    not_before: datetime
    reason: str
    code: int | None = None
    used_a_try: bool = False
    crashed: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """The final refusal of a dispatch, and its reason."""

    claimed: Claimed
    reason: str
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Division:
    """The division of a dispatch into parts of at most `most` messages. `was_called`: this attempt was called."""

    claimed: Claimed
    why: str
    most: int
    was_called: bool = True


@dataclass(frozen=True, slots=True)
class DispatchPart:
    """A subset of a dispatch's messages and their state: `pending` from a time on, `unknown`, `failed`, or `accepted`
    with the facts."""

    messages: Sequence[MessageId]
    state: DispatchState
    accepted: Sequence[Acceptance] = ()
    not_before: datetime | None = None
    tries: int = 0
    reason: str = ""
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """A claimed dispatch and its parts. `was_called`: a call was made for this attempt."""

    parent: Claimed
    parts: Sequence[DispatchPart]
    by: str
    why: str
    was_called: bool = True


def decide_refusal(
    claimed: Claimed, refused: Refused, delays: Delays, *, now: datetime, elsewhere: bool
) -> Return | Failure | Division:
    """The decision after a refused call. `elsewhere`: another provider takes mail now."""
    following = after_refusal(
        refused,
        attempt=claimed.attempt,
        tries=claimed.tries,
        messages=claimed.messages,
        delays=delays.of(claimed.rank),
        now=now,
        elsewhere=elsewhere,
    )
    if isinstance(following, TryAgain):
        return Return(claimed, following.not_before, refused.reason, refused.code, following.uses_a_try)
    if isinstance(following, Divide):
        return Division(claimed, refused.reason, following.most, was_called=refused.kind is not Refusal.TOO_MANY)
    return Failure(claimed, refused.reason, refused.code)


def decide_refused_part(
    messages: Sequence[MessageId], refused: Refused, claimed: Claimed, delays: Delays, *, now: datetime
) -> DispatchPart:
    """The decision about recipients that a provider refused while it accepted others of the same call."""
    following = after_refusal(
        refused, attempt=claimed.attempt, tries=claimed.tries, messages=1, delays=delays.of(claimed.rank), now=now
    )
    if isinstance(following, TryAgain):
        tries = claimed.tries + following.uses_a_try
        return DispatchPart(
            messages, DispatchState.PENDING, (), following.not_before, tries, refused.reason, refused.code
        )
    return DispatchPart(messages, DispatchState.FAILED, (), None, claimed.tries + 1, refused.reason, refused.code)


def decide_uncalled(claimed: Claimed, *, sender: str, now: datetime) -> Return | Failure:
    """The decision of `sender` about an abandoned dispatch that was never called. A crash of another sender counts
    against the dispatch."""
    if claimed.claim.sender == sender:
        return Return(claimed, now, "its claim was not known to have been made")
    if claimed.crashes + 1 >= FAILS_AFTER_CRASHES:
        return Failure(claimed, GIVES_UP)
    return Return(claimed, now, "its sender went away before the call", crashed=True)


def in_halves(claimed: Claimed, why: str) -> Division:
    """Divide into halves, so that all except a refused recipient can still go out."""
    return Division(claimed, why, half(claimed.messages))
