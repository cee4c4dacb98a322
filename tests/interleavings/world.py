"""Two senders, three stores, a provider, and a few dispatches to be sent: and what must hold in the end."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mailroom.domain.dispatches.fences import FenceState
from mailroom.domain.dispatches.model import NewDispatch
from mailroom.domain.dispatches.states import OPEN, DispatchState
from mailroom.domain.doubts import Timing
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import DispatchId, Lane, RunId, ScheduleId, digest_of_messages, dispatch_id, message_id
from mailroom.domain.messages import Message, MessageState
from mailroom.domain.retries import Delays
from mailroom.domain.runs import Run, RunKind, RunState
from mailroom.services.common import sending_switch
from mailroom.services.dispatching import propagation
from mailroom.services.reconciliation.conclusions import Policy
from mailroom.storage.dispatches import document as dispatches
from mailroom.storage.messages import document as messages
from mailroom.storage.schedules import runs
from tests.interleavings.director import EVERYTHING, Choose, Director, Machine, Menu, Violation
from tests.interleavings.etcd import Etcd, MemoryLeases
from tests.interleavings.fences import MemoryFences, MemoryHolds
from tests.interleavings.mongo import MemoryDb
from tests.interleavings.provider import (
    CALL_TIMEOUT_S,
    IDLE_LIMIT_S,
    LOG_RETENTION_S,
    SETTLE_S,
    MemoryAdapter,
    Provider,
)
from tests.interleavings.sender import GIVE_BACK_S, Sender

START: Final = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
RUN: Final = RunId("run-1")
LANE: Final = Lane("schedule/sch_1")
POLICY: Final = Policy(
    Timing(
        call_timeout=timedelta(seconds=CALL_TIMEOUT_S),
        idle_limit=timedelta(seconds=IDLE_LIMIT_S),
        settle=timedelta(seconds=SETTLE_S),
        log_retention=timedelta(seconds=LOG_RETENTION_S),
    ),
    delays=Delays((timedelta(seconds=30), timedelta(seconds=30))),
)
# Nothing hangs on the moment at which these are done: they are no steps of a schedule.
_QUIETLY_READ: Final = (
    *("schedules", "runs", "lanes", "messages", "controls"),
    *("cluster", "contents", "suppressions", "recipients", "holds"),
)
_QUIET: Final = frozenset(
    [
        *(f"{verb} {name}" for verb in ("find", "aggregate") for name in _QUIETLY_READ),
        *(
            "hello",
            "aggregate dispatches",
            "find and update cluster",
            "write cluster",
            "write runs",
            "memory",
            "read hold",
        ),
    ]
)


class World:
    """One run. `choose` decides its course, `policy` is how doubts are settled."""

    def __init__(
        self,
        choose: Choose,
        menu: Menu = EVERYTHING,
        *,
        sizes: Sequence[int] = (2,),
        senders: int = 2,
        lag_s: int = SETTLE_S,
        policy: Policy = POLICY,
        sender: type[Sender] = Sender,
        fences: Callable[[Any], MemoryFences] = MemoryFences,
        leases: type[MemoryLeases] = MemoryLeases,
        near: Sequence[str] = ("",),
        db: Callable[[Callable[[], datetime]], Any] | None = None,
        stops: bool = False,
    ) -> None:
        """With `stops`, a person stops all sending at some moment, and starts it again a minute after the answer."""
        self.director = Director(self, choose, menu, near=near)
        self.db: Any = db(self._server_now) if db else MemoryDb(self._server_now, self._step)
        self.fences = fences(self._step)
        self.etcd = Etcd()
        self.provider = Provider(self.director, lag_s=lag_s)
        self._policy, self._make, self._make_leases = policy, sender, leases
        self.senders: dict[Machine, Sender] = {}
        self._born = 0
        self._store(sizes)
        self.db.changes = 0
        for _ in range(senders):
            self._spawn()
        self._person_is_through, self._starts_at = not stops, -1
        if stops:
            self._come()

    def run(self) -> None:
        """Until everything is settled and everybody idle; then what was promised is checked. Raises Violation."""
        self.director.run()
        propagation.propagate_left_over(self.db)
        propagation.finish_left_over(self.db, now=self._server_now())
        self._check()

    # What the director asks and tells

    def next_event(self) -> int:
        """The next moment at which there may be something new to do."""
        later = [doc["not_before"] for doc in self.db.dispatches.docs.values() if doc["state"] in OPEN]
        later += [doc["waits_until"] for doc in self.db.lanes.docs.values() if "waits_until" in doc]
        moments = [-(-(at - START) // timedelta(seconds=1)) for at in later]
        moments += self.etcd.ends_at.values()
        if Menu.BEAT in self.director.menu:
            moments += [self.director.now + sender.leases.unbelieved_in_s for sender in self.senders.values()]
        for machine, sender in self.senders.items():
            if machine.frozen_at is not None:
                moments += [connection.used_at + IDLE_LIMIT_S for connection in sender.lent]
            elif sender.in_flight.tokens():
                moments.append(self.director.now + GIVE_BACK_S + 1)
        moments.append(self._starts_at)
        return min((at for at in moments if at > self.director.now), default=-1)

    def over(self) -> bool:
        through = all(doc["state"] not in OPEN for doc in self.db.dispatches.docs.values())
        return (
            through
            and self._person_is_through
            and not any(sender.busy for machine, sender in self.senders.items() if machine.frozen_at is None)
        )

    def fingerprint(self) -> Any:
        fences = self.fences
        return (
            self.db.changes,
            dict(fences.records),
            dict(fences.tokens),
            dict(self.etcd.lanes),
            len(self.provider.log),
        )

    def check_now(self) -> None:
        """What a fence says was released was not accepted: a take-over believes it."""
        for (_, dispatch), fence in self.fences.records.items():
            if fence.outcome is FenceState.RELEASED and any(
                mail.dispatch == dispatch and mail.attempt == fence.attempt for mail in self.provider.accepted
            ):
                raise Violation(f"{dispatch}, attempt {fence.attempt}, was accepted, and its fence says released")

    def passed(self) -> None:
        """Time has passed: heartbeats of whoever lives, and the end of the leases of all others."""
        self.etcd.expire(self.director.now - 1)
        for machine, sender in self.senders.items():
            if machine.frozen_at is None and machine.beats:
                sender.leases.keep_alive()
        self.etcd.expire(self.director.now)

    def replace(self, machine: Machine) -> None:
        if machine in self.senders:
            del self.senders[machine]
            self._spawn()
        else:
            self._come()

    def forget(self) -> None:
        self.fences.forget()

    # Inside

    def _server_now(self) -> datetime:
        return START + timedelta(seconds=self.director.now)

    def _step(self, server: str, words: str, use: Callable[[], Any], *, writes: bool) -> Any:
        return self.director.step(server, words, use, writes=writes, quiet=words in _QUIET)

    def _spawn(self) -> None:
        self._born += 1
        machine = Machine(f"s{self._born}", self.director.now)
        leases = self._make_leases(self.etcd, self.director, machine)
        adapter = MemoryAdapter(self.provider, self.director)
        sender = self._make(machine, self.director, self.db, self.fences, leases, self.provider, adapter, self._policy)
        self.senders[machine] = sender
        self.director.start(machine, sender.threads())

    def _come(self) -> None:
        self._born += 1
        self.director.start(Machine(f"person-{self._born}", self.director.now), {"hand": self._stop_and_start})

    def _stop_and_start(self) -> None:
        """What is done without an answer is done again. Once it is answered for sure, no fence is crossed."""
        brakes: Any = (self.db, MemoryHolds(self.fences), self.fences)
        while not _answered(lambda: sending_switch.stop(*brakes, by="ann").sure):
            pass
        self.fences.stopped = True
        self._starts_at = self.director.now + 60
        self.director.wait_for(lambda: self.director.now >= self._starts_at)
        self.fences.stopped = False
        while not _answered(lambda: sending_switch.start(*brakes, by="ann").sending):
            pass
        self._person_is_through = True

    def _store(self, sizes: Sequence[int]) -> None:
        inside: Any = None  # outside of any transaction
        made, number = [], 0
        for chunk, size in enumerate(sizes):
            id_ = dispatch_id(RUN, chunk)
            some = [_message(id_, number + n) for n in range(size)]
            number += size
            messages.add_many(self.db, some, session=inside)
            digest = digest_of_messages([m.id for m in some])
            made.append(NewDispatch(id_, RUN, ScheduleId("sch_1"), LANE, chunk, 1, size, digest))
        dispatches.add_many(self.db, made, now=START, session=inside)
        runs.add_many(self.db, [_run(number)], session=inside)

    def _check(self) -> None:
        """Each mail went out once and is shown so, or it is shown what else became of it, with the reason."""
        went_out = {address for mail in self.provider.accepted for address in mail.addresses}
        for doc in self.db.messages.docs.values():
            state = doc["state"]
            if "dispatch_id" not in doc:
                if state != MessageState.CANCELLED or doc["address"] in went_out:
                    raise Violation(f"{doc['address']} is {state} without a dispatch: {self.provider.accepted}")
                continue
            dispatch = self.db.dispatches.docs[doc["dispatch_id"]]
            if dispatch["state"] in OPEN or dispatch["state"] == DispatchState.SPLIT:
                raise Violation(f"{doc['address']} is left in {dispatch['state']}")
            shown_as_sent = state == MessageState.SENT
            if dispatch["state"] != DispatchState.UNKNOWN and shown_as_sent != (doc["address"] in went_out):
                raise Violation(f"{doc['address']} is shown as {state}: {self.provider.accepted}")
            if state not in (MessageState.SENT, MessageState.CANCELLED) and not dispatch.get("reason"):
                raise Violation(f"{doc['address']} is {state}, and nobody says why")
        if self.db.runs.docs[RUN]["state"] not in (RunState.FINISHED, RunState.CANCELLED):
            raise Violation("the run was not finished")


def _answered(act: Callable[[], bool]) -> bool:
    try:
        return act()
    except Unavailable:
        return False


def _message(dispatch: DispatchId, number: int) -> Message:
    address = f"reader-{number}@example.org"
    return Message(message_id(RUN, address), RUN, dispatch, address, "", {})


def _run(recipients: int) -> Run:
    return Run(
        RUN, ScheduleId("sch_1"), RunKind.DUE, RunState.PLANNED, START, 1, None, recipients, START, planned_at=START
    )
