"""The one thread that takes lanes, plans and claims. `step` does one round and returns whether there may be more to do.

All of this is one thread on purpose: a claim made here is in flight before a take-over here could judge it abandoned.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final

import structlog

from mailroom.assembly.sender import SenderServices
from mailroom.domain.errors import StaleToken, StoreRestored, Unavailable
from mailroom.domain.ids import Lane, Token
from mailroom.domain.lane_names import MAIL_LANES, schedule_lane
from mailroom.services.common.clock import Clocks
from mailroom.services.dispatching.elsewhere import move_elsewhere
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.dispatching.take_over import take_over
from mailroom.services.planning import plan
from mailroom.services.planning.composing import ChunkComposer
from sender.claimer import Claimer
from sender.in_flight import InFlight
from sender.lanes import Lanes
from sender.presence import Presence
from sender.restore_guard import RestoreGuard

log = structlog.get_logger()
_LOOK_FOR_RUNS_S: Final = 0.05
_TAKE_OVER_S: Final = 1.0
_MOVE_S: Final = 1.0
_RESTS_AFTER_S: Final = 2.0


class Loop:
    def __init__(
        self,
        services: SenderServices,
        in_flight: InFlight,
        lanes: Lanes,
        guard: RestoreGuard,
        claimer: Claimer,
        presence: Presence,
        *,
        sender: str,
    ) -> None:
        self._services, self._in_flight, self._sender = services, in_flight, sender
        self._lanes, self._guard, self._claimer, self._presence = lanes, guard, claimer, presence
        self._clocks = Clocks(services.db)
        self._plan_at = self._judged_at = self._move_at = 0.0
        self._completed_at = self._worked_at = time.monotonic()
        self._batch_size = _batch_size(services)
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="composer")
        self._composer, self._restored_at = ChunkComposer(services.db, ahead=self._ahead), guard.restored_at

    def step(self) -> bool:
        """One round. True if there may be more to do at once. Raises Unavailable."""
        if not self._services.leases.held:
            self._lanes.replace_lease()
        self._lanes.reconcile_if_due()
        if self._guard.is_held():
            self._lanes.give_back_all()
            self._presence.check_in()
            self._completed_at = time.monotonic()
            return False
        self._lanes.reenter()
        clocks = self._clocks.read()
        duties = [self._take_share, self._take_lanes, self._take_over, self._move_elsewhere]
        duties += [self._claimer.send, self._give_back]
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
        """True if no schedule's lane is held, taken ahead or not, and no work was done for a while."""
        return not self._in_flight.schedules() and time.monotonic() - self._worked_at > _RESTS_AFTER_S

    def finish(self) -> None:
        """Compose nothing more ahead."""
        self._ahead.shutdown(wait=False, cancel_futures=True)

    def idle_s(self) -> float:
        """Seconds since the last completed round. Thread-safe."""
        return time.monotonic() - self._completed_at

    def _do(self, duty: Callable[[datetime], int], now: datetime) -> int:
        """Do one duty. Returns how much was done. A lost lane or a bug stops no other duty. Raises Unavailable."""
        try:
            return duty(now)
        except StaleToken as error:
            log.warning("lane_lost", lane=error.lane, token=error.token)
            self._in_flight.drop_stale({Lane(error.lane): Token(error.token)})
            return 1
        except StoreRestored as error:
            log.warning("nothing_decided", why=str(error))
            self._guard.recheck()
            return 1
        except Unavailable:
            self._guard.recheck()  # the MongoDB that comes back may be an older copy
            raise
        except Exception:
            # Every dispatch in flight is guarded by its claim and its fence, so it is safe to go on.
            log.exception("duty_failed", duty=duty.__name__)
            return 0

    def _take_share(self, now: datetime) -> int:
        return self._taken(self._lanes.take_share(now))

    def _take_lanes(self, now: datetime) -> int:
        return self._taken(self._lanes.take_wanted(now))

    def _taken(self, count: int) -> int:
        if count:
            self._judged_at = 0.0  # dispatches that the last holder of these lanes left behind are judged first
        return count

    def _plan(self, now: datetime) -> int:
        held = self._in_flight.schedules()
        if not held or time.monotonic() < self._plan_at:
            return 0
        progress = plan.Progress()
        if not self._guard.on_hold.everything:
            progress += plan.plan_due(self._services.db, held, mark=self._guard.mark, now=now)
        if self._restored_at != self._guard.restored_at:  # what is written since may have the names of what was lost
            self._composer = ChunkComposer(self._services.db, ahead=self._ahead)
            self._restored_at = self._guard.restored_at
        progress += plan.expand(
            self._services.db,
            held,
            batch_size=self._batch_size,
            shares=self._services.shares,
            now=now,
            remembers=self._guard.remembers,
            composer=self._composer,
        )
        at = time.monotonic()
        self._plan_at = at if progress.moved else at + _LOOK_FOR_RUNS_S
        self._in_flight.note_activity(map(schedule_lane, progress.moved), at=at)
        for lane in map(schedule_lane, progress.broken):
            self._lanes.set_aside(lane)  # a schedule that cannot be planned waits
        return len(progress.moved)

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

    def _move_elsewhere(self, _now: datetime) -> int:
        """Have single mails in doubt go by another provider, where their callers chose that."""
        if time.monotonic() < self._move_at:
            return 0
        self._move_at = time.monotonic() + _MOVE_S
        held = {lane: token for lane, token in self._in_flight.tokens().items() if lane.startswith(MAIL_LANES)}
        if not held or self._guard.on_hold.everything:
            return 0
        work = LaneWork(self._services.db, self._services.fences, held, self._sender)
        return move_elsewhere(work, list(self._services.adapters))

    def _give_back(self, _now: datetime) -> int:
        self._lanes.give_back_idle()
        return 0


def _batch_size(services: SenderServices) -> int:
    """The most mails of one call: as many as the first provider carries, or with shares a provider that has one. For a
    provider with smaller batches they are divided."""
    adapters = services.adapters
    carriers = services.shares.providers or [next(iter(adapters))]
    carried = max(adapters[name].max_recipients for name in carriers)
    return min(services.settings.sending.batch_size, carried)
