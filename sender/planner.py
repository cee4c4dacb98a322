"""The thread that plans: it decides what is due in the lanes of schedules, and writes the messages of their runs.

It is separate from the loop: a password reset is claimed while a chunk of a large run is composed and stored. Every
transaction here is guarded by the lanes' tokens, so a lane that is lost during a step stores nothing more.
"""

import random
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from datetime import datetime, timedelta
from typing import Final

import structlog

from mailroom.assembly.sender import SenderServices
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import Lane, RunId, ScheduleId, Token, schedule_of_run
from mailroom.domain.lane_names import schedule_lane
from mailroom.services.common.clock import Clocks
from mailroom.services.planning import plan
from mailroom.services.planning.composing import ChunkComposer
from mailroom.services.planning.progress import Progress
from sender.in_flight import InFlight
from sender.lane_turns import LaneTurns
from sender.restore_guard import RestoreGuard
from sender.run_duty import run_duty

log = structlog.get_logger()
_NEXT_TURN_S: Final = 0.05  # between steps while something waits for its turn
_LOOK: Final = timedelta(seconds=0.25)  # between steps while lanes of schedules are held, and none of them is due
_NO_LANES_S: Final = 3.0  # between steps while none is held; taking one wakes the planner
_AWAY_S: Final = 1.0  # after a store was away, with jitter, or after a fault


