"""Memory and latency, half a minute at a time."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import psutil

from benchmarks.quiet import Others
from benchmarks.soak.book import Book, Times

EVERY_S: Final = 5.0
_WINDOW: Final = 6  # looks at memory
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """Half a minute: when it ended, in seconds from the first one on; the median of each process' memory in MB; the
    times of the mails and pages that were through in it; the cores that others used."""

    at_s: float
    memory_mb: Mapping[str, float]
    ms: Mapping[str, float]
    others_cores: float


@dataclass(slots=True)
class Samples:
    """`look` at the processes every five seconds."""

    pids: Mapping[str, int]
    book: Book
    windows: list[Window] = field(default_factory=list)
    _looks: list[dict[str, float]] = field(default_factory=list)
    _others: Others = field(default_factory=Others)
    _began: float = field(default_factory=time.monotonic)

    def look(self) -> Window | None:
        """The window that ended with this look, if one did."""
        self._looks.append({name: memory_mb(pid) for name, pid in self.pids.items()})
        if len(self._looks) < _WINDOW:
            return None
        memory = {name: statistics.median(look[name] for look in self._looks) for name in self.pids}
        shown = Window(
            time.monotonic() - self._began, memory, percentiles(self.book.times()), round(self._others.cores(), 2)
        )
        self.windows.append(shown)
        self._looks, self._others = [], Others()
        return shown


def memory_mb(pid: int) -> float:
    """What a process and its children hold in memory (RSS), in MB of 1,000,000 bytes. A page that two of them share
    counts twice. Not by shares (PSS): those change as other processes of the machine begin and end."""
    root = psutil.Process(pid)
    return float(sum(one.memory_info().rss for one in (root, *root.children(recursive=True)))) / _MB


def percentiles(times: Times) -> dict[str, float]:
    """The median and the slowest of a hundred of each kind, without those of which there is none."""
    found = {}
    for name, spent in (("intake", times.intake), ("resets", times.resets), ("pages", times.views)):
        if spent:
            found[f"{name} p50"], found[f"{name} p99"] = _at(sorted(spent), 0.5), _at(sorted(spent), 0.99)
    return found


def _at(ordered: Sequence[float], part: float) -> float:
    return round(ordered[min(int(len(ordered) * part), len(ordered) - 1)], 1)
