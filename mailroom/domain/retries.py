"""What follows a refused call: another try, a wait, or the end. Pure: refusal, tries so far, now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.emails.model import Rank
from mailroom.domain.outcomes import Refusal, Refused

# Where the account is at fault and the provider names no time.
ACCOUNT_WAIT: Final = timedelta(seconds=60)
# Where nothing is wrong but our pace, and the provider names no time.
PACE_WAIT: Final = timedelta(seconds=1)
# After a call that was not even begun: at once the first time, then ever later, whatever keeps it from beginning.
NOT_CALLED_PAUSES: Final = tuple(timedelta(seconds=s) for s in (0, 1, 5, 30, 60))
# So many attempts may fail because of a session; after that the mail itself is to blame.
FREE_ATTEMPTS: Final = 12
MAX_ACCOUNT_WAIT: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Delays:
    """The pauses between tries: those of a rank where it has its own, else the same for all. Two pauses are three
    tries."""

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
    """Send it in parts of at most so many messages: all but a refused recipient can still go out."""

    most: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    pass


def after_refusal(
    refused: Refused, *, attempt: int, tries: int, messages: int, delays: Sequence[timedelta], now: datetime
) -> TryAgain | Divide | GiveUp:
    """`tries` counts the tries used up before this one; `delays[n]` is the pause after the (n+1)th. With two delays
    there are three tries. `attempt` counts every claim, from 1."""
    match refused.kind:
        case Refusal.NOT_CALLED | Refusal.TEMPORARY if _is_free(refused, attempt):
            pause = NOT_CALLED_PAUSES[min(max(attempt, 1), len(NOT_CALLED_PAUSES)) - 1]
            return TryAgain(now + pause, uses_a_try=False)
        case Refusal.NOT_CALLED if messages > 1:
            return Divide(-(-messages // 2))  # one of them may be what breaks the other side
        case Refusal.HELD:
            return TryAgain(now, uses_a_try=False)  # no claim succeeds before the hold is lifted
        case Refusal.THROTTLED:
            return TryAgain(now + (refused.retry_after or timedelta()), uses_a_try=False)
        case Refusal.ACCOUNT:
            usual = PACE_WAIT if refused.too_fast else ACCOUNT_WAIT
            wait = min(refused.retry_after or usual, MAX_ACCOUNT_WAIT)
            return TryAgain(now + wait, uses_a_try=False)
        case Refusal.RECIPIENT if messages > 1:
            return Divide(-(-messages // 2))
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
    """True if the refusal says nothing about this mail: then no try is used up."""
    if refused.kind is Refusal.NOT_CALLED:
        return not refused.broke or attempt <= FREE_ATTEMPTS
    return refused.spent and attempt <= FREE_ATTEMPTS
