"""When new work leaves a provider, and when it comes back. All senders share its state (coordination/circuits.py).

closed -> open: so many failures within the window, and no fewer than successes; or the account is refused
open -> half: after the cooldown; then a call now and then is made, as a probe
half -> open: a probe fails; the cooldown is twice as long
half -> closed: so many probes in a row were good
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final


class CircuitState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF = "half"


@dataclass(frozen=True, slots=True)
class CircuitRule:
    """When a circuit opens and closes."""

    window: timedelta
    failures: int
    cooldown: timedelta
    healthy: int = 5


LONGEST_COOLDOWN: Final = timedelta(minutes=10)
BETWEEN_PROBES: Final = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class Circuit:
    """As it stands: `until` when it is open; calls that were good and bad within the window while it is closed."""

    state: CircuitState = CircuitState.CLOSED
    until: datetime | None = None
    good: int = 0
    bad: int = 0
    why: str = ""
