"""What follows a refused call: another try, a wait, or the end. Pure: refusal, tries so far, now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.outcomes import Refusal, Refused

# Where the account is at fault and the provider names no time.
ACCOUNT_WAIT: Final = timedelta(seconds=60)
MAX_ACCOUNT_WAIT: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class TryAgain:
    not_before: datetime
    uses_a_try: bool


@dataclass(frozen=True, slots=True)
class GiveUp:
    pass


def after_refusal(refused: Refused, *, tries: int, delays: Sequence[timedelta], now: datetime) -> TryAgain | GiveUp:
    """`tries` counts the tries used up before this one; `delays[n]` is the pause after the (n+1)th. With two delays
    there are three tries."""
    match refused.kind:
        case Refusal.NOT_CALLED:
            return TryAgain(now, uses_a_try=False)
        case Refusal.ACCOUNT:
            wait = min(refused.retry_after or ACCOUNT_WAIT, MAX_ACCOUNT_WAIT)
            return TryAgain(now + wait, uses_a_try=False)
        case Refusal.PERMANENT:
            return GiveUp()
        case Refusal.TEMPORARY:
            if tries >= len(delays):
                return GiveUp()
            return TryAgain(now + max(delays[tries], refused.retry_after or timedelta()), uses_a_try=True)