class Planner:
    def __init__(
        self,
        services: SenderServices,
        in_flight: InFlight,
        guard: RestoreGuard,
        turns: LaneTurns,
        *,
        planned: Callable[[datetime], None],
        broken: Callable[[Lane], None],
    ) -> None:
        """`planned`: called after each turn that planned something that may go already, with the earliest time from
        which on something of it may go. `broken`: called for each lane whose schedule cannot be planned."""
        self._services, self._in_flight, self._guard, self._turns = services, in_flight, guard, turns
        self._planned, self._broken = planned, broken
        self._clocks = Clocks(services.db)
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="composer")
        self._composer, self._restored_at = ChunkComposer(services.db, ahead=self._ahead), guard.seen.restored_at
        self._batch_size = _batch_size(services)
        self._woken = threading.Event()
        turns.on_lanes_free(self.wake)
        self._pause_s = _NEXT_TURN_S  # after the last step, if that moved nothing on
        self._ending = False
        self._began_at: float | None = None  # the step under way, on the monotonic clock
        self._completed_at = time.monotonic()
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="planner", daemon=True)

    def start(self) -> None:
        self._completed_at = time.monotonic()
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False if the thread has died of a bug; this process must end."""
        return self._thread.is_alive()

    @property
    def busy_s(self) -> float:
        """Seconds since the step under way began; 0 between two steps. Thread-safe."""
        began_at = self._began_at
        return 0.0 if began_at is None else time.monotonic() - began_at

    def idle_s(self) -> float:
        """Seconds since the last completed step. Thread-safe."""
        return time.monotonic() - self._completed_at

    def wake(self) -> None:
        """Begin the next step at once: there may be something to plan. Thread-safe."""
        self._woken.set()

    def end(self) -> None:
        """Begin no step and take no turn any more; a turn under way goes on. Thread-safe."""
        self._ending = True
        self._woken.set()

    def finish(self, *, within_s: float) -> None:
        """After `end`: wait for the turn under way. If it takes longer, its open transaction ends with the process and
        stores nothing; the next holder goes on from what was committed before."""
        self._thread.join(within_s)
        if not self._thread.is_alive():  # a turn under way may still have a chunk composed ahead
            self._ahead.shutdown(wait=False, cancel_futures=True)

    def step(self) -> bool:
        """Decide what is due, then write the next chunk of the small runs and of the large run that is due longest, in
        held lanes in which nothing is being claimed. True if there may be more to do at once. Raises Unavailable."""
        self._began_at = time.monotonic()
        try:
            worked = self._step()
        finally:
            self._began_at = None
        self._completed_at = time.monotonic()
        return worked

    def _step(self) -> bool:
        self._pause_s = _NEXT_TURN_S
        held = self._in_flight.schedules()
        if not (held and self._guard.is_fresh):
            return False
        clocks = self._clocks.read()
        if not clocks.trustworthy:
            log.error("host_clock_is_off", ahead_s=round(clocks.host_ahead.total_seconds(), 2), plans="nothing")
            return False

        def plan_lanes(now: datetime) -> int:
            return self._plan(held, now)

        return run_duty(plan_lanes, clocks.now, in_flight=self._in_flight, guard=self._guard) > 0

    def _plan(self, held: Mapping[ScheduleId, Token], now: datetime) -> int:
        """Returns in how many lanes something moved on."""
        services, seen = self._services, self._guard.seen
        if self._restored_at != seen.restored_at:  # what is written since may have the names of what was lost
            self._composer, self._restored_at = ChunkComposer(services.db, ahead=self._ahead), seen.restored_at
        progress = Progress()
        if not self._guard.on_hold.everything:
            progress += plan.plan_due(services.db, held, mark=seen.mark, now=now, take_turn=self._turn_in)
        progress += plan.expand(
            services.db,
            held,
            batch_size=self._batch_size,
            shares=services.shares,
            now=now,
            seen=seen,
            composer=self._composer,
            take_turn=self._turn_in,
            last=self._guard.on_hold.runs,
            announce=self._announce,
        )
        self._in_flight.note_activity(map(schedule_lane, progress.moved), at=time.monotonic())
        for id_ in progress.broken:
            self._broken(schedule_lane(id_))
        if not (progress.moved or progress.left):
            until_due = plan.until_next_due(services.db, held, now=now, most=_LOOK)
            # `now` is the time at the beginning of the step.
            passed_s = self.busy_s if until_due < _LOOK else 0.0
            self._pause_s = max(0.0, until_due.total_seconds() - passed_s)
        return len(progress.moved)

    @contextmanager
    def _turn_in(self, schedules: Collection[ScheduleId]) -> Iterator[Collection[ScheduleId]]:
        """A turn in the lanes of these schedules. A lane with a turn is active: it is not given back meanwhile."""
        if self._ending:
            yield ()
            return
        with self._turns.plan_in(map(schedule_lane, schedules)) as turn:
            self._in_flight.note_activity(turn.lanes, at=time.monotonic())
            yield {id_ for id_ in schedules if schedule_lane(id_) in turn.lanes}

    def _announce(self, claimable_since: Mapping[RunId, datetime]) -> None:
        """Yield the lanes in which something may go already, so that it is claimed before the next chunk."""
        going = {run: at for run, at in claimable_since.items() if run not in self._guard.on_hold.runs}
        if going:
            self._turns.yield_to_claiming(schedule_lane(schedule_of_run(run)) for run in going)
            self._planned(min(going.values()))

    def _run(self) -> None:
        while not self._ending:
            try:
                pause_s = 0.0 if self.step() else self._pause_s if self._in_flight.schedules() else _NO_LANES_S
            except Unavailable as error:
                log.warning("planning_waits", error=str(error))
                pause_s = _AWAY_S * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
            except Exception:
                # Each transaction of planning is guarded by its lanes' tokens, so it is safe to go on.
                log.exception("planning_failed")
                pause_s = _AWAY_S
            if pause_s:
                self._woken.wait(pause_s)
            self._woken.clear()


def _batch_size(services: SenderServices) -> int:
    """The most mails of one call: as many as the first provider carries, or with shares a provider that has one. For a
    provider with smaller batches they are divided."""
    adapters = services.adapters
    carriers = services.shares.providers or [next(iter(adapters))]
    carried = max(adapters[name].max_recipients for name in carriers)
    return min(services.settings.sending.batch_size, carried)
