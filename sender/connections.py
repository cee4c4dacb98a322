"""Live connections to the providers: made ready before anything is claimed, lent for one call each.

Step 1 of the protocol: a connection is opened only after a fresh linearizable read of the lease, never for a dispatch
whose fence is already crossed.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from mailroom.providers.base import Connection
from mailroom.providers.connection import NotWritten

log = structlog.get_logger()


class Connections:
    """At most `limit` connections are lent out at a time, and no more than `most` of a provider; the others wait here.
    `reserved` of them are for what is urgent. `not_reached` is told how often a provider could not be reached."""

    def __init__(
        self,
        make: Mapping[str, Callable[[], Connection]],
        *,
        most: Mapping[str, int],
        limit: int,
        reserved: int,
        not_reached: Callable[[str, int], None],
    ) -> None:
        self._make, self._most, self._not_reached = make, most, not_reached
        self.limit, self._reserved = limit, reserved
        self._idle: dict[str, list[Connection]] = {provider: [] for provider in make}
        self._lent: dict[Connection, str] = {}
        self._lock = threading.Lock()
        self._openers = ThreadPoolExecutor(max_workers=min(limit, 16), thread_name_prefix="open")

    def room(self, *, urgent: bool = False) -> int:
        """How many more calls may be made at once."""
        with self._lock:
            return max(0, self.limit - len(self._lent) - (0 if urgent else self._reserved))

    def _room_of(self, provider: str) -> int:
        with self._lock:
            return max(0, self._most[provider] - sum(lent == provider for lent in self._lent.values()))

    def lend(self, provider: str, count: int, confirm_lease: Callable[[], bool]) -> list[Connection]:
        """Up to `count` open connections; fewer where the provider cannot be reached, none where the lease is gone.

        `confirm_lease` is asked, once, only if one must be opened.
        """
        ready, missing = self._take_idle(provider, min(count, self.room(urgent=True), self._room_of(provider)))
        if missing and confirm_lease():
            opened = [one for one in self._openers.map(self._open, [provider] * missing) if one]
            ready += opened
            if len(opened) < missing:
                self._not_reached(provider, missing - len(opened))
        with self._lock:
            self._lent |= dict.fromkeys(ready, provider)
        return ready

    def give_back(self, connections: Sequence[Connection]) -> None:
        with self._lock:
            for connection in connections:
                self._idle[self._lent.pop(connection)].append(connection)

    def close(self) -> None:
        self._openers.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for idle in self._idle.values():
                for connection in idle:
                    connection.close()
                idle.clear()

    def _take_idle(self, provider: str, count: int) -> tuple[list[Connection], int]:
        with self._lock:
            waiting, self._idle[provider] = self._idle[provider], []
        ready: list[Connection] = []
        for connection in waiting:
            if not connection.usable():
                connection.close()
            elif len(ready) < count:
                ready.append(connection)
            else:
                with self._lock:
                    self._idle[provider].append(connection)
        return ready, count - len(ready)

    def _open(self, provider: str) -> Connection | None:
        connection = self._make[provider]()
        try:
            connection.open()
        except NotWritten as error:
            log.warning("provider_not_reached", provider=provider, error=str(error))
            return None
        return connection
