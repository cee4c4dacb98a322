"""How far a sender looks back for dispatches that are due."""

import threading
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.ids import Lane

# A dispatch becomes visible when its transaction has ended, which is later than the time from which on it is due.
_LATE: Final = timedelta(seconds=0.5)
_ALL_EVERY_S: Final = 1.0
_SOON_S: Final = 0.1


class LookBack:
    """A look begins half a second before the end of the last complete look, or earlier where dispatches became visible
    late. A look at all that is due comes once a second, a tenth of a second after the last one where `look_at_all_soon`
    asked for it, when a lane was added, and after `forget`: it finds what others do not see, such as what returned to
    `pending`.

    For one thread, except `became_visible`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._visible_since: datetime | None = None
        self._since: datetime | None = None
        self._lanes = frozenset[Lane]()
        self._saw_all_at = self._all_at = 0.0
        self._soon_s, self._asked_soon = _SOON_S, False

    def since(self, lanes: Collection[Lane], *, at: float) -> datetime | None:
        """The time from which on a look at these lanes looks; None: it is at all that is due. To be called once a look:
        it takes over what `became_visible` noted. `at`: seconds of the monotonic clock."""
        with self._lock:
            visible_since, self._visible_since = self._visible_since, None
        if self._since is None or at >= self._all_at or not frozenset(lanes) <= self._lanes:
            return None
        self._since = min(self._since, visible_since or self._since)
        return self._since

    def saw_all(self, lanes: Collection[Lane], *, through: datetime, at: float) -> None:
        """A look saw all that was due in these lanes at `through`."""
        self._lanes, self._saw_all_at, self._all_at = frozenset(lanes), at, at + _ALL_EVERY_S
        self._soon_s = 2 * self._soon_s if self._asked_soon else _SOON_S
        self._asked_soon = False
        self._since = through - _LATE

    def saw_new(self, *, through: datetime) -> None:
        """A look saw all that became due from the time that `since` returned to `through`."""
        self._since = through - _LATE

    def look_at_all_soon(self) -> None:
        """The next look at all that is due comes a tenth of a second after the last one, or at once if that time is
        over. Where it is asked for after each look, the time doubles each time, up to a second."""
        self._asked_soon = True
        self._all_at = min(self._all_at, self._saw_all_at + self._soon_s)

    def forget(self) -> None:
        """The next look is at all that is due."""
        self._since = None

    def became_visible(self, *, since: datetime) -> None:
        """New dispatches can be seen, due from `since` on: the next look goes back that far. Thread-safe."""
        with self._lock:
            self._visible_since = min(since, self._visible_since or since)
