"""The lanes that this process holds, with their tokens, and its dispatches in flight."""

import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.emails.model import Rank
from mailroom.domain.ids import ClaimId, DispatchId, Lane, ScheduleId, Token
from mailroom.domain.lane_names import SCHEDULE_LANES
from mailroom.watching.lanes import lanes_changed


@dataclass(slots=True)
class _Lane:
    token: Token
    active_at: float  # monotonic
    leaving: bool = (
        False  # nothing more is planned or claimed in it; it is released once none of its dispatches is in flight
    )


@dataclass(slots=True)
class InFlight:
    """Thread-safe. A dispatch is in flight from its claim until its outcome is recorded.

    `always`: lanes that stay held even if idle, because somebody waits for a single mail.
    """

    always: Collection[Lane] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _lanes: dict[Lane, _Lane] = field(default_factory=dict)
    _dispatches: dict[tuple[DispatchId, ClaimId], Claimed] = field(default_factory=dict)
    _bytes: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})  # of the dispatches, by urgency

    def take_lanes(self, tokens: Mapping[Lane, Token], *, at: float) -> None:
        with self._lock:
            for lane, token in tokens.items():
                self._lanes[lane] = _Lane(token, at)
        lanes_changed("taken", len(tokens))

    def drop_lanes(self, lanes: Iterable[Lane], *, change: str = "lost") -> None:
        """`change`: how the lanes that are held are counted (see mailroom/watching/lanes.py)."""
        with self._lock:
            dropped = [self._lanes.pop(lane) for lane in lanes if lane in self._lanes]
        lanes_changed(change, len(dropped))

    def drop_stale(self, stale: Mapping[Lane, Token]) -> None:
        """Drop the lanes that still have their stale token. A lane that was taken again since has a newer one, and
        stays."""
        with self._lock:
            for lane, token in stale.items():
                held = self._lanes.get(lane)
                if held is not None and held.token == token:
                    del self._lanes[lane]
                    lanes_changed("lost", 1)

    def drop_all_lanes(self) -> None:
        with self._lock:
            lanes_changed("lost", len(self._lanes))
            self._lanes.clear()

    def tokens(self) -> dict[Lane, Token]:
        with self._lock:
            return {lane: held.token for lane, held in self._lanes.items()}

    def lanes_held(self) -> int:
        with self._lock:
            return len(self._lanes)

    def schedules(self) -> dict[ScheduleId, Token]:
        """The tokens of the held lanes of schedules, by schedule, without lanes that are being left."""
        return {
            ScheduleId(lane.removeprefix(SCHEDULE_LANES)): token
            for lane, token in self.claimable_tokens().items()
            if lane.startswith(SCHEDULE_LANES)
        }

    def note_activity(self, lanes: Iterable[Lane], *, at: float) -> None:
        with self._lock:
            for lane in lanes:
                if lane in self._lanes:
                    self._lanes[lane].active_at = at

    def idle_lanes(self, *, before: float) -> list[Lane]:
        """Lanes without activity since `before` and without a dispatch in flight, except those of `always`."""
        with self._lock:
            busy = self._busy()
            return [
                lane
                for lane, held in self._lanes.items()
                if held.active_at < before and lane not in busy and lane not in self.always
            ]

    def mail_lanes(self) -> list[Lane]:
        """The held lanes of `always`, without lanes that are being left."""
        with self._lock:
            return [lane for lane, held in self._lanes.items() if lane in self.always and not held.leaving]

    def leave(self, lanes: Iterable[Lane]) -> None:
        """Plan and claim nothing more in these lanes."""
        with self._lock:
            for lane in lanes:
                if lane in self._lanes:
                    self._lanes[lane].leaving = True

    def left_lanes(self) -> list[Lane]:
        """The lanes being left that have no dispatch in flight any more."""
        with self._lock:
            busy = self._busy()
            return [lane for lane, held in self._lanes.items() if held.leaving and lane not in busy]

    def claimable_tokens(self) -> dict[Lane, Token]:
        """The tokens of the lanes in which dispatches may be claimed: all held lanes that are not being left."""
        with self._lock:
            return {lane: held.token for lane, held in self._lanes.items() if not held.leaving}

    def _busy(self) -> set[Lane]:
        return {dispatch.claim.lane for dispatch in self._dispatches.values()}

    def take(self, claimed: Iterable[Claimed]) -> None:
        """Note that these claims are in flight. Each claim is taken once."""
        with self._lock:
            for dispatch in claimed:
                self._dispatches[dispatch.id, dispatch.claim.id] = dispatch
                self._bytes[dispatch.rank is Rank.HIGH] += dispatch.size

    def done(self, claimed: Iterable[Claimed]) -> None:
        """Note that these claims are no longer in flight. The same dispatch under a newer claim still is."""
        with self._lock:
            for dispatch in claimed:
                if known := self._dispatches.pop((dispatch.id, dispatch.claim.id), None):
                    self._bytes[known.rank is Rank.HIGH] -= known.size

    def claims_in_hand(self) -> frozenset[ClaimId]:
        with self._lock:
            return frozenset(claim for _, claim in self._dispatches)

    def bytes_in_hand(self, *, urgent: bool) -> int:
        """Bytes of bodies and files of the dispatches in flight: of high priority if `urgent`, else of all others."""
        with self._lock:
            return self._bytes[urgent]

    def in_hand(self) -> int:
        with self._lock:
            return len(self._dispatches)
