"""The one thread that takes lanes, plans, claims and fences. `step` does one round and says whether there may be more.

All of this is one thread on purpose: what is claimed here is in hand before anything here can call it abandoned.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import structlog

from mailroom.assembly import Back
from mailroom.domain.dispatches import Claimed
from mailroom.domain.errors import StaleToken, Unavailable
from mailroom.domain.ids import Lane, Token, schedule_lane
from mailroom.domain.outcomes import Accepted, InDoubt, Refusal, Refused
from mailroom.providers.base import Request
from mailroom.services import claiming, planning, preparing
from mailroom.services.claiming import Waiting
from mailroom.services.recording import Result
from mailroom.services.server_time import read_clocks
from mailroom.services.take_over import take_over
from sender.callers import Callers, Job
from sender.connections import Connections
from sender.hands import Hands
from sender.recorder import Recorder

log = structlog.get_logger()
LANES_A_STEP: Final = 200
LOOK_FOR_LANES_S: Final = 0.1  # lateness is at most about this, and four small questions a look are the price
TAKE_OVER_S: Final = 1.0
LOOK_FOR_ALONE_S: Final = 1.0
SET_ASIDE_S: Final = 60.0
GIVE_BACK_S: Final = 1.5  # a lane with nothing to do is kept this long: its next chunk may be on the way


class Pump:
    def __init__(
        self, back: Back, hands: Hands, connections: Connections, callers: Callers, recorder: Recorder, *, sender: str
    ) -> None:
        self._back, self._hands, self._sender = back, hands, sender
        self._connections, self._callers, self._recorder = connections, callers, recorder
        self._memory = ""  # Redis' identity under which every held lane was entered
        self._look_at = self._judged_at = self._look_for_alone_at = 0.0
        self._set_aside: dict[Lane, float] = {}
        self._most_lanes = back.settings.sending.schedules_per_sender

    def step(self) -> bool:
        """One round. True if there may be more to do at once. Raises Unavailable."""
        if not self._back.leases.held:
            self._begin_anew()
        clocks = read_clocks(self._back.db)
        duties = [self._take_lanes, self._take_over, self._send, self._give_back_idle_lanes]
        if clocks.trustworthy:
            duties.insert(1, self._plan)
        else:
            log.error("host_clock_is_off", ahead_s=round(clocks.host_ahead.total_seconds(), 2), plans="nothing")
        return sum([self._do(duty, clocks.now) for duty in duties]) > 0

    def _do(self, duty: Callable[[datetime], int], now: datetime) -> int:
        """One duty; a lane lost in it, or a bug, must not keep the others from being done. Raises Unavailable."""
        try:
            return duty(now)
        except StaleToken as error:
            log.warning("lane_lost", lane=error.lane, token=error.token)
            self._hands.drop_stale({Lane(error.lane): Token(error.token)})
            return 1
        except Unavailable:
            raise
        except Exception:
            # Everything in hand is guarded by its claim and its fence, so going on is sound; say it loudly.
            log.exception("duty_failed", duty=duty.__name__)
            return 0

    def _begin_anew(self) -> None:
        """A new lease; what was held under the old one is no longer ours to begin anything in."""
        lost = self._hands.tokens()
        if lost:
            log.warning("lease_lost", lanes=len(lost))
        self._hands.drop_all_lanes()
        self._back.leases.begin()

    def _take_lanes(self, now: datetime) -> int:
        room = self._most_lanes - len(self._hands.tokens())
        if room <= 0 or time.monotonic() < self._look_at:
            return 0
        started = time.monotonic()
        self._set_aside = {lane: until for lane, until in self._set_aside.items() if until > started}
        left_out = [*self._hands.tokens(), *self._set_aside]
        wanted = claiming.lanes_wanting_work(self._back.db, now=now, limit=3 * LANES_A_STEP, leave_out=left_out)
        # A look gets slower with what is waiting in all: it may take a tenth of the time.
        self._look_at = started + max(LOOK_FOR_LANES_S, 10 * (time.monotonic() - started))
        if not wanted:
            return 0
        # Senders that look at the same moment see the same lanes: each begins somewhere else.
        chosen = random.sample(wanted, min(len(wanted), LANES_A_STEP, room))
        back = self._back
        tokens, memory = claiming.take_lanes(back.db, back.leases, back.fences, chosen, sender=self._sender, now=now)
        if tokens:
            self._hands.take_lanes(tokens, at=time.monotonic())
            self._remember(memory)
            self._judged_at = 0.0  # what these lanes' last holder left behind is judged first
            log.debug("lanes_taken", count=len(tokens))
        return len(tokens)

    def _remember(self, memory: str) -> None:
        """After a change of Redis' identity every held lane is brought there again, under the new one."""
        if self._memory and memory != self._memory:
            log.warning("redis_changed", was=self._memory, now=memory)
            tokens = self._hands.tokens()
            entered, memory = self._back.fences.enter(tokens)
            self._hands.drop_lanes(lane for lane in tokens if lane not in entered)
        self._memory = memory

    def _plan(self, now: datetime) -> int:
        held = self._hands.schedules()
        if not held:
            return 0
        done = planning.plan_due(self._back.db, held, now=now) + planning.expand(self._back.db, held, now=now)
        at = time.monotonic()
        self._hands.note_activity(map(schedule_lane, done.moved), at=at)
        for lane in map(schedule_lane, done.broken):
            # A schedule that cannot be planned waits, and leaves room for the others.
            self._set_aside[lane] = at + SET_ASIDE_S
            self._hands.drop_lanes([lane])
            self._back.leases.release([lane])
        return len(done.moved)

    def _take_over(self, now: datetime) -> int:
        """Judge what stands in `sending` in our lanes and is not in our hands."""
        if time.monotonic() - self._judged_at < TAKE_OVER_S:
            return 0
        self._judged_at = time.monotonic()
        held = self._hands.tokens()
        if not held:
            return 0
        in_hand = self._hands.claims_in_hand()
        return take_over(self._back.db, self._back.fences, held, in_hand, sender=self._sender, now=now)

    def _send(self, now: datetime) -> int:
        """Connections first, then claim no more than these can carry, load, build, fence, hand over."""
        held, room = self._hands.tokens(), self._connections.room()
        if not held or not room:
            return 0
        waiting = self._what_waits(held, now, room)
        if not len(waiting):
            return 0
        connections = self._connections.lend(len(waiting), self._back.leases.confirm)
        try:
            claimed = self._claim(waiting.first(len(connections)), held, now) if connections else []
            ready = self._prepare(claimed)
            going = self._cross(ready)
        except BaseException:
            for connection in connections:
                self._connections.give_back(connection)
            raise
        for dispatch, connection in zip(going, connections, strict=False):
            self._callers.start(Job(dispatch, ready[dispatch], connection))
        for connection in connections[len(going) :]:
            self._connections.give_back(connection)
        self._hands.note_activity({dispatch.claim.lane for dispatch in going}, at=time.monotonic())
        return len(going)

    def _what_waits(self, held: Mapping[Lane, Token], now: datetime, room: int) -> Waiting:
        """What may be claimed now. While something waits that goes alone, nothing else is begun beside it."""
        if time.monotonic() >= self._look_for_alone_at:
            alone = claiming.claimable_alone(self._back.db, held, now=now)
            if len(alone):
                return alone if not self._hands.in_hand() else Waiting({})
            self._look_for_alone_at = time.monotonic() + LOOK_FOR_ALONE_S
        return claiming.claimable(self._back.db, held, now=now, most=room)

    def _claim(self, waiting: Waiting, held: Mapping[Lane, Token], now: datetime) -> list[Claimed]:
        back = self._back
        claimed = claiming.claim(
            back.db,
            waiting,
            held,
            memory=self._memory,
            sender=self._sender,
            provider=back.adapter.name,
            account=back.adapter.account,
            now=now,
        )
        self._hands.take(claimed)
        return claimed

    def _prepare(self, claimed: Sequence[Claimed]) -> dict[Claimed, Request]:
        """Everything that can fail here fails before the fence is crossed."""
        if not claimed:
            return {}
        try:
            requests, refused = preparing.build_requests(self._back.db, self._back.adapter, claimed)
        except BaseException as error:
            self._hand_back(claimed, f"not prepared: {type(error).__name__}: {error}")
            raise
        self._recorder.hand_in(refused)
        return requests

    def _cross(self, ready: dict[Claimed, Request]) -> list[Claimed]:
        if not ready:
            return []
        try:
            crossing = claiming.cross_fences(self._back.fences, list(ready))
        except BaseException as error:
            self._hand_back(ready, f"the fence could not be crossed: {error}")
            raise
        self._recorder.hand_in(Result(c, Accepted(id_, attempt)) for c, attempt, id_ in crossing.accepted_before)
        self._hand_back(crossing.split_before, "it was refused before", Refusal.RECIPIENT)
        self._recorder.hand_in(Result(c, InDoubt("its fence was crossed before")) for c in crossing.in_doubt)
        self._hand_back(crossing.forgotten, "Redis changed between claim and call")
        self._hands.drop_stale({c.claim.lane: c.claim.token for c in crossing.stale})
        self._hands.put_down(crossing.stale)  # its newer holder has judged it, or will
        if crossing.forgotten:
            self._remember(self._back.fences.memory())
        return crossing.go

    def _hand_back(self, claimed: Iterable[Claimed], why: str, kind: Refusal = Refusal.NOT_CALLED) -> None:
        self._recorder.hand_in(Result(c, Refused(kind, why)) for c in claimed)

    def _give_back_idle_lanes(self, _now: datetime) -> int:
        idle = self._hands.idle_lanes(before=time.monotonic() - GIVE_BACK_S)
        if idle:
            self._hands.drop_lanes(idle)
            self._back.leases.release(idle)
        return 0
