"""How far a sender looks back for dispatches that are due."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.ids import Lane

# A dispatch becomes visible when its transaction has ended, which is later than the time from which on it is due.
_LATE: Final = timedelta(seconds=0.5)
_ALL_EVERY_S: Final = 1.0


class LookBack:
    """Most looks begin shortly before the one before them ended, since that one left nothing in these lanes. A look for
    all that is due comes once a second, and after each look that left something or failed: it finds what became visible
    late, and what returned to `pending`.

    For one thread.
    """

    def __init__(self) -> None:
        self._through: datetime | None = None  # nothing was left that was due then
        self._lanes = frozenset[Lane]()
        self._all_at = 0.0

    def since(self, lanes: Collection[Lane], *, at: float) -> datetime | None:
        """Where a look at these lanes begins; None: it is for all that is due. Every look ends with `left_nothing`,
        unless it left something or failed. `at`: the time on the monotonic clock, in seconds."""
        through, wanted = self._through, frozenset(lanes)
        self._through = None
        if through is not None and wanted <= self._lanes and at < self._all_at:
            return through - _LATE
        self._lanes, self._all_at = wanted, at + _ALL_EVERY_S
        return None

    def left_nothing(self, *, through: datetime) -> None:
        """The look was for what was due at `through`, and all of that was claimed."""
        self._through = through
