"""The one thread that takes lanes, plans, claims and fences. `step` does one round and says whether there may be more.

All of this is one thread on purpose: what is claimed here is in hand before anything here can call it abandoned.
"""

import random
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import structlog

from mailroom.assembly import Back
from mailroom.domain.dispatches import Claimed
from mailroom.domain.errors import StaleToken
from mailroom.domain.ids import Lane
from mailroom.domain.outcomes import Accepted, InDoubt, Refusal, Refused
from mailroom.providers.base import Request
from mailroom.services import claiming, planning, preparing, recording
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
GIVE_BACK_S: Final = 1.5  # a lane with nothing to do is kept this long: its next chunk may be on the way


class Pump:
    def __init__(
        self, back: Back, hands: Hands, connections: Connections, callers: Callers, recorder: Recorder, *, sender: str
    ) -> None:
        self._back, self._hands, self._sender = back, hands, sender
        self._connections, self._callers, self._recorder = connections, callers, recorder
        self._memory = ""  # Redis' identity under which every held lane was entered
        self._looked_at = self._judged_at = 0.0
        self._most_lanes = back.settings.sending.schedules_per_sender

    def step(self) -> bool:
        """One round. True if there may be more to do at once. Raises Unavailable."""
        if not self._back.leases.held:
            self._begin_anew()
        clocks = read_clocks(self._back.db)
        try:
            worked = self._take_lanes(clocks.now)
            if clocks.trustworthy:
                worked += self._plan(clocks.now)
            else:
                log.error("host_clock_is_off", ahead_s=round(clocks.host_ahead.total_seconds(), 2), plans="nothing")
            worked += self._take_over(clocks.now)
            worked += self._send(clocks.now)
            self._give_back_idle_lanes()
        except StaleToken as error:
            log.warning("lane_lost", lane=error.lane, token=error.token)
            self._hands.drop_lanes([Lane(error.lane)])
            worked = 1
        return worked > 0

    def _begin_anew(self) -> None:
        """A new lease; what was held under the old one is no longer ours to begin anything in."""
        lost = self._hands.tokens()
        if lost:
            log.warning("lease_lost", lanes=len(lost))
        self._hands.drop_all_lanes()
        self._back.leases.begin()

    def _take_lanes(self, now: datetime) -> int:
        room = self._most_lanes - len(self._hands.tokens())
        if room <= 0 or time.monotonic() - self._looked_at < LOOK_FOR_LANES_S:
            return 0
        self._looked_at = time.monotonic()
        held = list(self._hands.tokens())
        wanted = claiming.lanes_wanting_work(self._back.db, now=now, limit=3 * LANES_A_STEP, leave_out=held)
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
        moved = planning.plan_due(self._back.db, held, now=now)
        moved += planning.expand(self._back.db, held, now=now)
        if moved:
            self._hands.note_activity(self._hands.tokens(), at=time.monotonic())
        return moved

    def _take_over(self, now: datetime) -> int:
        """Judge what stands in `sending` in our lanes and is not in our hands."""
        if time.monotonic() - self._judged_at < TAKE_OVER_S:
            return 0
        self._judged_at = time.monotonic()
        held = self._hands.tokens()
        if not held:
            return 0
        back = self._back
        recording.finish_planned_runs(back.db, list(self._hands.schedules()), now=now)
        return take_over(
            back.db,
            back.fences,
            held,
            self._hands.in_hand(),
            sender=self._sender,
            provider=back.adapter.name,
            now=now,
        )

    def _send(self, now: datetime) -> int:
        """Connections first, then claim no more than these can carry, load, build, fence, hand over."""
        held = self._hands.tokens()
        if not held or not self._connections.room():
            return 0
        waiting = claiming.count_claimable(self._back.db, held, now=now, most=self._connections.room())
        if not waiting:
            return 0
        connections = self._connections.lend(waiting, self._back.leases.confirm)
        try:
            claimed = self._claim(len(connections), now) if connections else []
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
        return len(going)

    def _claim(self, most: int, now: datetime) -> list[Claimed]:
        claimed = claiming.claim(
            self._back.db,
            self._hands.tokens(),
            memory=self._memory,
            sender=self._sender,
            provider=self._back.adapter.name,
            capacity=most,
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
        self._recorder.hand_in(Result(c, Accepted(provider_id)) for c, provider_id in crossing.accepted_before)
        self._recorder.hand_in(Result(c, InDoubt("its fence was crossed before")) for c in crossing.in_doubt)
        self._hand_back(crossing.forgotten, "Redis changed between claim and call")
        self._hands.drop_lanes({c.claim.lane for c in crossing.stale})
        self._hands.put_down(c.id for c in crossing.stale)  # its newer holder has judged it, or will
        if crossing.forgotten:
            self._remember(self._back.fences.memory())
        return crossing.go

    def _hand_back(self, claimed: Iterable[Claimed], why: str) -> None:
        self._recorder.hand_in(Result(c, Refused(Refusal.NOT_CALLED, why)) for c in claimed)

    def _give_back_idle_lanes(self) -> None:
        idle = self._hands.idle_lanes(before=time.monotonic() - GIVE_BACK_S)
        if idle:
            self._hands.drop_lanes(idle)
            self._back.leases.release(idle)
