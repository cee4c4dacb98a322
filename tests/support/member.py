"""One process of a cluster, behind a proxy under whose port the others and all clients know it."""

import signal
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from local.children import Child
from tests.chaos.proxy import Proxy


@dataclass(eq=False)
class Member:
    """How to start it, and the proxies before it."""

    store: str  # mongo, etcd, redis
    number: int
    port: int  # its own, behind the proxy
    begin: Callable[["Member"], Child]
    leads: Callable[[int], bool]  # asked at its own port
    well: Callable[[int], bool]  # asked at its own port: it follows a leader, or leads the others
    ways: list[Proxy]
    child: Child = field(init=False)

    def start(self) -> None:
        self.child = self.begin(self)

    def kill(self) -> None:
        self.child.kill()

    def freeze(self) -> None:
        self.child.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.child.process.send_signal(signal.SIGCONT)

    def shut_out(self, processes: Collection[int]) -> None:
        """Let nobody of these in; with none, everybody."""
        for way in self.ways:
            way.shut_out = frozenset(processes)

    def is_leader(self) -> bool:
        return _quietly(self.leads, self.port)

    def is_well(self) -> bool:
        return _quietly(self.well, self.port)

    def close(self) -> None:
        if hasattr(self, "child"):
            self.child.kill()
        for way in self.ways:
            way.close()


def _quietly(asks: Callable[[int], bool], port: int) -> bool:
    try:
        return asks(port)
    except (PyMongoError, RedisError, OSError, ValueError, KeyError):
        return False
