"""A provider with a memory of its own: what it accepted, and the log in which that can be seen a while later."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.doubts import Traces
from mailroom.domain.dispatches.outcomes import Accepted, Outcome, Refusal, Refused
from mailroom.domain.ids import DispatchId
from mailroom.providers.base import Answer, Batch, Letter
from mailroom.providers.connection import LostReply
from tests.interleavings.director import Director, Machine, Menu, Violation

CALL_TIMEOUT_S: Final = 5
IDLE_LIMIT_S: Final = 60
SETTLE_S: Final = 120
LOG_RETENTION_S: Final = 7200
_NEVER_READABLE: Final = os.eventfd(0)  # a caller polls a descriptor while its call is under way


@dataclass(frozen=True)
class Entry:
    """A line of the log."""

    name: str  # a dispatch's, or a control's
    address: str
    attempt: int
    shown_from: int


@dataclass(frozen=True)
class Mail:
    """A request: a dispatch's attempt, and to whom it goes."""

    dispatch: DispatchId
    attempt: int
    addresses: tuple[str, ...]


class Connection:
    """Stands in for a live connection. It is open until it was idle for longer than the limit: the provider's side
    knows the true time, ours the machine's. A call begins and ends with one step of its caller."""

    writing: Final = False
    deadline: Final = float("inf")

    def __init__(self, machine: Machine, director: Director, provider: "Provider") -> None:
        self._machine, self._director, self._provider = machine, director, provider
        self.closed, self._request = True, None
        self.used_at = self._used_at_ours = 0

    def open(self) -> None:
        self.closed = False
        self.used()

    def usable(self) -> bool:
        """As providers/connection.py: young enough by our own clock, and not closed by the other side.

        What its caller sees just before a call may be out of date when it calls: a step of its own."""
        if self._director.acts("caller"):
            self._director.step_in_ways("looks at its connection", [("", lambda: None)], changes_something=True)
        return self._director.own_time(self._machine) - self._used_at_ours <= IDLE_LIMIT_S / 2 and self.is_open()

    def is_open(self) -> bool:
        return not self.closed and self._director.now - self.used_at <= IDLE_LIMIT_S

    def used(self) -> None:
        self.used_at, self._used_at_ours = self._director.now, self._director.own_time(self._machine)

    def begin(self, request: "Mail") -> None:
        self._request = request

    def advance(self) -> Any:
        """Raises LostReply."""
        mail, self._request = self._request, None
        assert mail is not None
        return self._provider.call(self, mail)

    def fileno(self) -> int:
        return _NEVER_READABLE

    def close(self) -> None:
        self.closed = True


class Provider:
    """Accepts what it is asked to, and shows it in its log after `lag_s`, which is no longer than the settling time."""

    def __init__(self, director: Director, *, lag_s: int = SETTLE_S) -> None:
        self._director, self.lag_s = director, lag_s
        self.accepted: list[Mail] = []
        self.log: list[Entry] = []
        self._controls = 0

    def call(self, connection: Connection, mail: Mail) -> Outcome:
        """One request over this connection, and what its caller learns of it. Raises LostReply."""
        words = f"provider: call for {mail.dispatch}, attempt {mail.attempt}"
        menu = self._director.menu
        ways: list[tuple[str, Callable[[], Outcome]]] = [("", lambda: self._accept(connection, mail))]
        if Menu.CALLS in menu:
            ways += [
                ("accepted, the answer is lost", lambda: self._lost(connection, lambda: self._take(mail))),
                ("lost on the way", lambda: self._lost(connection, lambda: None)),
                ("on its way for long", lambda: self._lost(connection, lambda: self._take_late(mail))),
            ]
        if Menu.REFUSE in menu:
            ways += [(f"refused: {kind}", lambda k=kind: Refused(k, "no")) for kind in _REFUSALS]  # type: ignore[misc]
        return self._director.step_in_ways(words, ways, changes_something=True)

    def _accept(self, connection: Connection, mail: Mail) -> Outcome:
        if not connection.is_open():  # the machine may have stood still just before it wrote
            return self._lost(connection, lambda: None)
        self._take(mail)
        connection.used()
        return Accepted(_provider_id(mail))

    def _lost(self, connection: Connection, happens: Callable[[], None]) -> Outcome:
        if connection.is_open():
            happens()
        connection.close()
        raise LostReply("no answer")

    def _take_late(self, mail: Mail) -> None:
        words = f"provider: {mail.dispatch}, attempt {mail.attempt}"
        self._director.later(words, CALL_TIMEOUT_S, lambda: self._take(mail))

    def _take(self, mail: Mail) -> None:
        for address in mail.addresses:
            if any(address in earlier.addresses for earlier in self.accepted):
                raise Violation(f"{address} got it twice: {[*self.accepted, mail]}")
        self.accepted.append(mail)
        shown_from = self._director.now + self.lag_s
        self.log += [Entry(mail.dispatch, address, mail.attempt, shown_from) for address in mail.addresses]


