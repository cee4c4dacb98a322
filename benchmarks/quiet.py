"""Is anybody else at work on this machine? A figure from a shared machine is worth what it says about the others."""

import time
from typing import Final

import psutil
from rich.console import Console

_QUIET_CORES: Final = 0.15
WAIT_S: Final = 90.0


class Others:
    """The cores that others used since this was made, on average. Ours are this process and all its descendants."""

    def __init__(self) -> None:
        self._at, self._others_s = time.monotonic(), _busy_s() - _ours_s()

    def cores(self) -> float:
        return max(0.0, _busy_s() - _ours_s() - self._others_s) / (time.monotonic() - self._at)

    def quiet(self) -> bool:
        return self.cores() < _QUIET_CORES


def wait_until_quiet(console: Console, wait_s: float = WAIT_S) -> None:
    """Let other work come to its end, within reason."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        others = Others()
        time.sleep(1)
        if others.quiet():
            return
    console.log("others do not leave the machine alone")


def _busy_s() -> float:
    """CPU seconds of all processes, and of neighbours on the host; the kernel's interrupts are nobody's."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.steal)


def _ours_s() -> float:
    """Those of this process and its descendants, the dead ones among them as far as they were waited for."""
    spent = 0.0
    us = psutil.Process()
    for process in [us, *us.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent += times.user + times.system + times.children_user + times.children_system
    return spent
