"""A hold: nothing of a run, or nothing at all, is to be sent for now.

A hold lives in MongoDB, where claims read it, and in Redis, where fences do. Its number grows with every change and is
odd while it holds; so two copies that differ tell which of them is the older one.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

EVERYTHING: Final = "everything"  # the id of the switch for all sending; every other hold has a run's id
# A cancelled run's hold in Redis: no later change comes near it.
FOR_GOOD: Final = 2**40 + 1
FORGOTTEN: Final = "somebody whom the older copy of MongoDB does not know"


@dataclass(frozen=True, slots=True)
class Hold:
    """The newest change of a hold: who put it or lifted it, and when. Number 0: it was never put."""

    id: str
    number: int = 0
    by: str = ""
    at: datetime | None = None

    @property
    def held(self) -> bool:
        return self.number % 2 == 1


def number_after_loss(stored: int, mirrored: int) -> int:
    """The number for both, where MongoDB came back with a lower one than Redis mirrors: MongoDB is an older copy, and
    what either of them says is held stays held until somebody lifts it."""
    return mirrored | (stored % 2)
