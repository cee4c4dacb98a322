"""Single mails of high priority, one each quarter of a second, by which is seen when all is whole again.

A probe is handed in through the API under a key of its own, and again with that key until it is promised. It is normal
if its first request was promised within a second, and the provider had it within two seconds of that request. All is
whole from the first probe on since which every probe is normal, as seen five seconds later at the earliest.
"""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from tests.chaos.asking import Asks
from tests.support.system import Simulator, wait_for

PROMISED_S: Final = 1.0
ARRIVED_S: Final = 2.0
ROW_S: Final = 5.0
EVERY_S: Final = 0.25
_AT_ONCE: Final = 64
_LONGEST_S: Final = 120.0


@dataclass(slots=True)
class Probe:
    """Times are seconds since the epoch; None is what has not happened."""

    asked_at: float
    requests: int = 0
    promised_at: float | None = None
    arrived_at: float | None = None  # at the provider, by its own record

    def was_taken_in(self) -> bool:
        return self.requests == 1 and self.promised_at is not None and self.promised_at <= self.asked_at + PROMISED_S

    def is_normal(self) -> bool:
        in_time = self.arrived_at is not None and self.arrived_at <= self.asked_at + ARRIVED_S
        return self.was_taken_in() and in_time

    def is_open(self, now: float) -> bool:
        """It may still become normal."""
        return self.requests <= 1 and now < self.asked_at + ARRIVED_S


def first_of_row(probes: Iterable[Probe], good: Callable[[Probe], bool], *, since: float, now: float) -> Probe | None:
    """The probe from which on all are good; none handed in before `since` counts. None until the row is long enough."""
    first: Probe | None = None
    for probe in sorted(probes, key=lambda one: one.asked_at):
        if probe.asked_at < since:
            continue
        if good(probe):
            first = first or probe
        elif not probe.is_open(now):
            first = None
    return first if first and now >= first.asked_at + ROW_S else None


class Probes(threading.Thread):
    """Hands them in from `start` to `end`; `wait_until_whole` looks at what came of them."""

    def __init__(self, asks: Asks, simulator: Simulator) -> None:
        super().__init__(daemon=True, name="probes")
        self._asks, self._simulator = asks, simulator
        self._ending = threading.Event()
        self._probes: dict[str, Probe] = {}  # by mark
        self._read_up_to = 0  # of the witness's record

    def run(self) -> None:
        due = time.monotonic()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while not self._ending.wait(max(0.0, due - time.monotonic())):
                due += EVERY_S
                pool.submit(self._hand_in)

    def end(self) -> None:
        self._ending.set()
        self.join(90)

    def wait_until_whole(self, since: float) -> tuple[float, float]:
        """The moments at which the API took mail in normally again, and at which it went out normally again. Fails
        where that is not within two minutes."""
        wait_for(lambda: self._whole(since), within_s=_LONGEST_S, what="new mail is taken in and goes out normally")
        now = time.time()
        probes = list(self._probes.values())
        taken_in = first_of_row(probes, Probe.was_taken_in, since=since, now=now)
        whole = first_of_row(probes, Probe.is_normal, since=since, now=now)
        return taken_in.promised_at, whole.arrived_at

    def disturbed(self, since: float) -> list[tuple[float, float | None, float | None]]:
        """Of each probe that was not normal the seconds from `since` until its request, its promise, its arrival."""
        odd = [probe for probe in list(self._probes.values()) if probe.asked_at >= since and not probe.is_normal()]
        times = [
            (probe.asked_at, probe.promised_at, probe.arrived_at) for probe in odd if not probe.is_open(time.time())
        ]
        return [tuple(at and round(at - since, 2) for at in each) for each in times]

    def normal_s(self) -> list[float]:
        """From the request to the provider, of each that was normal, the quickest first."""
        self._read()
        return sorted(probe.arrived_at - probe.asked_at for probe in list(self._probes.values()) if probe.is_normal())

    def _whole(self, since: float) -> bool:
        self._read()
        return first_of_row(list(self._probes.values()), Probe.is_normal, since=since, now=time.time()) is not None

    def _hand_in(self) -> None:
        (mark,) = self._asks.more_mails(1)
        self._probes[mark] = probe = Probe(time.time())
        while True:
            probe.requests += 1
            if self._asks.hand_in([mark], priority="high"):
                probe.promised_at = time.time()
                return
            time.sleep(EVERY_S)

    def _read(self) -> None:
        for mail in self._simulator.mails(after=self._read_up_to):
            self._read_up_to = mail["id"]
            if (probe := self._probes.get(mail["subject"])) and probe.arrived_at is None:
                probe.arrived_at = mail["accepted_at"]
