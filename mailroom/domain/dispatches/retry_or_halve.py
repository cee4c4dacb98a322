"""What follows a refused call: another try after a pause, the batch in halves, or the end.

Pure: refusal, tries so far, now. The pauses between tries are `MAILROOM_RETRY_DELAYS` (config/descriptions.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.dispatches.outcomes import Refusal, Refused
from mailroom.domain.emails.model import Rank

# Pause if the account is at fault and the provider gives no Retry-After.
ACCOUNT_WAIT: Final = timedelta(seconds=60)
# Pause if only our rate is too high and the provider gives no Retry-After.
PACE_WAIT: Final = timedelta(seconds=1)
# Pauses after a call that did not start: none the first time, then longer, whatever the cause.
NOT_CALLED_PAUSES: Final = tuple(timedelta(seconds=s) for s in (0, 1, 5, 30, 60))
# Attempts that may fail because of a session; further failures are blamed on the mail itself.
FREE_ATTEMPTS: Final = 12
MAX_ACCOUNT_WAIT: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Delays:
    """The pauses between tries: those of the rank if it has its own, otherwise the common pauses. Two pauses allow
    three tries."""

    of_all: Sequence[timedelta]
    by_rank: Mapping[Rank, Sequence[timedelta]] = field(default_factory=dict)

    def of(self, rank: Rank) -> Sequence[timedelta]:
        return self.by_rank.get(rank, self.of_all)


@dataclass(frozen=True, slots=True)
class TryAgain:
    not_before: datetime
    uses_a_try: bool


@dataclass(frozen=True, slots=True)
class Divide:
    """Send the dispatch in parts of at most `most` messages: all except a refused recipient can still go out."""

    most: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    pass


def half(messages: int) -> int:
    """The size of the larger half."""
    return -(-messages // 2)


def after_refusal(
    refused: Refused,
    *,
    attempt: int,
    tries: int,
    messages: int,
    delays: Sequence[timedelta],
    now: datetime,
    elsewhere: bool = False,
) -> TryAgain | Divide | GiveUp:
    """The decision after a refused call.

    `tries` counts the tries used up before this one; `delays[n]` is the pause after the (n+1)th. With two delays there
    are three tries. `attempt` counts every claim, from 1. `elsewhere`: another provider takes mail now, so a refused
    account delays nothing; nor does a provider that asks to wait.
    """
    match refused.kind:
        case Refusal.ACCOUNT if elsewhere:
            return TryAgain(now, uses_a_try=False)
        case Refusal.NOT_CALLED | Refusal.TEMPORARY if _is_free(refused, attempt):
            pause = NOT_CALLED_PAUSES[min(max(attempt, 1), len(NOT_CALLED_PAUSES)) - 1]
            return TryAgain(now + pause, uses_a_try=False)
        case Refusal.NOT_CALLED if messages > 1:
            return Divide(half(messages))  # one of the messages may crash the provider's side
        case Refusal.HELD:
            return TryAgain(now, uses_a_try=False)  # no claim succeeds before a person lifts the hold
        case Refusal.THROTTLED:
            return TryAgain(now + (refused.retry_after or timedelta()), uses_a_try=False)
        case Refusal.ACCOUNT:
            usual = PACE_WAIT if refused.too_fast else ACCOUNT_WAIT
            wait = min(refused.retry_after or usual, MAX_ACCOUNT_WAIT)
            return TryAgain(now + wait, uses_a_try=False)
        case Refusal.RECIPIENT if messages > 1:
            return Divide(half(messages))
        case Refusal.TOO_MANY if refused.at_most and messages > refused.at_most:
            return Divide(refused.at_most)
        case Refusal.PERMANENT | Refusal.RECIPIENT | Refusal.TOO_MANY:
            return GiveUp()
        case Refusal.TEMPORARY | Refusal.NOT_CALLED:
            if tries >= len(delays):
                return GiveUp()
            wait = max(delays[tries], min(refused.retry_after or timedelta(), MAX_ACCOUNT_WAIT))
            return TryAgain(now + wait, uses_a_try=True)


def _is_free(refused: Refused, attempt: int) -> bool:
    """True if the refusal says nothing about this mail, so that no try is used up."""
    if refused.kind is Refusal.NOT_CALLED:
        return not refused.broke or attempt <= FREE_ATTEMPTS
    return refused.spent and attempt <= FREE_ATTEMPTS
