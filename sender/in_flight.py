"""Lanes and dispatches of this process at this moment: its lanes with their tokens, and what is in flight in them."""

import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.emails.model import Rank
from mailroom.domain.ids import SCHEDULE_LANES, ClaimId, DispatchId, Lane, ScheduleId, Token


@dataclass(slots=True)
class _Lane:
    token: Token
    active_at: float  # monotonic
    leaving: bool = False  # nothing more is claimed in it; it is given back once nothing of it is in hand


@dataclass(slots=True)
class InFlight:
    """Thread-safe. A dispatch is in hand from before its fence is crossed until its outcome is written down.

    `always` are lanes that are kept, idle or not: somebody waits for a single mail.
    """

    always: Collection[Lane] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _lanes: dict[Lane, _Lane] = field(default_factory=dict)
    _dispatches: dict[tuple[DispatchId, ClaimId], Claimed] = field(default_factory=dict)

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
        """The tokens of the held lanes of schedules, by schedule; but of none that is being left."""
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
        """Lanes in which nothing was done since `before` and of which no dispatch is in hand."""
        with self._lock:
            busy = self._busy()
            return [
                lane
                for lane, held in self._lanes.items()
                if held.active_at < before and lane not in busy and lane not in self.always
            ]

    def mail_lanes(self) -> list[Lane]:
        """Those of the lanes to be always kept that are held."""
        with self._lock:
            return [lane for lane, held in self._lanes.items() if lane in self.always and not held.leaving]

    def leave(self, lanes: Iterable[Lane]) -> None:
        """Claim nothing more in these lanes."""
        with self._lock:
            for lane in lanes:
                if lane in self._lanes:
                    self._lanes[lane].leaving = True

    def left_lanes(self) -> list[Lane]:
        """Those of the lanes being left of which nothing is in hand any more."""
        with self._lock:
            busy = self._busy()
            return [lane for lane, held in self._lanes.items() if held.leaving and lane not in busy]

    def claimable_tokens(self) -> dict[Lane, Token]:
        """The tokens of the lanes in which something may be claimed."""
        with self._lock:
            return {lane: held.token for lane, held in self._lanes.items() if not held.leaving}

    def _busy(self) -> set[Lane]:
        return {dispatch.claim.lane for dispatch in self._dispatches.values()}

    def take(self, claimed: Iterable[Claimed]) -> None:
        with self._lock:
            for dispatch in claimed:
                self._dispatches[dispatch.id, dispatch.claim.id] = dispatch

    def done(self, claimed: Iterable[Claimed]) -> None:
        """These claims are no longer in flight; the same dispatch under a newer claim still is."""
        with self._lock:
            for dispatch in claimed:
                self._dispatches.pop((dispatch.id, dispatch.claim.id), None)

    def claims_in_hand(self) -> frozenset[ClaimId]:
        with self._lock:
            return frozenset(claim for _, claim in self._dispatches)

    def bytes_in_hand(self, *, urgent: bool) -> int:
        """Of the bodies of single mails, those of high priority or the others."""
        with self._lock:
            return sum(one.size for one in self._dispatches.values() if (one.rank is Rank.HIGH) is urgent)

    def in_hand(self) -> int:
        with self._lock:
            return len(self._dispatches)
