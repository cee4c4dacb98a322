"""The one thread that takes lanes, plans and claims. `step` does one round and says whether there may be more.

All of this is one thread on purpose: what is claimed here is in hand before anything here can call it abandoned.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from mailroom.assembly import SenderServices
from mailroom.domain.errors import StaleToken, StoreRestored, Unavailable
from mailroom.domain.ids import Lane, Token, schedule_lane
from mailroom.services.common.clock import Clocks
from mailroom.services.dispatching.take_over import take_over
from mailroom.services.planning import plan
from sender.claimer import Claimer
from sender.in_flight import InFlight
from sender.lanes import Lanes
from sender.presence import Presence
from sender.restore_guard import RestoreGuard

log = structlog.get_logger()
_LOOK_FOR_RUNS_S: Final = 0.05
_TAKE_OVER_S: Final = 1.0
_RESTS_AFTER_S: Final = 2.0


class Loop:
    def __init__(
        self,
        services: SenderServices,
        in_flight: InFlight,
        lanes: Lanes,
        guard: RestoreGuard,
        claimer: Claimer,
        *,
        sender: str,
    ) -> None:
        self._services, self._in_flight, self._sender = services, in_flight, sender
        self._lanes, self._guard, self._claimer = lanes, guard, claimer
        self._clocks, self._presence = Clocks(services.db), Presence(services, in_flight, sender=sender)
        self._plan_at = self._judged_at = 0.0
        self._completed_at = self._worked_at = time.monotonic()
        first = next(iter(services.adapters.values()))
        self._batch_size = min(services.settings.sending.batch_size, first.max_recipients)

    def step(self) -> bool:
        """One round. True if there may be more to do at once. Raises Unavailable."""
        if not self._services.leases.held:
            self._lanes.begin_anew()
        self._lanes.reconcile_now_and_then()
        if self._guard.is_held():
            self._lanes.give_back_all()
            self._completed_at = time.monotonic()
            return False
        self._lanes.enter_anew()
        clocks = self._clocks.read()
        duties = [self._take_share, self._take_lanes, self._take_over, self._claimer.send, self._give_back]
        if clocks.trustworthy:
            duties.insert(2, self._plan)
        else:
            log.error("host_clock_is_off", ahead_s=round(clocks.host_ahead.total_seconds(), 2), plans="nothing")
        worked = sum([self._do(duty, clocks.now) for duty in duties])
        self._presence.check_in()
        self._completed_at = time.monotonic()
        if worked:
            self._worked_at = self._completed_at
        return worked > 0

    @property
    def resting(self) -> bool:
        """True if no schedule's lane is held, none of which was taken ahead, and nothing was done for a while."""
        return not self._in_flight.schedules() and time.monotonic() - self._worked_at > _RESTS_AFTER_S

    def idle_s(self) -> float:
        """For how long no round was completed. Any thread may ask."""
        return time.monotonic() - self._completed_at

    def _do(self, duty: Callable[[datetime], int], now: datetime) -> int:
        """One duty; a lane lost in it, or a bug, must not keep the others from being done. Raises Unavailable."""
        try:
            return duty(now)
        except StaleToken as error:
            log.warning("lane_lost", lane=error.lane, token=error.token)
            self._in_flight.drop_stale({Lane(error.lane): Token(error.token)})
            return 1
        except StoreRestored as error:
            log.warning("nothing_decided", why=str(error))
            self._guard.look_anew()
            return 1
        except Unavailable:
            self._guard.look_anew()  # what comes back may be an older copy
            raise
        except Exception:
            # Everything in hand is guarded by its claim and its fence, so going on is sound; say it loudly.
            log.exception("duty_failed", duty=duty.__name__)
            return 0

    def _take_share(self, now: datetime) -> int:
        return self._taken(self._lanes.take_share(now))

    def _take_lanes(self, now: datetime) -> int:
        return self._taken(self._lanes.take_wanted(now))

    def _taken(self, count: int) -> int:
        if count:
            self._judged_at = 0.0  # what these lanes' last holder left behind is judged first
        return count

    def _plan(self, now: datetime) -> int:
        held = self._in_flight.schedules()
        if not held or time.monotonic() < self._plan_at:
            return 0
        done = plan.Progress()
        if not self._guard.on_hold.everything:
            done += plan.plan_due(self._services.db, held, mark=self._guard.mark, now=now)
        done += plan.expand(
            self._services.db, held, batch_size=self._batch_size, now=now, remembers=self._guard.remembers
        )
        at = time.monotonic()
        self._plan_at = at if done.moved else at + _LOOK_FOR_RUNS_S
        self._in_flight.note_activity(map(schedule_lane, done.moved), at=at)
        for lane in map(schedule_lane, done.broken):
            self._lanes.set_aside(lane)  # a schedule that cannot be planned waits
        return len(done.moved)

    def _take_over(self, _now: datetime) -> int:
        """Judge what stands in `sending` in our lanes and is not in our hands."""
        if time.monotonic() - self._judged_at < _TAKE_OVER_S:
            return 0
        self._judged_at = time.monotonic()
        held = self._in_flight.tokens()
        if not held:
            return 0
        in_hand = self._in_flight.claims_in_hand()
        return take_over(self._services.db, self._services.fences, held, in_hand, sender=self._sender)

    def _give_back(self, _now: datetime) -> int:
        self._lanes.give_back_idle()
        return 0
