"""Whose turn it is in each lane of a schedule: planning's or claiming's.

Both change the lane's document in MongoDB, in a transaction each. Of two at once the later one is done again from its
beginning, and a chunk of a thousand messages costs most to do again. So each leaves a lane alone that the other is in.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from mailroom.domain.ids import Lane

_LEFT_FOR_S: Final = 0.1


class Turn:
    """Lanes that one of both works in, until its block ends, or `end` is called before."""

    def __init__(self, lanes: frozenset[Lane], give_back: Callable[[frozenset[Lane]], None]) -> None:
        self.lanes = lanes
        self._give_back = give_back
        self._ended = False

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._give_back(self.lanes)

    def __enter__(self) -> "Turn":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class LaneTurns:
    """Thread-safe; nobody ever waits here. After a chunk planning leaves the lane to claiming, for a moment at most:
    what was planned goes out while the next chunk is being composed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[Lane] = set()
        self._left_at: dict[Lane, float] = {}  # lanes that planning has left to claiming, on the monotonic clock
        self._wanted = frozenset[Lane]()  # by planning, which did not get them
        self._planning_may_go_on: Callable[[], None] = lambda: None

    def tell_planning(self, may_go_on: Callable[[], None]) -> None:
        """`may_go_on`: called when lanes are free that planning did not get."""
        self._planning_may_go_on = may_go_on

    def plan_in(self, lanes: Iterable[Lane]) -> Turn:
        """Take the lanes among these in which planning may go on."""
        with self._lock:
            now = time.monotonic()
            self._left_at = {lane: at for lane, at in self._left_at.items() if now - at < _LEFT_FOR_S}
            asked = frozenset(lanes)
            free = asked - self._taken - self._left_at.keys()
            self._taken |= free
            self._wanted = asked - free
        return Turn(free, self._planned)

    def leave_to_claiming(self, lanes: Iterable[Lane]) -> None:
        """There is something to claim in these now."""
        with self._lock:
            self._left_at |= dict.fromkeys(lanes, time.monotonic())

    def claim_in(self, lanes: Iterable[Lane]) -> Turn:
        """Take the lanes among these in which nothing is being planned just now."""
        with self._lock:
            free = frozenset(lanes) - self._taken
            self._taken |= free
        return Turn(free, self._claimed)

    def _planned(self, lanes: frozenset[Lane]) -> None:
        with self._lock:
            self._taken -= lanes

    def _claimed(self, lanes: frozenset[Lane]) -> None:
        with self._lock:
            self._taken -= lanes
            for lane in lanes:
                self._left_at.pop(lane, None)
            wanted = bool(lanes & self._wanted)
        if wanted:
            self._planning_may_go_on()
