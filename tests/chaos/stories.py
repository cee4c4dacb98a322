"""Stories: what goes on beside the campaigns while all is broken. Each keeps an account of its own of what it asked
for, and says in the end what must have come of it. What the product says of itself is held to that account.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import requests

from tests.chaos.rounds import AskedRun
from tests.chaos.witness import Copy

if TYPE_CHECKING:
    from tests.chaos.world import World


class Wrong(StrEnum):
    DOUBLED = "doubled"
    LOST = "lost"
    UNKNOWN = "unknown"
    WRONG = "wrong"  # at another time, to somebody who was to get nothing, or not as a report has it
    #: Nothing is wrong: of a run that began in a time that MongoDB lost, mails may be unknown (ADR 24).
    ACCOUNTED = "accounted"


@dataclass(frozen=True, slots=True)
class Finding:
    wrong: Wrong
    where: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A time that MongoDB lost: from the copy to which it was put back until it was."""

    copied_at: float
    until: float

    def has(self, moment: float) -> bool:
        return self.copied_at <= moment <= self.until


@dataclass(frozen=True, slots=True)
class Told:
    """What a story amounts to. `changes`: what it asked for meanwhile, in its own unit."""

    runs: int
    mails: int
    changes: int
    changes_shown: str


_SETTLE_S: Final = 60.0


class Story(threading.Thread):
    """Takes a step now and then until it is told to finish. While `at_rest` is held, nothing is asked for."""

    name_shown = ""
    pause_s = 0.3

    def __init__(self, world: "World", rng: random.Random) -> None:
        super().__init__(daemon=True, name=type(self).__name__)
        self.world, self.rng = world, rng
        self.at_rest, self._ending = threading.Lock(), threading.Event()
        self._fault = ""

    def prepare(self) -> None:
        """What it needs. Everything is well."""

    def run(self) -> None:
        try:
            while not self._ending.wait(self.pause_s):
                with self.at_rest:
                    self.step()
        except Exception as error:
            self._fault = repr(error)
            raise

    def step(self) -> None:
        raise NotImplementedError

    def beat(self) -> None:
        """Between two faults, by the driver: for what no copy may lack. Nothing is broken at the moment."""

    def put_back(self, gap: Gap) -> None:
        """MongoDB was put back to a copy; senders hold. The story is at rest."""

    def ask_again(self, gap: Gap) -> None:
        """Senders go on: what was promised since the copy is to be asked for again."""

    def end(self) -> None:
        """Begin nothing new. Some things are still broken."""

    def finish(self) -> None:
        """Take no further step."""
        self._ending.set()
        self.join(_SETTLE_S)

    def waiting(self) -> Counter[str]:
        """What must still come of it before it can be judged. Nothing is broken any more."""
        return Counter()

    def findings(self, every: Sequence[Copy]) -> Iterator[Finding]:
        """What is wrong, by all that providers took. Everything is quiet."""
        if self._fault:
            yield Finding(Wrong.WRONG, f"{self.name_shown} stopped: {self._fault}")
        yield from self.judge(every)

    def judge(self, every: Sequence[Copy]) -> Iterator[Finding]:
        raise NotImplementedError

    def told(self, every: Sequence[Copy]) -> Told:
        raise NotImplementedError

    def ask(self, method: str, path: str, **rest: Any) -> requests.Response | None:
        """The API's answer; None if none came."""
        try:
            return self.world.system.call(method, path, **rest)
        except requests.RequestException:
            return None

    def run_now(self, run: AskedRun) -> bool:
        """Ask for a run under its key. False if it was not promised, this time."""
        run.asked = run.asked or time.time()
        answer = self.ask("POST", f"/v1/schedules/{run.schedule}/run-now", headers={"Idempotency-Key": run.key})
        if answer is None or answer.status_code not in (200, 202):
            return False
        run.promised, run.id = time.time(), answer.json()["id"]
        run.began = run.began or run.promised
        return True

    def unknown_to(self, run_began: float) -> Wrong:
        """What it is that nobody knows whether a mail of this run went out."""
        lost = any(gap.has(run_began) for gap in self.world.gaps)
        return Wrong.ACCOUNTED if lost else Wrong.UNKNOWN
