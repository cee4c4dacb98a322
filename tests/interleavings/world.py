"""Two senders, three stores, a provider, and a few dispatches to be sent: and what must hold in the end."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from mailroom.domain.dispatches.doubts import Timing
from mailroom.domain.dispatches.fences import FenceState
from mailroom.domain.dispatches.model import NewDispatch
from mailroom.domain.dispatches.retry_or_halve import Delays
from mailroom.domain.dispatches.states import OPEN, DispatchState
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import (
    AudienceId,
    DispatchId,
    Lane,
    RunId,
    ScheduleId,
    digest_of_messages,
    dispatch_id,
    message_id,
)
from mailroom.domain.messages.model import Message
from mailroom.domain.messages.states import MessageState
from mailroom.domain.runs import Run, RunKind, RunState
from mailroom.domain.schedules import Content
from mailroom.services.common import sending_switch
from mailroom.services.dispatching import propagation
from mailroom.services.reconciliation.conclusions import Policy
from mailroom.storage.dispatches import document as dispatches
from mailroom.storage.messages import document as messages
from mailroom.storage.schedules import contents, runs
from sender.lanes import GIVE_BACK_S
from tests.interleavings.director import EVERYTHING, START, Choose, Director, Machine, Menu, Violation, acting
from tests.interleavings.etcd import Etcd, MemoryLeases
from tests.interleavings.fences import MemoryFences, MemoryHolds
from tests.interleavings.machines import dice
from tests.interleavings.mongo import MemoryDb
from tests.interleavings.provider import (
    CALL_TIMEOUT_S,
    IDLE_LIMIT_S,
    LOG_RETENTION_S,
    SETTLE_S,
    Connection,
    Mail,
    MemoryAdapter,
    Provider,
)
from tests.interleavings.sender import Sender

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
    *("cluster", "contents", "suppressions", "recipients", "holds", "providers", "rate_limits", "last_sent"),
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
            "write providers",
            "write last_sent",
            "memory",
            "read hold",
            "read mark",
            "raise mark",
        ),
    ]
)


class World:
    """One run. `choose` decides its course, `policy` is how doubts are settled."""

    mail_lanes = 0  # all that is sent is of one schedule

    def __init__(
        self,
        choose: Choose,
        menu: Menu = EVERYTHING,
        *,
        sizes: Sequence[int] = (2,),
        senders: int = 2,
        lag_s: int = SETTLE_S,
        policy: Policy = POLICY,
        fences: Callable[[Any], MemoryFences] = MemoryFences,
        leases: type[MemoryLeases] = MemoryLeases,
        connection: type[Connection] = Connection,
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
        self.providers = {"mailgun": self.provider}
        dice.seed(0)
        self._policy, self._make_leases, self._make_connection = policy, leases, connection
        self._made: list[Sender] = []
        self.senders: dict[Machine, Sender] = {}
        self._born = 0
        self._with_replaced: set[Machine] = set()  # machines that speak to a master that was replaced
        self._store(sizes)
        self.db.changes = 0
        for _ in range(senders):
            self._spawn()
        self._person_is_through, self._starts_at = not stops, -1
        if stops:
            self._come()

    def run(self) -> None:
        """Until everything is settled and everybody idle; then what was promised is checked. Raises Violation."""
        try:
            self.director.run()
        finally:
            for sender in self._made:
                sender.close()
        propagation.propagate_left_over(self.db)
        propagation.finish_left_over(self.db, now=self._server_now())
        self._check()

    @property
    def accepted(self) -> list[Mail]:
        """All that any provider accepted."""
        return [mail for provider in self.providers.values() for mail in provider.accepted]

    # What the director asks and tells

    def next_event(self) -> int:
        """The next moment at which there may be something new to do."""
        later = [doc["not_before"] for doc in self.db.dispatches.docs.values() if doc["state"] in OPEN]
        later += [doc["waits_until"] for doc in self.db.lanes.docs.values() if "waits_until" in doc]
        moments = [-(-(at - START) // timedelta(seconds=1)) for at in later]
        moments += self.etcd.ends_at.values()
        for machine, sender in self.senders.items():
            if machine.frozen_at is not None:
                moments += [c.used_at + IDLE_LIMIT_S for c in sender.connections if not c.closed]
            elif sender.in_flight.tokens():
                moments.append(self.director.now + int(GIVE_BACK_S) + 1)
        moments.append(self._starts_at)
        return min((at for at in moments if at > self.director.now), default=-1)

    def unbelieved_at(self, machine: Machine) -> int:
        """From when on a machine does not believe in its lease, unless it is renewed."""
        sender = self.senders.get(machine)
        return self.director.now + sender.leases.unbelieved_in_s if sender else -1

    def over(self) -> bool:
        through = all(doc["state"] not in OPEN for doc in self.db.dispatches.docs.values())
        return (
            through
            and self._person_is_through
            and not any(s.in_flight.in_hand() for machine, s in self.senders.items() if machine.frozen_at is None)
        )

    def fingerprint(self) -> Any:
        fences = self.fences
        return (
            self.db.changes,
            [(dict(memory.records), dict(memory.tokens)) for memory in fences.memories],
            dict(self.etcd.lanes),
            *(len(provider.log) for provider in self.providers.values()),
        )

    def check_now(self) -> None:
        """What a fence says was released was not accepted: a take-over believes it."""
        records = [record for memory in self.fences.memories for record in memory.records.items()]
        for (_, dispatch), fence in records:
            if fence.outcome is FenceState.RELEASED and any(
                mail.dispatch == dispatch and mail.attempt == fence.attempt for mail in self.accepted
            ):
                raise Violation(f"{dispatch}, attempt {fence.attempt}, was accepted, and its fence says released")

    def passed(self) -> None:
        """Time has passed: heartbeats of whoever lives, and the end of the leases of all others."""
        self.etcd.expire(self.director.now - 1)
        for machine, sender in self.senders.items():
            if machine.frozen_at is None and machine.beats:
                sender.beat()
        self.etcd.expire(self.director.now)

    def replace(self, machine: Machine) -> None:
        if machine in self.senders:
            del self.senders[machine]
            self._spawn()
        else:
            self._come()

    def forget(self) -> None:
        self.fences.forget()

    def fail_over(self, *, loses_last_write: bool) -> None:
        """Whoever lives stays with the old master for now."""
        self.fences.fail_over(loses_last_write=loses_last_write)
        self._with_replaced = {actor.machine for actor in self.director.actors}

    def demote(self) -> None:
        self.fences.demote()
        self._with_replaced = set()

    # Inside

    def _server_now(self) -> datetime:
        return self.director.time_of_day()

    def _step(self, server: str, words: str, use: Callable[[], Any], *, writes: bool) -> Any:
        quiet, actor = words in _QUIET, acting()
        if server != "redis" or actor is None:
            return self.director.step(server, words, use, writes=writes, quiet=quiet)
        stays, turns = partial(self._at_redis, actor.machine, use), partial(self._turned, actor.machine, use)
        otherwise = [("at the other master", turns)] if self.fences.replaced else []
        return self.director.step(server, words, stays, writes=writes, quiet=quiet, otherwise=otherwise)

    def _at_redis(self, machine: Machine, use: Callable[[], Any]) -> Any:
        """At the master that this machine spoke to last."""
        return self.fences.led_to(machine in self._with_replaced, use)

    def _turned(self, machine: Machine, use: Callable[[], Any]) -> Any:
        """From now on this machine speaks to the other master."""
        self._with_replaced ^= {machine}
        return self._at_redis(machine, use)

    def _spawn(self) -> None:
        self._born += 1
        machine = Machine(f"s{self._born}", self.director.now)
        leases = self._make_leases(self.etcd, self.director, machine)
        adapters = [
            MemoryAdapter(provider, self.director, machine, self._make_connection, name=name)
            for name, provider in self.providers.items()
        ]
        sender = Sender(
            machine,
            self.director,
            self.db,
            self.fences,
            leases,
            adapters,
            self._policy,
            mail_lanes=self.mail_lanes,
        )
        self.senders[machine] = sender
        self._made.append(sender)
        self.director.start(machine, sender.threads())

    def _come(self) -> None:
        self._born += 1
        self.director.start(Machine(f"person-{self._born}", self.director.now), {"hand": self._stop_and_start})

    def _stop_and_start(self) -> None:
        """What is done without an answer is done again. Once it is answered for sure, no fence is crossed."""
        brakes: Any = (self.db, MemoryHolds(self.fences), self.fences)
        while not _answered(lambda: sending_switch.stop(*brakes, by="ann").sure):
            self.director.wait_for_change()
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
        content = Content("Ann <ann@mg.example.com>", "Hello", "Hello", "", AudienceId("aud_1"), number)
        contents.add(self.db, ScheduleId("sch_1"), 1, content, valid_from=START, session=inside)
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
