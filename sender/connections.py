"""Live connections to the provider: made ready before anything is claimed, lent for one call each.

Step 1 of the protocol: a connection is opened only after a fresh linearizable read of the lease, never for a dispatch
whose fence is already crossed.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from mailroom.providers.connection import LiveConnection, NotWritten

log = structlog.get_logger()


class Connections:
    """At most `limit` connections; those that are not lent out wait here. `reserved` of them are for what is urgent."""

    def __init__(self, make: Callable[[], LiveConnection], *, limit: int, reserved: int) -> None:
        self._make, self.limit, self._reserved = make, limit, reserved
        self._idle: list[LiveConnection] = []
        self._lent = 0
        self._lock = threading.Lock()
        self._openers = ThreadPoolExecutor(max_workers=min(limit, 16), thread_name_prefix="open")

    def room(self, *, urgent: bool = False) -> int:
        """How many more calls may be made at once."""
        with self._lock:
            return max(0, self.limit - self._lent - (0 if urgent else self._reserved))

    def lend(self, count: int, confirm_lease: Callable[[], bool]) -> list[LiveConnection]:
        """Up to `count` open connections; fewer where the provider cannot be reached, none where the lease is gone.

        `confirm_lease` is asked, once, only if one must be opened.
        """
        ready, missing = self._take_idle(min(count, self.room(urgent=True)))
        if missing and confirm_lease():
            ready += [opened for opened in self._openers.map(self._open, range(missing)) if opened]
        with self._lock:
            self._lent += len(ready)
        return ready

    def give_back(self, connections: Sequence[LiveConnection]) -> None:
        with self._lock:
            self._lent -= len(connections)
            self._idle += connections

    def close(self) -> None:
        self._openers.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def _take_idle(self, count: int) -> tuple[list[LiveConnection], int]:
        with self._lock:
            waiting, self._idle = self._idle, []
        ready: list[LiveConnection] = []
        for connection in waiting:
            if not connection.usable():
                connection.close()
            elif len(ready) < count:
                ready.append(connection)
            else:
                with self._lock:
                    self._idle.append(connection)
        return ready, count - len(ready)

    def _open(self, _: int) -> LiveConnection | None:
        connection = self._make()
        try:
            connection.open()
        except NotWritten as error:
            log.warning("provider_not_reached", error=str(error))
            return None
        return connection
