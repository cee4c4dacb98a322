"""TCP ports of the loopback for servers that are about to be started, each given to one process alone."""

import contextlib
import os
import random
import socket
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_LENT: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST: Final = 20_000
_LOWEST_LENT: Final = 32_768  # where the kernel does not tell
#: Ports of one block. Whoever binds the first port of a block has the others to give.
_BLOCK: Final = 64
#: Blocks that a process keeps. Servers on ports of older ones have long been started, or were given up.
_KEPT: Final = 4


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on at this moment, and that no outgoing connection is given.

    This process gets each port only once, and no other process that asks here gets it soon: between a port's choice
    and the start of its server seconds may pass. Raises OSError if none is left.
    """
    return _pool.take()


class _Pool:
    """The ports of one process."""

    def __init__(self) -> None:
        self._starts = list(range(_LOWEST, max(_lent_from(), _LOWEST + 1_000) - _BLOCK, _BLOCK))
        random.SystemRandom().shuffle(self._starts)  # tests set the seed of the common one
        self._kept: deque[socket.socket] = deque()
        self._ports: Iterator[int] = iter(())

    def take(self) -> int:
        for port in self._ports:
            with contextlib.suppress(OSError), _bound(port):
                return port
        self._ports = self._next_block()
        return self.take()

    def _next_block(self) -> Iterator[int]:
        while self._starts:
            start = self._starts.pop()
            with contextlib.suppress(OSError):
                self._kept.append(_bound(start))
                if len(self._kept) > _KEPT:
                    self._kept.popleft().close()
                return iter(range(start + 1, start + _BLOCK))
        raise OSError("no free port is left")


def _bound(port: int) -> socket.socket:
    """A socket that holds the port, without listening. Raises OSError where somebody else has it."""
    made = socket.socket()
    try:
        made.bind(("127.0.0.1", port))
    except OSError:
        made.close()
        raise
    return made


def _lent_from() -> int:
    """The kernel lends the ports from this one on to outgoing connections: one of those that is free now may be taken
    by the time it is listened on."""
    return int(_LENT.read_text().split()[0]) if _LENT.exists() else _LOWEST_LENT


_pool = _Pool()


def _begin_anew() -> None:
    """A forked process would give the same ports as its parent."""
    global _pool
    _pool = _Pool()


os.register_at_fork(after_in_child=_begin_anew)
