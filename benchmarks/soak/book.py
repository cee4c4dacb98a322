"""What was asked for, and what the witness has of it: each mail's times, and how often it went out."""

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tests.support.system import Simulator

CAMPAIGN: Final = "campaign"  # the subject of its mails
_ONE_IN: Final = 10  # is opened by its reader


@dataclass(slots=True)
class Times:
    """Milliseconds, in the order in which they came."""

    intake: list[float] = field(default_factory=list)  # from when a mail was due to be handed in until its 202
    resets: list[float] = field(default_factory=list)  # until the provider had it; of high priority
    views: list[float] = field(default_factory=list)  # until a page was there


class Book:
    """Thread-safe."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator, self._lock = simulator, threading.Lock()
        self._due: dict[str, tuple[float, bool]] = {}  # promised, and not at the provider yet
        self._early: dict[str, float] = {}  # at the provider before its promise was read
        self._seen: set[str] = set()
        self._campaign: Counter[tuple[str, str]] = Counter()  # by run and recipient
        self._read_up_to = self._numbered = 0
        self._times = Times()
        self.untold = 0  # webhooks that the provider has still to send, or to send again
        self.asked = self.arrived = self.refused = self.doubled = self.views = 0

    def new_mark(self) -> tuple[str, bool]:
        """A mail's mark, and whether it is a reset: one in four is."""
        with self._lock:
            self._numbered += 1
            return f"s{self._numbered}", self._numbered % 4 == 0

    def promised(self, mark: str, *, due_at: float, reset: bool) -> None:
        with self._lock:
            self.asked += 1
            self._times.intake.append((time.time() - due_at) * 1000)
            if (arrived_at := self._early.pop(mark, None)) is None:
                self._due[mark] = (due_at, reset)
            else:
                self._note(due_at, arrived_at, reset=reset)

    def was_refused(self) -> None:
        with self._lock:
            self.refused += 1

    def viewed(self, ms: float) -> None:
        with self._lock:
            self.views += 1
            self._times.views.append(ms)

    def waiting(self) -> int:
        """How many single mails are promised and not at the provider yet."""
        return len(self._due)

    def times(self) -> Times:
        """Those since the last time that they were taken."""
        with self._lock:
            taken, self._times = self._times, Times()
        return taken

    def read(self) -> None:
        """What the witness has since the last time. Readers open one mail in ten."""
        self.untold = self._simulator.record()["webhooks_waiting"]
        mails = self._simulator.mails(after=self._read_up_to)
        for mail in mails:
            self._read_up_to = mail["id"]
            with self._lock:
                self._arrived(mail["subject"], mail)
        for mail in mails:
            if mail["id"] % _ONE_IN == 0:
                self._simulator.open_mail(mail["id"])

    def campaign(self) -> dict[str, int]:
        """By run: to how many recipients it went. What went twice is in `doubled`."""
        return dict(Counter(run for run, _ in self._campaign))

    def _arrived(self, mark: str, mail: dict[str, str]) -> None:
        if mark == CAMPAIGN:
            who = json.loads(mail["user_variables"])["run"], mail["recipient"]
            self.doubled += who in self._campaign
            self._campaign[who] += 1
            return
        if mark in self._seen:
            self.doubled += 1
            return
        self._seen.add(mark)
        if (waited := self._due.pop(mark, None)) is None:
            self._early[mark] = float(mail["accepted_at"])
        else:
            self._note(waited[0], float(mail["accepted_at"]), reset=waited[1])

    def _note(self, due_at: float, arrived_at: float, *, reset: bool) -> None:
        self.arrived += 1
        if reset:
            self._times.resets.append((arrived_at - due_at) * 1000)
