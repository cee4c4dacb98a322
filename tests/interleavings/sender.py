"""One sender process: its threads use the services in the order, and with the times, of `sender/`.

Where a function here has a namesake in sender/loop.py, lanes.py, fencer.py, caller.py, recorder.py or reconciler.py, it
is to do the same with the same services; only threads, sockets and pauses are gone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.errors import StaleToken, Unavailable
from mailroom.domain.ids import Lane, Token, revision_of
from mailroom.domain.outcomes import Accepted, Outcome, Refusal, Refused
from mailroom.services.common import sending_switch
from mailroom.services.common.sending_switch import NOTHING_HELD
from mailroom.services.dispatching import claims
from mailroom.services.dispatching import lanes as dispatching_lanes
from mailroom.services.dispatching.claims import Room, Waiting
from mailroom.services.dispatching.fences import cross_fences
from mailroom.services.dispatching.outcomes import Result, record
from mailroom.services.dispatching.propagation import finish_runs
from mailroom.services.dispatching.take_over import take_over
from mailroom.services.reconciliation.conclusions import Policy
from mailroom.services.reconciliation.reconcile import note_control, reconcile
from mailroom.storage.database import server_now
from mailroom.storage.messages import document as messages
from sender.in_flight import InFlight
from tests.interleavings.director import Director, Machine
from tests.interleavings.etcd import MemoryLeases
from tests.interleavings.fences import MemoryHolds
from tests.interleavings.provider import Connection, Mail, MemoryAdapter, Provider

RECONCILE_S: Final = 3
GIVE_BACK_S: Final = 40  # longer than the senders', so that the lanes of doubts are handed over less often
_ROOM: Final = 4


@dataclass(frozen=True)
class Job:
    claimed: Claimed
    mail: Mail
    connection: Connection


class Sender:
    """Four threads that share their hands: the loop, the line (fencer and caller), the recorder, the reconciler."""

    def __init__(
        self,
        machine: Machine,
        director: Director,
        db: Any,
        fences: Any,
        leases: MemoryLeases,
        provider: Provider,
        adapter: MemoryAdapter,
        policy: Policy,
    ) -> None:
        self._machine, self._director = machine, director
        self._db, self._fences, self.leases, self._provider = db, fences, leases, provider
        self._adapter, self._policy = adapter, policy
        self.in_flight = InFlight()
        self._holds, self._on_hold = MemoryHolds(fences), NOTHING_HELD
        self._redis_identity, self._forgotten = "", False
        self._reconcile_at = 0.0
        self._idle: list[Connection] = []
        self.lent: list[Connection] = []
        self._jobs: list[Job] = []
        self._results: list[Result] = []

    @property
    def busy(self) -> bool:
        return bool(self._jobs or self._results or self.in_flight.in_hand())

    def threads(self) -> dict[str, Callable[[], None]]:
        return {
            "loop": lambda: self._for_ever(self._round),
            "line": lambda: self._for_ever(self._line),
            "recorder": lambda: self._for_ever(self._record),
            "reconciler": lambda: self._for_ever(self._ask_about_doubts),
        }

    def _for_ever(self, step: Callable[[], bool]) -> None:
        while True:
            try:
                worked = step()
            except Unavailable:
                worked = False
            if not worked:
                self._director.wait_for_change()

    def _clock(self) -> float:
        return self._machine.clock(self._director.now)

    # The pump

    def _round(self) -> bool:
        if self._machine.missed_a_beat:
            self._machine.missed_a_beat = False
            self.leases.keep_alive()
        if not self.leases.held:
            self._begin_anew()
        if self._clock() >= self._reconcile_at:
            self._reconcile()
            self._reconcile_at = self._clock() + RECONCILE_S
        if self._forgotten:
            self._forgotten = False
            self._remember(self._fences.redis_identity())
        self._on_hold = sending_switch.look(self._db, self._holds)  # type: ignore[arg-type]
        now = server_now(self._db)
        duties = [self._take_lanes, self._take_over, self._send, self._give_back_idle_lanes]
        return sum([self._do(duty, now) for duty in duties]) > 0

    def _begin_anew(self) -> None:
        self.leases.give_up()
        self.in_flight.drop_all_lanes()
        self._reconcile_at = 0.0
        self.leases.begin()

    def _reconcile(self) -> None:
        keys = self.leases.keys_of_ours()
        if keys is None:
            self._begin_anew()
            return
        in_hand = {lane: revision_of(token) for lane, token in self.in_flight.tokens().items()}
        ours = {key.lane: key.revision for key in keys}
        self.in_flight.drop_lanes(lane for lane, revision in in_hand.items() if ours.get(lane) != revision)
        self.leases.release({lane: revision for lane, revision in ours.items() if in_hand.get(lane) != revision})

    @contextmanager
    def _unless_sure(self) -> Iterator[None]:
        reconcile_at, self._reconcile_at = self._reconcile_at, 0.0
        yield
        self._reconcile_at = reconcile_at

    def _do(self, duty: Callable[[datetime], int], now: datetime) -> int:
        try:
            return duty(now)
        except StaleToken as error:
            self.in_flight.drop_stale({Lane(error.lane): Token(error.token)})
            return 1

    def _take_lanes(self, now: datetime) -> int:
        held = self.in_flight.tokens()
        wanted = dispatching_lanes.lanes_wanting_work(
            self._db, now=now, ahead=timedelta(seconds=3), limit=10, leave_out=list(held)
        )
        wanted = [lane for lane in wanted if lane not in self.leases.held_by_anybody()]
        if not wanted:
            return 0
        with self._unless_sure():
            tokens, redis_identity = dispatching_lanes.take_lanes(
                self._db,
                self.leases,  # type: ignore[arg-type]
                self._fences,
                wanted,
                sender=self._machine.name,
                now=now,
            )
        if tokens:
            self.in_flight.take_lanes(tokens, at=self._clock())
            self._remember(redis_identity)
        return len(tokens)

    def _remember(self, redis_identity: str) -> None:
        if self._redis_identity and redis_identity != self._redis_identity:
            tokens = self.in_flight.tokens()
            entered, redis_identity = self._fences.enter(tokens)
            self.in_flight.drop_lanes(lane for lane in tokens if lane not in entered)
        self._redis_identity = redis_identity

    def _take_over(self, _now: datetime) -> int:
        held = self.in_flight.tokens()
        if not held:
            return 0
        in_hand = self.in_flight.claims_in_hand()
        return take_over(self._db, self._fences, held, in_hand, sender=self._machine.name)

    def _send(self, now: datetime) -> int:
        held = self.in_flight.tokens()
        if not held:
            return 0
        waiting = self._what_waits(held, now)
        if not len(waiting):
            return 0
        connections = self._lend(len(waiting))
        try:
            claimed = self._claim(waiting.first(len(connections)), held, now) if connections else []
        except BaseException:
            self._give_back(connections)
            raise
        found = messages.addresses_of(self._db, [c.id for c in claimed])
        for c, connection in zip(claimed, connections, strict=False):
            self._jobs.append(Job(c, Mail(c.id, c.attempt, tuple(sorted(found[c.id].values()))), connection))
        self._give_back(connections[len(claimed) :])
        self.in_flight.note_activity({c.claim.lane for c in claimed}, at=self._clock())
        return len(claimed)

    def _what_waits(self, held: Mapping[Lane, Token], now: datetime) -> Waiting:
        alone = claims.claimable_alone(self._db, held, now=now, on_hold=self._on_hold)
        if len(alone):
            return alone if not self.in_flight.in_hand() else Waiting()
        room = Room(_ROOM - len(self.lent), 1, 1)
        return claims.claimable(self._db, held, now=now, room=room, on_hold=self._on_hold)

    def _lend(self, count: int) -> list[Connection]:
        ready = [connection for connection in self._idle if connection.looks_usable(self._director.now)][:count]
        self._idle = [connection for connection in self._idle if connection not in ready]
        missing = count - len(ready)
        if missing and self.leases.confirm():
            now = self._director.now
            ready += [Connection(self._machine, now, self._machine.clock(now)) for _ in range(missing)]
        self.lent += ready
        return ready

    def _give_back(self, connections: Sequence[Connection]) -> None:
        for connection in connections:
            self.lent.remove(connection)
            self._idle.append(connection)

    def _claim(self, waiting: Waiting, held: Mapping[Lane, Token], now: datetime) -> list[Claimed]:
        claimed = claims.claim(
            self._db,
            waiting,
            held,
            redis_identity=self._redis_identity,
            sender=self._machine.name,
            provider=self._adapter.name,
            account=self._adapter.account,
            now=now,
        )
        self.in_flight.take(claimed)
        return claimed

    def _give_back_idle_lanes(self, _now: datetime) -> int:
        idle = self.in_flight.idle_lanes(before=self._clock() - GIVE_BACK_S)
        if idle:
            tokens = self.in_flight.tokens()
            self.in_flight.drop_lanes(idle)
            with self._unless_sure():
                self.leases.release({lane: revision_of(tokens[lane]) for lane in idle})
        return 0

    # Gate and callers

    def _line(self) -> bool:
        self._director.wait_for(lambda: bool(self._jobs))
        jobs, self._jobs = {job.claimed: job for job in self._jobs}, []
        try:
            crossing = cross_fences(self._fences, list(jobs))
        except Unavailable as error:
            why = Refused(Refusal.NOT_CALLED, f"the fence could not be crossed: {error}")
            self._ended(jobs, [Result(c, why) for c in jobs])
            return True
        ended = [Result(c, before) for c, before in crossing.accepted_before]
        ended += [Result(c, before) for c, before in crossing.in_doubt]
        ended += [Result(c, Refused(Refusal.RECIPIENT, "it was refused before")) for c in crossing.split_before]
        ended += [Result(c, Refused(Refusal.NOT_CALLED, "Redis changed")) for c in crossing.forgotten]
        ended += [Result(c, Refused(Refusal.HELD, "it was stopped before the call")) for c in crossing.held]
        self._ended(jobs, ended)
        self._lanes_lost([jobs[c] for c in crossing.stale])
        self._forgotten = self._forgotten or bool(crossing.forgotten)
        for claimed in crossing.go:
            self._ended(jobs, [Result(claimed, self._call(jobs[claimed]))])
        return True

    def _call(self, job: Job) -> Outcome:
        look = [("", lambda: None)]
        self._director.step_in_ways("looks at its lease and its connection", look, changes_something=True)
        if not self.leases.held:
            return Refused(Refusal.NOT_CALLED, "the lease's time was over before the call")
        if not job.connection.looks_usable(self._director.now):
            return self._without_connection(job)
        return self._provider.call(job.connection, job.mail)

    def _without_connection(self, job: Job) -> Outcome:
        return Refused(Refusal.NOT_CALLED, "the connection had died before the call")

    def _ended(self, jobs: Mapping[Claimed, Job], results: Sequence[Result]) -> None:
        self._results += results
        self._give_back([jobs[result.claimed].connection for result in results])

    def _lanes_lost(self, jobs: Sequence[Job]) -> None:
        self.in_flight.drop_stale({job.claimed.claim.lane: job.claimed.claim.token for job in jobs})
        self.in_flight.done(job.claimed for job in jobs)
        self._give_back([job.connection for job in jobs])

    # The recorder

    def _record(self) -> bool:
        self._director.wait_for(lambda: bool(self._results))
        batch = list(self._results)
        now = server_now(self._db)
        stale = record(self._db, self._fences, batch, delays=self._policy.delays, now=now)
        self._results = self._results[len(batch) :]
        self.in_flight.drop_stale(stale)
        self.in_flight.note_activity({r.claimed.claim.lane for r in batch}, at=self._clock())
        self.in_flight.done(r.claimed for r in batch)
        for r in batch:
            if isinstance(r.outcome, Accepted) and r.outcome.attempt is None:
                note_control(self._db, r.claimed, self._adapter.log_name(r.claimed.id, r.claimed.account), self._policy)
        finish_runs(self._db, [r.claimed.run_id for r in batch], now=now)
        return True

    # The reconciler

    def _ask_about_doubts(self) -> bool:
        held = self.in_flight.tokens()
        if not held:
            return False
        asked = reconcile(
            self._db,
            self._fences,
            {self._adapter.name: self._adapter},  # type: ignore[dict-item]
            held,
            self._policy,
            sender=self._machine.name,
        )
        return asked > 0
