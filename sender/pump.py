"""The one thread that takes lanes, plans and claims. `step` does one round and says whether there may be more.

All of this is one thread on purpose: what is claimed here is in hand before anything here can call it abandoned.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from mailroom.assembly import Back
from mailroom.domain.dispatches import Claimed
from mailroom.domain.emails.model import Rank
from mailroom.domain.errors import StaleToken, StoreRestored, Unavailable
from mailroom.domain.ids import MAIL_LANES, SCHEDULE_LANES, Lane, Token, schedule_lane
from mailroom.domain.outcomes import Refusal, Refused
from mailroom.providers.base import Adapter
from mailroom.services import claiming, memory, planning
from mailroom.services.claiming import Room, Waiting
from mailroom.services.preparing import Preparing
from mailroom.services.recording import Result
from mailroom.services.server_time import Clocks, server_now
from mailroom.services.take_over import take_over
from sender.callers import Job
from sender.connections import Connections
from sender.gate import Gate
from sender.hands import Hands
from sender.holding import Holding
from sender.recorder import Recorder
from sender.routes import Routes

log = structlog.get_logger()
LANES_A_STEP: Final = 200
FEWEST_LANES: Final = 20
LOOKED_AT: Final = 2_000  # lanes in a look; those that others hold are among them
# What is due is known ahead, and its lane is taken ahead; anything else waits for a look. So looks can be few.
AHEAD: Final = timedelta(seconds=3)
LOOK_FOR_LANES_S: Final = 0.5
LOOK_AGAIN_S: Final = 0.1
LOOK_FOR_RUNS_S: Final = 0.05
TAKE_OVER_S: Final = 1.0
LOOK_FOR_ALONE_S: Final = 1.0
LOOK_FOR_URGENT_S: Final = 0.02
LOOK_FOR_SHARE_S: Final = 1.2
MOST_BYTES: Final = 64 * 1024 * 1024  # of single mails' bodies, in memory at once
SET_ASIDE_S: Final = 60.0
RESTS_AFTER_S: Final = 2.0
# A lane with nothing to do is kept this long: it was taken ahead, or its next chunk is on the way.
GIVE_BACK_S: Final = 4.0


class Pump:
    def __init__(
        self,
        back: Back,
        hands: Hands,
        routes: Routes,
        connections: Connections,
        gate: Gate,
        recorder: Recorder,
        *,
        sender: str,
    ) -> None:
        self._back, self._hands, self._sender = back, hands, sender
        self._routes, self._connections, self._gate, self._recorder = routes, connections, gate, recorder
        self._holding = Holding(back)
        self._preparing = Preparing(back.db, back.adapters)
        self._clocks = Clocks(back.db)
        self._forgotten = threading.Event()
        self._memory = ""  # Redis' identity under which every held lane was entered
        self._look_at = self._plan_at = self._judged_at = self._look_for_alone_at = 0.0
        self._look_for_urgent_at = self._share_at = 0.0
        self._completed_at = self._worked_at = time.monotonic()
        self._senders = 1  # all that there are, as far as was seen
        self._set_aside: dict[Lane, float] = {}
        self._unsure: set[Lane] = set()  # lanes that may be ours in etcd, and are not in our hands
        # With calls that take no time, claims one by one would cost more than the calls: some room must be.
        self._least_room = max(1, connections.limit // 4)
        self._most_lanes = back.settings.sending.schedules_per_sender
        first = next(iter(back.adapters.values()))
        self._batch_size = min(back.settings.sending.batch_size, first.max_recipients)

    def step(self) -> bool:
        """One round. True if there may be more to do at once. Raises Unavailable."""
        if not self._back.leases.held:
            self._begin_anew()
        if self._holding.is_held():
            self._give_back_all_lanes()
            self._completed_at = time.monotonic()
            return False
        if self._forgotten.is_set():
            self._forgotten.clear()
            self._remember(self._back.fences.memory())
        clocks = self._clocks.read()
        duties = [self._take_share, self._take_lanes, self._take_over, self._send, self._give_back_idle_lanes]
        if clocks.trustworthy:
            duties.insert(2, self._plan)
        else:
            log.error("host_clock_is_off", ahead_s=round(clocks.host_ahead.total_seconds(), 2), plans="nothing")
        worked = sum([self._do(duty, clocks.now) for duty in duties])
        self._completed_at = time.monotonic()
        if worked:
            self._worked_at = self._completed_at
        return worked > 0

    @property
    def resting(self) -> bool:
        """True if no schedule's lane is held, none of which was taken ahead, and nothing was done for a while."""
        return not self._hands.schedules() and time.monotonic() - self._worked_at > RESTS_AFTER_S

    def idle_s(self) -> float:
        """For how long no round was completed. Any thread may ask."""
        return time.monotonic() - self._completed_at

    def _give_back_all_lanes(self) -> None:
        self._give_back(list(self._hands.tokens()))

    def _give_back(self, lanes: Sequence[Lane]) -> None:
        """And those of which it is not sure whether etcd has let them go: else nobody else could take them."""
        self._hands.drop_lanes(lanes)
        self._unsure |= set(lanes)
        if self._unsure:
            self._back.leases.release(sorted(self._unsure))
            self._unsure.clear()

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

    def _begin_anew(self) -> None:
        """A new lease; what was held under the old one is no longer ours to begin anything in."""
        lost = self._hands.tokens()
        if lost:
            log.warning("lease_lost", lanes=len(lost))
        self._hands.drop_all_lanes()
        self._unsure.clear()
        server_now(self._back.db)  # without MongoDB we could do nothing with them, and others could
        self._back.leases.begin()

    def _take_lanes(self, now: datetime) -> int:
        room = self._most_lanes - (len(self._hands.tokens()) - len(self._hands.mail_lanes()))
        if room <= 0 or time.monotonic() < self._look_at:
            return 0
        started = time.monotonic()
        self._set_aside = {lane: until for lane, until in self._set_aside.items() if until > started}
        left_out = [*self._hands.tokens(), *self._set_aside, *self._hands.always]
        wanted = claiming.lanes_wanting_work(self._back.db, now=now, ahead=AHEAD, limit=LOOKED_AT, leave_out=left_out)
        if wanted:
            taken = self._back.leases.held_by_anybody(SCHEDULE_LANES)
            wanted = [lane for lane in wanted if lane not in taken]
        # A look gets slower with what is waiting in all: it may take a tenth of the time.
        pause_s = LOOK_AGAIN_S if wanted else LOOK_FOR_LANES_S
        self._look_at = started + max(pause_s, 10 * (time.monotonic() - started))
        if not wanted:
            return 0
        # Senders that look at the same moment see the same lanes: each begins somewhere else. And it leaves some for
        # those who have not looked yet: what is due at one moment is done soonest by all.
        some = min(max(-(-len(wanted) // (6 * self._senders)), FEWEST_LANES), LANES_A_STEP)
        chosen = random.sample(wanted, min(len(wanted), some, room))
        return self._take(chosen, now)

    def _take_share(self, now: datetime) -> int:
        """Single mails' lanes are all held, always, by all senders alike, as they come and go."""
        if time.monotonic() < self._share_at:
            return 0
        self._share_at = time.monotonic() + LOOK_FOR_SHARE_S * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        held, every = self._hands.mail_lanes(), self._hands.always
        self._give_back(self._hands.left_lanes())
        self._senders = self._back.leases.senders()
        share = -(-len(every) // max(1, self._senders))
        self._hands.leave(held[share:])
        missing = share - len(held)
        if missing <= 0:
            return 0
        free = sorted(set(every) - self._back.leases.held_by_anybody(MAIL_LANES))
        return self._take(random.sample(free, min(missing, len(free))), now)

    def _take(self, lanes: Sequence[Lane], now: datetime) -> int:
        """Take these lanes, as far as they are free. Where that ends half-way, none of them stays ours unseen."""
        self._give_back([])
        self._unsure |= set(lanes)
        back = self._back
        tokens, memory = claiming.take_lanes(back.db, back.leases, back.fences, lanes, sender=self._sender, now=now)
        self._unsure -= set(lanes)
        if tokens:
            self._hands.take_lanes(tokens, at=time.monotonic())
            self._remember(memory)
            self._judged_at = 0.0  # what these lanes' last holder left behind is judged first
            log.debug("lanes_taken", count=len(tokens))
        return len(tokens)

    def redis_forgot(self) -> None:
        """The gate has seen that Redis is another one: enter the lanes anew. Any thread may say so."""
        self._forgotten.set()

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
        if not held or time.monotonic() < self._plan_at:
            return 0
        done = planning.plan_due(self._back.db, held, mark=self._holding.mark, now=now)
        done += planning.expand(self._back.db, held, batch_size=self._batch_size, now=now)
        at = time.monotonic()
        self._plan_at = at if done.moved else at + LOOK_FOR_RUNS_S
        self._hands.note_activity(map(schedule_lane, done.moved), at=at)
        for lane in map(schedule_lane, done.broken):
            # A schedule that cannot be planned waits, and leaves room for the others.
            self._set_aside[lane] = at + SET_ASIDE_S
            self._give_back([lane])
        return len(done.moved)

    def _take_over(self, _now: datetime) -> int:
        """Judge what stands in `sending` in our lanes and is not in our hands."""
        if time.monotonic() - self._judged_at < TAKE_OVER_S:
            return 0
        self._judged_at = time.monotonic()
        held = self._hands.tokens()
        if not held:
            return 0
        in_hand = self._hands.claims_in_hand()
        return take_over(self._back.db, self._back.fences, held, in_hand, sender=self._sender)

    def _send(self, now: datetime) -> int:
        """Connections first, then claim no more than these can carry, load, build, and hand over to the gate."""
        held, room = self._hands.claimable_tokens(), self._connections.room()
        if not held:
            return 0
        waiting = self._what_waits(held, now, room)
        if not len(waiting):
            return 0
        return sum(
            self._send_by(self._back.adapters[name], part, held, now) for name, part in self._routes.choose(waiting)
        )

    def _send_by(self, adapter: Adapter, waiting: Waiting, held: Mapping[Lane, Token], now: datetime) -> int:
        connections = self._connections.lend(adapter.name, len(waiting), self._back.leases.confirm)
        try:
            claimed = self._claim(adapter, waiting.first(len(connections)), held, now) if connections else []
            ready = self._prepare(claimed)
        except BaseException:
            self._connections.give_back(connections)
            raise
        self._gate.hand_in(
            Job(c, adapter, request, line) for (c, request), line in zip(ready.items(), connections, strict=False)
        )
        self._connections.give_back(connections[len(ready) :])
        self._hands.note_activity({dispatch.claim.lane for dispatch in ready}, at=time.monotonic())
        return len(ready)

    def _what_waits(self, held: Mapping[Lane, Token], now: datetime, room: int) -> Waiting:
        """What may be claimed now. While something waits that goes alone, nothing else is begun beside it."""
        if time.monotonic() >= self._look_for_alone_at:
            alone = claiming.claimable_alone(self._back.db, held, now=now)
            if len(alone):
                return alone if not self._hands.in_hand() else Waiting()
            self._look_for_alone_at = time.monotonic() + LOOK_FOR_ALONE_S
        if room >= self._least_room:
            return claiming.claimable(self._back.db, held, now=now, room=self._room(room))
        return self._what_is_urgent(now)

    def _room(self, dispatches: int) -> Room:
        return Room(
            dispatches,
            MOST_BYTES - self._hands.bytes_in_hand(urgent=False),
            MOST_BYTES // 2 - self._hands.bytes_in_hand(urgent=True),
        )

    def _what_is_urgent(self, now: datetime) -> Waiting:
        """While there is no room for anything else, there is some for this."""
        held = {lane: token for lane, token in self._hands.claimable_tokens().items() if lane.startswith(MAIL_LANES)}
        room = self._connections.room(urgent=True)
        if not held or room <= 0 or time.monotonic() < self._look_for_urgent_at:
            return Waiting()
        self._look_for_urgent_at = time.monotonic() + LOOK_FOR_URGENT_S
        return claiming.claimable(self._back.db, held, now=now, room=self._room(room), down_to=Rank.HIGH)

    def _claim(self, adapter: Adapter, waiting: Waiting, held: Mapping[Lane, Token], now: datetime) -> list[Claimed]:
        back = self._back
        claimed = claiming.claim(
            back.db,
            waiting,
            held,
            memory=self._memory,
            sender=self._sender,
            provider=adapter.name,
            account=adapter.account,
            now=now,
        )
        self._hands.take(claimed)
        return claimed

    def _prepare(self, claimed: Sequence[Claimed]) -> dict[Claimed, Any]:
        """Everything that can fail here fails before the fence is crossed."""
        if not claimed:
            return {}
        try:
            if self._holding.remembers:
                memory.remind(self._back.db, self._back.fences, claimed)
            prepared = self._preparing.build(claimed)
        except BaseException as error:
            why = Refused(Refusal.NOT_CALLED, f"not prepared: {type(error).__name__}: {error}")
            self._recorder.hand_in(Result(c, why) for c in claimed)
            raise
        self._recorder.hand_in(prepared.refused)
        self._hands.put_down(prepared.cancelled)
        return prepared.ready

    def _give_back_idle_lanes(self, _now: datetime) -> int:
        self._give_back(self._hands.idle_lanes(before=time.monotonic() - GIVE_BACK_S))
        return 0
