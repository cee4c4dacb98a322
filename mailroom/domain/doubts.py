"""A dispatch in doubt, and what the provider's log says about it. Step 7 of the protocol, without I/O.

What is found is believed at any time. What is absent is believed only when nothing could hide it any more: the call
can no longer be under way, the provider's log has had the time to become complete, it still reaches back to the call,
and the same question shows something that was accepted later (a control: a log that lies empty shows nothing).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.ids import ClaimId

# Pauses between questions: at once and often, for most doubts are settled by the first answers.
_PAUSES: Final = tuple(timedelta(seconds=s) for s in (1, 2, 5, 10, 30, 60, 120, 300))


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take at the provider and on the way there."""

    call_timeout: timedelta
    idle_limit: timedelta
    settle: timedelta
    log_retention: timedelta

    def over_from(self, marked_at: datetime) -> datetime:
        """From then on no call of a dispatch marked at that time can still be accepted: a frozen sender's connections
        have been dropped by the provider, and a call in flight has ended."""
        return marked_at + self.call_timeout + self.idle_limit

    def decisive_from(self, marked_at: datetime) -> datetime:
        """From then on the provider's log shows all that was accepted of it."""
        return self.over_from(marked_at) + self.settle


@dataclass(frozen=True, slots=True)
class Doubt:
    """A dispatch in doubt. `marked_at` is MongoDB's time; `called_since` is the earliest at which it may have been
    called; `asked` counts the questions so far. `doubted` is the claim whose call is in question."""

    dispatch: Claimed
    marked_at: datetime
    called_since: datetime
    asked: int
    used_a_try: bool  # the provider had the call in its hands; otherwise our crash made the doubt
    doubted: ClaimId
    call_ended: bool  # in the hands of who made it; otherwise it may still be under way, or even to come
    told_as: tuple[str, ...] = ()  # other names of the mail at the provider, as its events tell: not believed, asked by
    final: bool = False  # its fence says that it was called for good, with other recipients: it is never called again

    def over(self, timing: Timing, now: datetime) -> bool:
        """True if its call cannot be accepted any more."""
        return self.call_ended or now >= timing.over_from(self.marked_at)


@dataclass(frozen=True, slots=True)
class Traces:
    """What a provider's log shows of one dispatch: the folded addresses of its recipients, and under which id each
    attempt was accepted."""

    seen: frozenset[str] = frozenset()
    accepted: Mapping[int, str] = field(default_factory=dict)


class Unaskable(StrEnum):
    """What becomes of a doubt of a provider that cannot be asked."""

    HOLD = "hold"  # for a person
    WENT_OUT = "went_out"
    SEND_AGAIN = "send_again"


class AbsenceVerdict(StrEnum):
    """About those recipients of which the log shows nothing."""

    NOT_ACCEPTED = "not_accepted"
    UNKNOWN = "unknown"
    ASK_AGAIN = "ask_again"


def judge_absent(doubt: Doubt, *, asked_at: datetime, control_seen: bool, timing: Timing) -> AbsenceVerdict:
    """What follows from an answer without a trace. `asked_at` is MongoDB's time before the question was put."""
    if asked_at - doubt.called_since >= timing.log_retention:
        return AbsenceVerdict.UNKNOWN
    if control_seen and asked_at >= timing.decisive_from(doubt.marked_at):
        return AbsenceVerdict.NOT_ACCEPTED
    return AbsenceVerdict.ASK_AGAIN


def next_question(doubt: Doubt, *, timing: Timing, now: datetime) -> datetime:
    """When to ask again: after a growing pause, but never past a moment that changes what an answer means."""
    later = now + _PAUSES[min(doubt.asked, len(_PAUSES) - 1)]
    moments = (timing.over_from(doubt.marked_at), timing.decisive_from(doubt.marked_at))
    return min([later, *(moment for moment in moments if moment > now)])


def controls_needed(
    doubts: Collection[Doubt], *, timing: Timing, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """Returns (decisive, upcoming): the earliest acceptance times that a control must have, first for doubts that can
    be judged absent now, then for all whose calls are over. The second is made early, so that the log shows it in time.

    None if there is no such doubt.
    """
    over = [timing.over_from(doubt.marked_at) for doubt in doubts]
    decisive = [at for at in over if at + timing.settle <= now]
    return max(decisive, default=None), max([at for at in over if at <= now], default=None)
