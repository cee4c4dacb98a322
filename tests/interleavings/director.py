"""Who acts next, and what goes wrong: a deterministic schedule of a few sender processes over shared servers.

Every use of a server is one step. Before each, the director asks `choose` among what may happen now. The first option
is always the ordinary one (whoever acts goes on, the server answers); every other one is a deviation: another thread
goes first, the process is killed, or frozen with its clocks, an answer gets lost, a write comes late. So a schedule is
the list of its deviations, and the same list gives the same run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Flag, auto
from typing import Any, Final

from greenlet import GreenletExit, getcurrent, greenlet

from mailroom.domain.errors import Unavailable

START: Final = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)  # MongoDB's time at second 0
STALL_S: Final = 15  # for so long a use of a store may take: mailroom.storage.database.CALL_S
SPLIT_S: Final = 60  # for so long a replaced master answers still
_MOST_STEPS: Final = 25_000  # a doubt that no control ends lasts for as long as the log is kept
_MOST_LOOKS_IN_VAIN: Final = 10
_Way = tuple[str, Callable[[], Any]]  # in words, and the use of a server
Choose = Callable[[Sequence[str]], int]  # of the options, in words; the first is the ordinary one


class Menu(Flag):
    """Which deviations are offered."""

    SWITCH = auto()
    CRASH = auto()
    FREEZE = auto()
    STALL = auto()  # one thread waits for a store, while its process lives
    LOSE = auto()  # a use of a store is not answered: it was done or not
    LATE = auto()  # it is not answered, and done some time later
    REFUSE = auto()  # the provider refuses
    BEAT = auto()  # a heartbeat is left out
    CALLS = auto()  # the provider's answer gets lost, or the request arrives late
    FORGET = auto()  # Redis loses its memory
    FAIL_OVER = auto()  # Redis' replica becomes master, and the old master answers for some time still
    EMPTY = auto()  # the provider's log shows nothing, neither of the dispatch nor of a control


EVERYTHING: Final = ~Menu(0)


class Violation(Exception):
    """A promise is broken."""


@dataclass(eq=False)
class Machine:
    """One sender process. While it is frozen its own clock stands still."""

    name: str
    born_at: int
    frozen_at: int | None = None
    alive: bool = True
    stood_still_s: int = 0
    missed_a_beat: bool = False
    beats: bool = True

    @property
    def runs(self) -> bool:
        return self.alive and self.frozen_at is None

    def clock(self, now: int) -> int:
        return (now if self.frozen_at is None else self.frozen_at) - self.born_at - self.stood_still_s


@dataclass(eq=False)
class Pending:
    """A use of a server that is about to take place, and the ways in which it may."""

    words: str
    ways: Sequence[_Way]
    changes_something: bool


@dataclass(eq=False)
class Actor:
    """One thread of a machine."""

    name: str
    machine: Machine
    director: "Director"
    body: greenlet = field(init=False)
    pending: Pending | None = None
    waits_for: Callable[[], bool] | None = None
    stalled_until: int = 0


def acting() -> Actor | None:
    """The thread that is at work; None outside of all."""
    return getattr(getcurrent(), "actor", None)


@dataclass(frozen=True)
class _Option:
    words: str
    happen: Callable[[], None]


@dataclass(eq=False)
class _Floating:
    words: str
    due: int
    use: Callable[[], Any]


class Director:
    """`world` tells what time brings (`next_event`), what has changed (`fingerprint`), and when all is over (`over`);
    it is told of deaths (`replace`), of time (`passed`) and of changes (`check_now`). Deviations are offered only where
    the words of a step contain some of those in `near`."""

    def __init__(self, world: Any, choose: Choose, menu: Menu, *, near: Sequence[str] = ("",)) -> None:
        self._world, self._choose, self.menu, self._near = world, choose, menu, near
        self.now = 0
        self.version = 0
        self.trace: list[str] = []
        self.deviations: list[str] = []
        self.actors: list[Actor] = []
        self._machines: list[Machine] = []
        self._floating: list[_Floating] = []
        self._current: Actor | None = None
        self._crashes_left, self._forgets_left, self._freezes_left, self._beats_left = 3, 1, 4, 2
        self._fail_overs_left = 1
        self._looks_in_vain = 0
        self._version_when_time_passed = -1
        self._hub = getcurrent()

    def start(self, machine: Machine, threads: dict[str, Callable[[], None]]) -> None:
        self._machines.append(machine)
        for name, run in threads.items():
            actor = Actor(f"{machine.name}.{name}", machine, self)
            actor.body = greenlet(run, parent=self._hub)
            actor.body.actor = actor  # type: ignore[attr-defined]
            self.actors.append(actor)

    # What the threads use

    def step(
        self,
        server: str,
        words: str,
        use: Callable[[], Any],
        *,
        writes: bool,
        quiet: bool = False,
        otherwise: Sequence[_Way] = (),
    ) -> Any:
        """Let a use of a store take place when it is chosen, and answer as it was chosen. `otherwise`: further ways in
        which it may."""
        if quiet or acting() is None:
            return use()
        ways = [("", use), *otherwise]
        if writes and Menu.LOSE in self.menu:
            ways += [("not done, no answer", _no_answer), ("done, no answer", lambda: (use(), _no_answer()))]
        if writes and Menu.LATE in self.menu:
            ways.append(("late, no answer", lambda: self._later(f"{server}: {words}", 2 * STALL_S, use)))
        return self.step_in_ways(f"{server}: {words}", ways, changes_something=writes)

    def step_in_ways(self, words: str, ways: Sequence[_Way], *, changes_something: bool) -> Any:
        actor = acting()
        if actor is None:
            return ways[0][1]()
        actor.pending = Pending(words, ways, changes_something)
        return self._hub.switch()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        actor = acting()
        assert actor is not None
        actor.waits_for = condition
        self._hub.switch()

    def wait_for_change(self) -> None:
        """Until something was written by anybody, or time has passed."""
        seen = (self.version, self.now)
        self.wait_for(lambda: (self.version, self.now) != seen)

    def later(self, words: str, within_s: int, use: Callable[[], Any]) -> None:
        """It will happen at some time within this span."""
        self._floating.append(_Floating(words, self.now + within_s, use))

    def _later(self, words: str, within_s: int, use: Callable[[], Any]) -> None:
        self.later(words, within_s, use)
        _no_answer()

    def acts(self, thread: str) -> bool:
        """True if this is such a thread of some machine."""
        actor = acting()
        return actor is not None and actor.name.endswith(f".{thread}")

    def own_time(self, machine: Machine) -> int:
        """Seconds since its start, by the machine's own clock."""
        return machine.clock(self.now)

    def time_of_day(self) -> datetime:
        """The true time, which MongoDB tells."""
        return START + timedelta(seconds=self.now)

    # The course of a run

    def run(self) -> None:
        """Until all is over and everybody waits. Raises Violation."""
        try:
            for _ in range(_MOST_STEPS):
                options = self._options()
                if not options:
                    return
                number = self._choose([option.words for option in options]) if len(options) > 1 else 0
                chosen = options[number]
                self.trace.append(f"{self.now:>5} s  {'* ' if number else '  '}{chosen.words}")
                if number:
                    self.deviations.append(chosen.words)
                chosen.happen()
            raise Violation("it goes on for ever")
        finally:
            for actor in self.actors:
                actor.body.throw(GreenletExit)

    def _options(self) -> list[_Option]:
        ready = [actor for actor in self.actors if self._is_ready(actor)]
        if not ready:
            return self._when_all_wait()
        current = self._current if self._current in ready else ready[0]
        assert current is not None
        pending = current.pending
        if pending is None:  # it wakes up, or begins
            return [_Option(f"{current.name} wakes", lambda: self._go(current, None))]
        does = f"{current.name}  {pending.words}"
        ways = [_Option(f"{does}  {words}", self._way(current, use)) for words, use in pending.ways]
        if not any(words in pending.words for words in self._near):
            return ways[:1]
        return ways + self._disturbances(current, pending, ready)

    def _disturbances(self, current: Actor, pending: Pending, ready: Sequence[Actor]) -> list[_Option]:
        menu, found, where = self.menu, [], f"{current.name} before  {pending.words}"
        machine = current.machine
        if Menu.SWITCH in menu:
            found += [_Option(f"{a.name} goes before {where}", self._switch(a)) for a in ready if a is not current]
        if pending.changes_something:
            if Menu.CRASH in menu and self._crashes_left:
                found.append(_Option(f"crash of {where}", lambda: self._crash(machine)))
            if Menu.FREEZE in menu and self._freezes_left:
                found.append(_Option(f"freeze of {where}", lambda: self._freeze(machine)))
            if Menu.STALL in menu:
                found.append(_Option(f"stall of {where}", lambda: self._stall(current)))
            if Menu.FORGET in menu and self._forgets_left:
                found.append(_Option(f"Redis forgets, {where}", self._forget))
            if Menu.FAIL_OVER in menu and self._fail_overs_left:
                found += [
                    _Option(f"Redis fails over{words}, {where}", self._fail_over(loses))
                    for loses, words in ((False, ""), (True, " and loses its last write"))
                ]
        return found + self._thaws() + self._arrivals()

    def _when_all_wait(self) -> list[_Option]:
        thaws = self._thaws()
        over = self._world.over()
        if over and not self._floating:
            return thaws[:1]
        event = min([at for at in [self._world.next_event(), *self._own_events()] if at > self.now], default=None)
        if event is not None and self.version != self._version_when_time_passed:
            event = self.now + 1  # senders look at many things once a second, and may see by then what has changed
        arrivals = self._arrivals()
        if (over or event is None) and (arrivals or thaws):
            return arrivals + thaws
        # Whoever waits looks again after a second, even if nothing tells that it would see something new.
        to = self.now + 1 if event is None else event
        self._looks_in_vain = self._looks_in_vain + 1 if event is None else 0
        if self._looks_in_vain > _MOST_LOOKS_IN_VAIN:
            raise Violation("something is left undone for ever")
        return [_Option("time passes", lambda: self._pass(to)), *self._without_a_beat(to), *thaws, *arrivals]

    def _without_a_beat(self, to: int) -> list[_Option]:
        if Menu.BEAT not in self.menu or not self._beats_left:
            return []

        def passes(machine: Machine) -> None:
            self._beats_left -= 1
            machine.beats = False
            # Long enough for its lease not to be believed any more, if nothing that is on its way comes before.
            until = max(to, self._world.unbelieved_at(machine))
            self._pass(min([until, *(f.due for f in self._floating)]))
            machine.beats = True

        living = [machine for machine in self._machines if machine.runs]
        return [_Option(f"time passes, no heartbeat of {m.name}", lambda m=m: passes(m)) for m in living]  # type: ignore[misc]

    def _own_events(self) -> list[int]:
        return [a.stalled_until for a in self.actors] + [f.due for f in self._floating]

    def _is_ready(self, actor: Actor) -> bool:
        if actor.body.dead or not actor.machine.runs or actor.stalled_until > self.now:
            return False
        return actor.waits_for is None or actor.waits_for()

    def _thaws(self) -> list[_Option]:
        frozen = [m for m in self._machines if m.alive and m.frozen_at is not None]
        return [_Option(f"thaw of {machine.name}", lambda m=machine: self._thaw(m)) for machine in frozen]  # type: ignore[misc]

    def _arrivals(self) -> list[_Option]:
        return [_Option(f"at last  {f.words}", lambda f=f: self._arrive(f)) for f in self._floating]  # type: ignore[misc]

    # What may happen

    def _way(self, actor: Actor, use: Callable[[], Any]) -> Callable[[], None]:
        return lambda: self._go(actor, use)

    def _go(self, actor: Actor, use: Callable[[], Any] | None) -> None:
        self._current, actor.pending, actor.waits_for = actor, None, None
        try:
            answer = self._change(use) if use else None
        except Violation:
            raise
        except Exception as error:
            actor.body.throw(error)
        else:
            actor.body.switch(answer) if actor.body else actor.body.switch()

    def _change(self, use: Callable[[], Any]) -> Any:
        before = self._world.fingerprint()
        try:
            return use()
        finally:
            if before != self._world.fingerprint():
                self.version += 1
                self._world.check_now()

    def _switch(self, to: Actor) -> Callable[[], None]:
        pending = to.pending
        return lambda: self._go(to, pending.ways[0][1] if pending else None)

    def _crash(self, machine: Machine) -> None:
        self._crashes_left -= 1
        machine.alive = False
        self._world.replace(machine)

    def _freeze(self, machine: Machine) -> None:
        self._freezes_left -= 1
        machine.frozen_at = self.now

    def _thaw(self, machine: Machine) -> None:
        assert machine.frozen_at is not None
        machine.stood_still_s += self.now - machine.frozen_at
        machine.frozen_at, machine.missed_a_beat = None, True
        woken = [actor for actor in self.actors if actor.machine is machine and self._is_ready(actor)]
        self._current = next((actor for actor in woken if actor.pending), self._current)

    def _stall(self, actor: Actor) -> None:
        actor.stalled_until = self.now + STALL_S

    def _forget(self) -> None:
        self._forgets_left -= 1
        self._change(self._world.forget)

    def _fail_over(self, loses_last_write: bool) -> Callable[[], None]:
        def happens() -> None:
            self._fail_overs_left -= 1
            self._change(lambda: self._world.fail_over(loses_last_write=loses_last_write))
            self.later("the old master learns that it was replaced", SPLIT_S, self._world.demote)

        return happens

    def _arrive(self, floating: _Floating) -> None:
        self._floating.remove(floating)
        try:
            self._change(floating.use)
        except Violation:
            raise
        except Exception as refused:  # nobody waits for the answer any more
            self.trace.append(f"{'':>7}  refused: {refused}")

    def _pass(self, to: int) -> None:
        self.now, self._version_when_time_passed = to, self.version
        self._world.passed()
        for floating in [f for f in self._floating if f.due <= to]:
            self._arrive(floating)


def _no_answer() -> None:
    raise Unavailable("no answer")
