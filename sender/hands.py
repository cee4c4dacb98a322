"""What this process holds at this moment: its lanes with their tokens, and the dispatches in its hands."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mailroom.domain.dispatches import Claimed
from mailroom.domain.ids import ClaimId, DispatchId, Lane, ScheduleId, Token


@dataclass(slots=True)
class _Lane:
    token: Token
    active_at: float  # monotonic


@dataclass(slots=True)
class Hands:
    """Thread-safe. A dispatch is in hand from before its fence is crossed until its outcome is written down."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _lanes: dict[Lane, _Lane] = field(default_factory=dict)
    _dispatches: dict[tuple[DispatchId, ClaimId], Lane] = field(default_factory=dict)

    def take_lanes(self, tokens: Mapping[Lane, Token], *, at: float) -> None:
        with self._lock:
            for lane, token in tokens.items():
                self._lanes[lane] = _Lane(token, at)

    def drop_lanes(self, lanes: Iterable[Lane]) -> None:
        with self._lock:
            for lane in lanes:
                self._lanes.pop(lane, None)

    def drop_stale(self, stale: Mapping[Lane, Token]) -> None:
        """Drop lanes whose token is still the stale one; one that was taken anew since is ours."""
        with self._lock:
            for lane, token in stale.items():
                held = self._lanes.get(lane)
                if held is not None and held.token == token:
                    del self._lanes[lane]

    def drop_all_lanes(self) -> None:
        with self._lock:
            self._lanes.clear()

    def tokens(self) -> dict[Lane, Token]:
        with self._lock:
            return {lane: held.token for lane, held in self._lanes.items()}

    def schedules(self) -> dict[ScheduleId, Token]:
        """The tokens of the held lanes of schedules, by schedule."""
        prefix = "schedule/"
        return {
            ScheduleId(lane.removeprefix(prefix)): token
            for lane, token in self.tokens().items()
            if lane.startswith(prefix)
        }

    def note_activity(self, lanes: Iterable[Lane], *, at: float) -> None:
        with self._lock:
            for lane in lanes:
                if lane in self._lanes:
                    self._lanes[lane].active_at = at

    def idle_lanes(self, *, before: float) -> list[Lane]:
        """Lanes in which nothing was done since `before` and of which no dispatch is in hand."""
        with self._lock:
            busy = set(self._dispatches.values())
            return [lane for lane, held in self._lanes.items() if held.active_at < before and lane not in busy]

    def take(self, claimed: Iterable[Claimed]) -> None:
        with self._lock:
            for dispatch in claimed:
                self._dispatches[dispatch.id, dispatch.claim.id] = dispatch.claim.lane

    def put_down(self, claimed: Iterable[Claimed]) -> None:
        """Put down these claims; the same dispatch under a newer claim stays in hand."""
        with self._lock:
            for dispatch in claimed:
                self._dispatches.pop((dispatch.id, dispatch.claim.id), None)

    def claims_in_hand(self) -> frozenset[ClaimId]:
        with self._lock:
            return frozenset(claim for _, claim in self._dispatches)

    def in_hand(self) -> int:
        with self._lock:
            return len(self._dispatches)
