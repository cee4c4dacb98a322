"""How far a sender looks back for dispatches that are due."""

import threading
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

    For one thread, but for `became_visible`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._visible_since: datetime | None = None
        self._through: datetime | None = None  # nothing was left that was due then
        self._lanes = frozenset[Lane]()
        self._all_at = 0.0

    def since(self, lanes: Collection[Lane], *, at: float) -> datetime | None:
        """Where a look at these lanes begins; None: it is for all that is due. Every look ends with `left_nothing`,
        unless it left something or failed. `at`: the time on the monotonic clock, in seconds."""
        through, wanted = self._through, frozenset(lanes)
        self._through = None
        with self._lock:
            visible_since, self._visible_since = self._visible_since, None
        if through is not None and wanted <= self._lanes and at < self._all_at:
            return min(through - _LATE, visible_since or through)
        self._lanes, self._all_at = wanted, at + _ALL_EVERY_S
        return None

    def became_visible(self, *, since: datetime) -> None:
        """Dispatches can be seen now that are due from `since` on. Thread-safe."""
        with self._lock:
            self._visible_since = min(since, self._visible_since or since)

    def left_nothing(self, *, through: datetime) -> None:
        """The look was for what was due at `through`, and all of that was claimed."""
        self._through = through
