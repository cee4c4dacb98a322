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
    """Thread-safe; no method waits. After a chunk planning yields some lanes to claiming, for 0.1 s at most: those in
    which it wrote something that may go already, and those that a claim passed over meanwhile. Their mail goes out
    while the next chunk is being composed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claiming: frozenset[Lane] = frozenset()
        self._planning: frozenset[Lane] = frozenset()
        self._yielded_at: dict[Lane, float] = {}  # by planning, on the monotonic clock
        self._passed_over: set[Lane] = set()  # by claiming, since planning took them
        self._wanted: set[Lane] = set()  # by planning, which did not get them
        self._wake_planning: Callable[[], None] = lambda: None

    def on_lanes_free(self, wake: Callable[[], None]) -> None:
        """`wake` is called, by the thread that claims, when a claim ends in a lane that planning did not get."""
        self._wake_planning = wake

    def plan_in(self, lanes: Iterable[Lane]) -> Turn:
        """Take those of these lanes in which nothing is being claimed, and which planning does not yield. The
        caller ends this turn before it calls `plan_in` again."""
        with self._lock:
            now = time.monotonic()
            self._yielded_at = {lane: at for lane, at in self._yielded_at.items() if now - at < _YIELD_S}
            asked = frozenset(lanes)
            self._planning = asked - self._claiming - self._yielded_at.keys()
            self._wanted = (self._wanted | asked) - self._planning
            return Turn(self._planning, self._end_planning)

    def yield_to_claiming(self, lanes: Iterable[Lane]) -> None:
        """There is something to claim in these now: `plan_in` passes over them until a claim in them ends, or 0.1 s."""
        with self._lock:
            self._yielded_at |= dict.fromkeys(lanes, time.monotonic())

    @property
    def being_planned(self) -> frozenset[Lane]:
        """The lanes in which something is being planned just now: `claim_in` does not get them."""
        return self._planning

    def pass_over(self, lanes: Iterable[Lane]) -> None:
        """Note those of these lanes that are being planned: something waits there, so planning yields them when its
        turn ends."""
        with self._lock:
            self._passed_over |= self._planning.intersection(lanes)

    def claim_in(self, lanes: Iterable[Lane]) -> Turn:
        """Take the lanes among these in which nothing is being planned just now. The caller ends this turn before
        it calls `claim_in` again."""
        with self._lock:
            asked = frozenset(lanes)
            self._claiming = asked - self._planning
            self._passed_over |= asked & self._planning
            return Turn(self._claiming, self._end_claiming)

    def _end_planning(self, lanes: frozenset[Lane]) -> None:
        with self._lock:
            self._planning = frozenset()
            self._yielded_at |= dict.fromkeys(self._passed_over & lanes, time.monotonic())
            self._passed_over.clear()

    def _end_claiming(self, lanes: frozenset[Lane]) -> None:
        with self._lock:
            self._claiming = frozenset()
            for lane in lanes:
                self._yielded_at.pop(lane, None)
            wanted = bool(lanes & self._wanted)
            self._wanted -= lanes
        if wanted:
            self._wake_planning()
