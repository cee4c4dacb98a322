"""A hold stops the sending of a run, or of all mail, until a person lifts it.

Claims read a hold in MongoDB, fences read it in Redis. Its number grows with every change and is odd while the
hold is on. So of two copies that differ, the copy with the lower number is older.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

EVERYTHING: Final = "everything"  # the id of the switch for all sending; every other hold has a run's id
# The number of a cancelled run's hold in Redis; no other number reaches it.
FOR_GOOD: Final = 2**40 + 1
FORGOTTEN: Final = "a person unknown to the older copy of MongoDB"


@dataclass(frozen=True, slots=True)
class Hold:
    """The newest change of a hold: who put or lifted the hold, and when. Number 0: the hold was never put."""

    id: str
    number: int = 0
    by: str = ""
    at: datetime | None = None

    @property
    def held(self) -> bool:
        return self.number % 2 == 1


def number_after_loss(stored: int, mirrored: int) -> int:
    """The number for both stores if MongoDB has a lower one than Redis: MongoDB is then an older copy. A hold of either
    store stays until a person lifts it."""
    return mirrored | (stored % 2)
