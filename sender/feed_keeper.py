"""The thread that gives runs their feeds, and a bounded number of threads that fetch.

It is separate from the loop and the planner: a feed takes as long as its server takes, and no other run waits for it.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextvars import copy_context
from datetime import timedelta
from typing import Final

import structlog

from mailroom.assembly.sender import SenderServices
from mailroom.domain.errors import StaleToken, StoreRestored, Unavailable
from mailroom.domain.ids import Lane, RunId
from mailroom.domain.lane_names import schedule_lane
from mailroom.services.common.clock import server_now
from mailroom.services.planning import feeds
from mailroom.services.planning.feeds import AwaitedFeed, Holding
from sender.in_flight import InFlight

log = structlog.get_logger()
_LOOK_S: Final = 0.25
_NO_LANES_S: Final = 3.0  # between looks while no lane of a schedule is held; taking one wakes the thread
_AWAY_S: Final = 2.0
_LOOKED_AT: Final = 500  # runs that wait, in one look
_MOST: Final = 8  # fetches at once
_MOST_OF_A_PLACE: Final = 2  # so that a server that hangs keeps no other feed waiting
_AFTER_A_BUG: Final = timedelta(minutes=1)


class FeedKeeper:
    """`mark`: the mark of MongoDB that this sender has seen, for decisions (see restore_guard)."""

    def __init__(self, services: SenderServices, in_flight: InFlight, *, mark: Callable[[], int]) -> None:
        self._services, self._in_flight, self._mark = services, in_flight, mark
        self._lock = threading.Lock()
        self._under_way: dict[RunId, AwaitedFeed] = {}
        self._stop, self._woken = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="feeds", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Look at once: a lane was taken, and a run of it may wait for a feed. Thread-safe."""
        self._woken.set()

    def finish(self, *, within_s: float) -> None:
        """Begin no more fetches. One under way may be cut off: its copy is whole, or not there."""
        self._stop.set()
        self._woken.set()
        self._thread.join(within_s)

    def step(self) -> int:
        """Begin fetches for the runs that wait, as many as there is room for. Returns how many. Raises Unavailable."""
        with self._lock:
            under_way = dict(self._under_way)
        at_work = [schedule_lane(awaited.run.schedule_id) for awaited in under_way.values()]
        self._in_flight.note_activity(at_work, at=time.monotonic())
        held = self._in_flight.schedules()
        if not held or len(under_way) >= _MOST:
            return 0
        db = self._services.db
        waiting = feeds.awaited(db, held, now=server_now(db), limit=_LOOKED_AT)
        by_place = Counter(awaited.url.place for awaited in under_way.values())
        begun = 0
        for awaited in waiting:
            place, schedule = awaited.url.place, awaited.run.schedule_id
            if awaited.run.id in under_way or by_place[place] >= _MOST_OF_A_PLACE:
                continue
            by_place[place] += 1
            self._begin(awaited, Holding(held[schedule], self._mark()))
            begun += 1
            if len(under_way) + begun >= _MOST:
                break
        return begun

    def _begin(self, awaited: AwaitedFeed, holding: Holding) -> None:
        with self._lock:
            self._under_way[awaited.run.id] = awaited
        context = copy_context()
        threading.Thread(target=context.run, args=(self._provide, awaited, holding), name="feed", daemon=True).start()

    def _provide(self, awaited: AwaitedFeed, holding: Holding) -> None:
        run_id, lane = awaited.run.id, schedule_lane(awaited.run.schedule_id)
        try:
            feeds.provide(self._services.db, self._services.feeds, awaited, holding)
        except StaleToken as error:
            self._in_flight.drop_stale({Lane(error.lane): holding.token})
        except (StoreRestored, Unavailable) as error:
            log.warning("feed_waits", run_id=run_id, why=str(error))
            self._stop.wait(_AWAY_S)  # what cannot be stored is not fetched again at once
        except Exception:
            log.exception("feed_broken", run_id=run_id)
            self._put_off(run_id)
        finally:
            self._in_flight.note_activity([lane], at=time.monotonic())  # the planner plans the run next
            with self._lock:
                self._under_way.pop(run_id, None)

    def _put_off(self, run_id: RunId) -> None:
        """A bug of ours must not be met again at once, and for ever."""
        db = self._services.db
        try:
            feeds.put_off(db, run_id, "an error in Mailroom; see the log", again_at=server_now(db) + _AFTER_A_BUG)
        except Unavailable as error:
            log.warning("feed_waits", run_id=run_id, why=str(error))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.step()
                pause_s = _LOOK_S if self._services.leases.held and self._in_flight.schedules() else _NO_LANES_S
            except Unavailable as error:
                log.warning("feeds_wait", error=str(error))
                pause_s = _AWAY_S
            except Exception:
                # Every decision is one guarded write, so it is safe to go on.
                log.exception("feed_round_failed")
                pause_s = _AWAY_S
            self._woken.wait(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            self._woken.clear()
