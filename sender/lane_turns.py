"""Keeps planning and claiming out of each other's lanes.

A transaction of planning and one of claiming write the same lane's document. If they meet, one of them begins again,
and a chunk of a thousand messages costs most to do again. So planning passes over lanes in which something is being
claimed, and claiming over lanes in which something is being planned.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from mailroom.domain.ids import Lane

_YIELD_S: Final = 0.1  # the longest that planning yields: there may be no room for claims


class Turn:
    """The lanes in which its owner may work until `end`, or the end of the `with` block; perhaps none."""

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
    """Thread-safe; no method waits. After a chunk planning yields the lane to claiming, for 0.1 s at most: what was
    planned goes out while the next chunk is being composed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[Lane] = set()
        self._yielded_at: dict[Lane, float] = {}  # by planning, on the monotonic clock
        self._wanted = frozenset[Lane]()  # by planning, which did not get them
        self._wake_planning: Callable[[], None] = lambda: None

    def on_lanes_free(self, wake: Callable[[], None]) -> None:
        """`wake` is called, by the thread that claims, when a claim ends in a lane that planning asked for last and did
        not get."""
        self._wake_planning = wake

    def plan_in(self, lanes: Iterable[Lane]) -> Turn:
        """Take those of these lanes in which nothing is being claimed, and which planning does not yield."""
        with self._lock:
            now = time.monotonic()
            self._yielded_at = {lane: at for lane, at in self._yielded_at.items() if now - at < _YIELD_S}
            asked = frozenset(lanes)
            free = asked - self._taken - self._yielded_at.keys()
            self._taken |= free
            self._wanted = asked - free
        return Turn(free, self._end_planning)

    def yield_to_claiming(self, lanes: Iterable[Lane]) -> None:
        """There is something to claim in these now: `plan_in` passes over them until a claim in them ends, or 0.1 s."""
        with self._lock:
            self._yielded_at |= dict.fromkeys(lanes, time.monotonic())

    def claim_in(self, lanes: Iterable[Lane]) -> Turn:
        """Take the lanes among these in which nothing is being planned just now."""
        with self._lock:
            free = frozenset(lanes) - self._taken
            self._taken |= free
        return Turn(free, self._end_claiming)

    def _end_planning(self, lanes: frozenset[Lane]) -> None:
        with self._lock:
            self._taken -= lanes

    def _end_claiming(self, lanes: frozenset[Lane]) -> None:
        with self._lock:
            self._taken -= lanes
            for lane in lanes:
                self._yielded_at.pop(lane, None)
            wanted = bool(lanes & self._wanted)
        if wanted:
            self._wake_planning()
