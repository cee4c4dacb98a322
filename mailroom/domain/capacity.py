"""How many senders there should be for the work that is due."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

_CALLS_A_MINUTE: Final = 60  # of each call that a sender makes at a time: a call takes about a second


@dataclass(frozen=True, slots=True)
class Due:
    """Dispatches of one rank that are due and not claimed. `free` of them, in `lanes` lanes, wait only for a sender:
    nobody has paused them, and no provider refuses their account."""

    dispatches: int
    oldest: datetime  #: since when the longest waiting one is due
    free: int
    lanes: int


def senders_wanted(free: int, lanes: int, *, calls_at_once: int) -> int:
    """The number of senders that would work off `free` due dispatches, in so many lanes, within about a minute. At
    least one; no more than lanes, because a lane is drained by one sender at a time."""
    by_work = -(-free // (calls_at_once * _CALLS_A_MINUTE))
    return max(1, min(by_work, lanes))
