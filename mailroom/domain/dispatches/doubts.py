"""A dispatch in doubt, and when the provider's log is asked about it. Step 7 of the protocol, without I/O.

Presence in the log is conclusive at any time. When absence is believed: `absence.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.ids import ClaimId

# Pauses between questions: early and often, because the first answers conclude most doubts.
_PAUSES: Final = tuple(timedelta(seconds=s) for s in (1, 2, 5, 10, 30, 60, 120, 300))


@dataclass(frozen=True, slots=True)
class Timing:
    """Time limits of the provider and of calls to it."""

    call_timeout: timedelta
    idle_limit: timedelta
    settle: timedelta
    log_retention: timedelta

    def over_from(self, marked_at: datetime) -> datetime:
        """The time from which no call of a dispatch that was marked at `marked_at` can still be accepted: the provider
        has dropped a frozen sender's connections, and a call in flight has ended."""
        return marked_at + self.call_timeout + self.idle_limit

    def decisive_from(self, marked_at: datetime) -> datetime:
        """The time from which the provider's log shows every acceptance of the dispatch."""
        return self.over_from(marked_at) + self.settle


@dataclass(frozen=True, slots=True)
class Doubt:
    """A dispatch in doubt. `marked_at`: MongoDB's time. `called_since`: the earliest time at which the call may have
    been made. `asked`: the questions so far. `doubted`: the claim whose call is in question."""

    dispatch: Claimed
    marked_at: datetime
    called_since: datetime
    asked: int
    used_a_try: bool  # the call reached the provider; otherwise our own crash caused the doubt
    doubted: ClaimId
    call_ended: bool  # its caller saw the call end; otherwise the call may be under way, or still to come
    told_as: tuple[str, ...] = ()  # other ids of the mail, from events: used in questions, never trusted
    moved: bool = False  # its single mail went elsewhere: it never gets a new attempt (see elsewhere.py)
    final: bool = False  # its fence shows a final call with other recipients: the dispatch is never called again

    def over(self, timing: Timing, now: datetime) -> bool:
        """True if the call can no longer be accepted."""
        return self.call_ended or now >= timing.over_from(self.marked_at)


@dataclass(frozen=True, slots=True)
class Traces:
    """The entries of a provider's log for one dispatch: the folded addresses of its recipients, and the id under which
    each attempt was accepted. `told`: the folded addresses that got the mail, as events say."""

    seen: frozenset[str] = frozenset()
    accepted: Mapping[int, str] = field(default_factory=dict)
    told: frozenset[str] = frozenset()


class Unaskable(StrEnum):
    """The setting for doubts about calls to a provider that cannot be asked."""

    HOLD = "hold"  # for a person
    WENT_OUT = "went_out"
    SEND_AGAIN = "send_again"


def next_question(doubt: Doubt, *, timing: Timing, now: datetime) -> datetime:
    """The time of the next question: after a growing pause, but never past a time that changes an answer's meaning."""
    later = now + _PAUSES[min(doubt.asked, len(_PAUSES) - 1)]
    moments = (timing.over_from(doubt.marked_at), timing.decisive_from(doubt.marked_at))
    return min([later, *(moment for moment in moments if moment > now)])
