"""What a round stands on: the stub and a Redis of its own, each a child on the loopback, and what they spent."""

import json
import os
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import psutil

from local import binaries
from local.children import Child
from local.ports import free_port

_START_S: Final = 15.0
_STOP_S: Final = 20.0
_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Count:
    """What the stub received in a round. Times are seconds since the epoch, `cpu_s` the stub's own since its start."""

    calls: int
    distinct: int
    first_at: float | None
    last_at: float | None
    cpu_s: float

    def rate(self) -> float:
        """Calls per second from the first receipt to the last."""
        if self.first_at is None or self.last_at is None or self.last_at <= self.first_at:
            return 0.0
        return (self.calls - 1) / (self.last_at - self.first_at)


class NotReceived(Exception):
    """The mails did not all come within the time; the message says how many did."""


class Stub:
    """A running stub."""

    def __init__(self, child: Child, port: int) -> None:
        self.child, self.port = child, port
        self.url = f"http://127.0.0.1:{port}"

    def count(self) -> Count:
        return Count(**self._ask("GET", "/count"))  # type: ignore[arg-type]

    def receipts(self) -> list[tuple[str | None, float]]:
        return cast(list[tuple[str | None, float]], self._ask("GET", "/receipts"))

    def forget(self) -> None:
        self._ask("DELETE", "/count")

    def wait_for(self, mails: int, *, timeout_s: float, child: Child | None = None) -> Count:
        """Return once that many calls came. Raises NotReceived after the time, or when `child` ends before."""
        deadline = time.monotonic() + timeout_s
        while (count := self.count()).calls < mails:
            if time.monotonic() > deadline or (child is not None and not child.alive()):
                last_words = f":\n{child.tail()}" if child is not None else ""
                raise NotReceived(f"{count.calls} of {mails} mails came{last_words}")
            time.sleep(_POLL_S)
        return count

    def _ask(self, method: str, path: str) -> object:
        with urllib.request.urlopen(urllib.request.Request(self.url + path, method=method), timeout=30) as answer:
            return json.load(answer)


@contextmanager
def a_stub(folder: Path, *, delay_ms: float = 0.0) -> Iterator[Stub]:
    """The stub on a free port, ended afterwards."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.stub", "--port", str(port), "--delay-ms", str(delay_ms)]
    child = Child("stub", command, log=folder / "stub.log", env=dict(os.environ))
    try:
        child.wait_until(lambda: "http://" in child.tail(), timeout_s=_START_S)
        yield Stub(child, port)
    finally:
        child.stop(grace_s=_STOP_S)


@dataclass(frozen=True, slots=True)
class Redis:
    """A running redis-server."""

    child: Child
    url: str


@contextmanager
def a_redis(folder: Path) -> Iterator[Redis]:
    """An empty Redis with an append-only file, synced each second: what people trust a queue to. Ended afterwards."""
    port = free_port()
    (folder / "redis").mkdir(parents=True, exist_ok=True)
    command = [str(binaries.find(binaries.REDIS)), "--dir", str(folder / "redis"), "--port", str(port)]
    command += ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
    child = Child("redis", command, log=folder / "redis.log")
    try:
        child.wait_until(lambda: "eady to accept connections" in child.tail(40), timeout_s=_START_S)
        yield Redis(child, f"redis://127.0.0.1:{port}/0")
    finally:
        child.stop(grace_s=_STOP_S)


def cpu_s(pid: int) -> float:
    """CPU seconds, user and system, of a process and all its living descendants."""
    root = psutil.Process(pid)
    times = [process.cpu_times() for process in [root, *root.children(recursive=True)]]
    return float(sum(each.user + each.system for each in times))


def cpu_of_all(children: Sequence[Child]) -> float:
    """The same, of all of these."""
    return sum(cpu_s(child.pid) for child in children)
