"""The one thread that takes lanes, plans and claims. `step` does one round and says whether there may be more.

All of this is one thread on purpose: what is claimed here is in hand before anything here can call it abandoned.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from mailroom.assembly import Back
from mailroom.domain.errors import StaleToken, StoreRestored, Unavailable
from mailroom.domain.ids import Lane, Token, schedule_lane
from mailroom.services.common.clock import Clocks
from mailroom.services.dispatching.take_over import take_over
from mailroom.services.planning import plan
from sender.feed import Feed
from sender.hands import Hands
from sender.holding import Holding
from sender.lanes import Lanes
from sender.presence import Presence

log = structlog.get_logger()
_LOOK_FOR_RUNS_S: Final = 0.05
_TAKE_OVER_S: Final = 1.0
_RESTS_AFTER_S: Final = 2.0


class Pump:
    def __init__(self, back: Back, hands: Hands, lanes: Lanes, holding: Holding, feed: Feed, *, sender: str) -> None:
        self._back, self._hands, self._sender = back, hands, sender
        self._lanes, self._holding, self._feed = lanes, holding, feed
        self._clocks, self._presence = Clocks(back.db), Presence(back, hands, sender=sender)
        self._plan_at = self._judged_at = 0.0
        self._completed_at = self._worked_at = time.monotonic()
        first = next(iter(back.adapters.values()))
        self._batch_size = min(back.settings.sending.batch_size, first.max_recipients)

    def step(self) -> bool:
        """One round. True if there may be more to do at once. Raises Unavailable."""
        if not self._back.leases.held:
            self._lanes.begin_anew()
        self._lanes.reconcile_now_and_then()
        if self._holding.is_held():
            self._lanes.give_back_all()
            self._completed_at = time.monotonic()
            return False
        self._lanes.enter_anew()
        clocks = self._clocks.read()
        duties = [self._take_share, self._take_lanes, self._take_over, self._feed.send, self._give_back]
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
        return not self._hands.schedules() and time.monotonic() - self._worked_at > _RESTS_AFTER_S

    def idle_s(self) -> float:
        """For how long no round was completed. Any thread may ask."""
        return time.monotonic() - self._completed_at

    def _do(self, duty: Callable[[datetime], int], now: datetime) -> int:
        """One duty; a lane lost in it, or a bug, must not keep the others from being done. Raises Unavailable."""
        try:
            return duty(now)
        except StaleToken as error:
            log.warning("lane_lost", lane=error.lane, token=error.token)
            self._hands.drop_stale({Lane(error.lane): Token(error.token)})
            return 1
        except StoreRestored as error:
            log.warning("nothing_decided", why=str(error))
            self._holding.look_anew()
            return 1
        except Unavailable:
            self._holding.look_anew()  # what comes back may be an older copy
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
        held = self._hands.schedules()
        if not held or time.monotonic() < self._plan_at:
            return 0
        done = plan.Progress()
        if not self._holding.on_hold.everything:
            done += plan.plan_due(self._back.db, held, mark=self._holding.mark, now=now)
        done += plan.expand(
            self._back.db, held, batch_size=self._batch_size, now=now, remembers=self._holding.remembers
        )
        at = time.monotonic()
        self._plan_at = at if done.moved else at + _LOOK_FOR_RUNS_S
        self._hands.note_activity(map(schedule_lane, done.moved), at=at)
        for lane in map(schedule_lane, done.broken):
            self._lanes.set_aside(lane)  # a schedule that cannot be planned waits
        return len(done.moved)

    def _take_over(self, _now: datetime) -> int:
        """Judge what stands in `sending` in our lanes and is not in our hands."""
        if time.monotonic() - self._judged_at < _TAKE_OVER_S:
            return 0
        self._judged_at = time.monotonic()
        held = self._hands.tokens()
        if not held:
            return 0
        in_hand = self._hands.claims_in_hand()
        return take_over(self._back.db, self._back.fences, held, in_hand, sender=self._sender)

    def _give_back(self, _now: datetime) -> int:
        self._lanes.give_back_idle()
        return 0
