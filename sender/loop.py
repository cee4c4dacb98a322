"""The one thread that takes lanes and claims. `step` does one round and returns whether there may be more to do.

All of this is one thread on purpose: a claim made here is in flight before a take-over here could judge it abandoned.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from mailroom.assembly.sender import SenderServices
from mailroom.domain.lane_names import MAIL_LANES
from mailroom.services.common.clock import Clocks
from mailroom.services.dispatching.elsewhere import move_elsewhere
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.dispatching.take_over import take_over
from sender.claimer import Claimer
from sender.in_flight import InFlight
from sender.lanes import Lanes
from sender.planner import Planner
from sender.presence import Presence
from sender.restore_guard import RestoreGuard
from sender.run_duty import run_duty

_SLOW_STEP_S: Final = 1.0  # well below the time after which a lane is idle
_TAKE_OVER_S: Final = 1.0
_MOVE_S: Final = 1.0


class Loop:
    def __init__(
        self,
        services: SenderServices,
        in_flight: InFlight,
        lanes: Lanes,
        guard: RestoreGuard,
        claimer: Claimer,
        planner: Planner,
        presence: Presence,
        clocks: Clocks,
        *,
        sender: str,
        taken: Callable[[], None],
    ) -> None:
        """`taken`: called after lanes were taken; there may be something to plan or to fetch."""
        self._services, self._in_flight, self._sender = services, in_flight, sender
        self._lanes, self._guard, self._claimer, self._planner = lanes, guard, claimer, planner
        self._presence, self._clocks, self._on_taken = presence, clocks, taken
        self._judged_at = self._move_at = 0.0
        self._completed_at = time.monotonic()

    def step(self, *, resting: bool = False) -> bool:
        """One round. True if there may be more to do at once. `resting`: no lane has work (see rest.py), so none is
        looked for, and keys and lanes are not compared. Raises Unavailable."""
        if not self._services.leases.held:
            self._lanes.replace_lease()
        if not resting:
            self._lanes.reconcile_if_due()
        if self._guard.is_held():
            self._lanes.give_back_all()
            self._presence.check_in()
            self._completed_at = time.monotonic()
            return False
        self._lanes.reenter()
        self._lanes.set_aside_broken()
        now = self._clocks.read().now
        duties = [self._take_share, self._take_lanes, self._take_over, self._move_elsewhere]
        duties += [self._claimer.send, self._give_back]
        if resting:  # what is unknown is no work, but may go elsewhere after a time
            duties = [self._take_share, self._move_elsewhere]
        worked = sum([self._do(duty, now) for duty in duties])
        self._presence.check_in()
        self._completed_at = time.monotonic()
        return worked > 0

    def idle_s(self) -> float:
        """Seconds since the last completed round. Thread-safe."""
        return time.monotonic() - self._completed_at

    def _do(self, duty: Callable[[datetime], int], now: datetime) -> int:
        return run_duty(duty, now, in_flight=self._in_flight, guard=self._guard)

    def _take_share(self, now: datetime) -> int:
        return self._taken(self._lanes.take_share(now))

    def _take_lanes(self, now: datetime) -> int:
        return self._taken(self._lanes.take_wanted(now))

    def _taken(self, count: int) -> int:
        if count:
            self._judged_at = 0.0  # dispatches that the last holder of these lanes left behind are judged first
            self._on_taken()
        return count

    def _take_over(self, _now: datetime) -> int:
        """Judge the dispatches in `sending` in our lanes whose claims are not in flight here."""
        if time.monotonic() - self._judged_at < _TAKE_OVER_S:
            return 0
        self._judged_at = time.monotonic()
        held = self._in_flight.tokens()
        if not held:
            return 0
        in_flight = self._in_flight.claims_in_hand()
        return take_over(LaneWork(self._services.db, self._services.fences, held, self._sender), in_flight)

    def _move_elsewhere(self, now: datetime) -> int:
        """Have single mails in doubt go by another provider, where their callers chose that."""
        if time.monotonic() < self._move_at:
            return 0
        self._move_at = time.monotonic() + _MOVE_S
        held = {lane: token for lane, token in self._in_flight.tokens().items() if lane.startswith(MAIL_LANES)}
        if not held or self._guard.on_hold.everything:
            return 0
        work = LaneWork(self._services.db, self._services.fences, held, self._sender)
        return move_elsewhere(work, list(self._services.adapters), now=now)

    def _give_back(self, _now: datetime) -> int:
        """Give idle lanes back, but not while a step of planning takes more than a second: its lanes count as active
        only from the beginning of their turn, and a chunk may take longer to write than an idle lane is kept."""
        if self._planner.busy_s < _SLOW_STEP_S:
            self._lanes.give_back_idle()
        return 0