_REFUSALS: Final = (Refusal.TEMPORARY, Refusal.PERMANENT, Refusal.RECIPIENT, Refusal.ACCOUNT)


def _provider_id(mail: Mail) -> str:
    return f"id-of-{mail.dispatch}"


class MemoryAdapter:
    """Stands in for a provider's adapter, for one machine. Its request is the mail itself, a reply its outcome."""

    name: str
    account: Final = "mg.example.com"
    askable: Final = True
    max_recipients: Final = 1_000
    max_connections: Final = 100

    def __init__(
        self,
        provider: Provider,
        director: Director,
        machine: Machine,
        make: type[Connection] = Connection,
        *,
        name: str = "mailgun",
    ) -> None:
        self.name = name
        self._provider, self._director, self._machine, self._make = provider, director, machine, make
        self.connections: list[Connection] = []  # all that were ever made

    def connection(self) -> Connection:
        self.connections.append(self._make(self._machine, self._director, self._provider))
        return self.connections[-1]

    def build(self, batch: Batch) -> Mail:
        return Mail(batch.dispatch, batch.attempt, tuple(sorted(message.address for message in batch.messages)))

    def build_letter(self, letter: Letter) -> Mail:
        return Mail(letter.dispatch, letter.attempt, tuple(sorted(letter.recipients)))

    def read(self, reply: Outcome) -> Outcome:
        return reply

    def log_name(self, dispatch: DispatchId, _account: str) -> str:
        return dispatch

    def ask(
        self,
        _account: str,
        dispatches: Sequence[DispatchId],
        control: str | None,
        told_as: Mapping[DispatchId, Sequence[str]] = MappingProxyType({}),
    ) -> Answer:
        def use() -> Answer:
            shown = [entry for entry in self._provider.log if entry.shown_from <= self._director.now]
            traces = {id_: _traces([entry for entry in shown if entry.name == id_]) for id_ in dispatches}
            return Answer(traces, control is not None and any(entry.name == control for entry in shown))

        ways = [("", use)]
        if Menu.EMPTY in self._director.menu:
            ways.append(("its log is empty", lambda: Answer({id_: Traces() for id_ in dispatches}, False)))
        words = f"provider: question about {', '.join(dispatches)}"
        return self._director.step_in_ways(words, ways, changes_something=False)

    def make_control(self, _account: str) -> str:
        def use() -> str:
            self._provider._controls += 1
            name = f"control-{self._provider._controls}"
            self._provider.log.append(Entry(name, "", 0, self._director.now + self._provider.lag_s))
            return name

        return self._director.step("provider", "control", use, writes=True)


def _traces(entries: Sequence[Entry]) -> Traces:
    return Traces(
        frozenset(fold(entry.address) for entry in entries),
        {entry.attempt: f"id-of-{entry.name}" for entry in entries},
    )
