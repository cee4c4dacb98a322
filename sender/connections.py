"""Live connections to the providers: opened before any claim, lent for one call each.

Step 1 of the protocol: a connection is opened only after a fresh linearizable read of the lease, never for a dispatch
whose fence is already crossed.

Each provider has its own threads that open connections: a slow or silent provider delays nothing else.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import structlog

from mailroom.providers.base import Connection
from mailroom.providers.connection import NotAdmitted
from sender.reachability import Reachability

log = structlog.get_logger()
_PATIENCE_S = 0.25  # wait for connections just begun; slower ones are ready for a later call


class Connections:
    """Lends at most `limit` connections at a time, and at most `most` of each provider; stores the idle ones.

    `reserved` connections are for urgent mail. `reachability` learns which providers can be reached.
    `not_reached(provider, why)` is called when an opening fails to a provider without any open connection.
    """

    def __init__(
        self,
        make: Mapping[str, Callable[[], Connection]],
        *,
        most: Mapping[str, int],
        limit: int,
        reserved: int,
        reachability: Reachability,
        not_reached: Callable[[str, str], None] = lambda _provider, _why: None,
    ) -> None:
        self._make, self._most, self._reachability, self._not_reached = make, most, reachability, not_reached
        self.limit, self._reserved = limit, reserved
        self._idle: dict[str, list[Connection]] = {provider: [] for provider in make}
        self._lent: dict[Connection, str] = {}
        self._opening: dict[str, set[Future[None]]] = {provider: set() for provider in make}
        self._closed = False
        self._lock = threading.Lock()
        # A pool for each provider: a silent provider must not occupy the threads of the others.
        self._openers = {
            provider: ThreadPoolExecutor(max_workers=min(limit, 16), thread_name_prefix=f"open-{provider}")
            for provider in make
        }

    def room(self, *, urgent: bool = False) -> int:
        """How many more calls may be made at once; `urgent` includes the reserved connections."""
        with self._lock:
            return max(0, self.limit - len(self._lent) - (0 if urgent else self._reserved))

    def lend(self, provider: str, count: int, confirm_lease: Callable[[], bool]) -> list[Connection]:
        """Up to `count` open connections: fewer if the provider cannot be reached, or not yet.

        New connections are opened only if `confirm_lease` returns True. It is called at most once, and only if a
        connection must be opened.
        """
        wanted = min(count, self.room(urgent=True), self._room_of(provider))
        ready = self._take_idle(provider, wanted)
        with self._lock:
            self._opening[provider] = {opening for opening in self._opening[provider] if not opening.done()}
            missing = wanted - len(ready) - len(self._opening[provider])
        if missing > 0 and self._reachability.may_open(provider) and confirm_lease():
            wait(self._begin_opening(provider, missing), timeout=_PATIENCE_S)
            ready += self._take_idle(provider, wanted - len(ready))
        with self._lock:
            self._lent |= dict.fromkeys(ready, provider)
        return ready

    def try_again(self, confirm_lease: Callable[[], bool]) -> None:
        """Open a connection to each provider out of reach whose pause is over. No mail waits for these openings."""
        for provider in self._reachability.to_be_tried():
            if confirm_lease():
                self._begin_opening(provider, 1)

    def give_back(self, connections: Sequence[Connection]) -> None:
        with self._lock:
            for connection in connections:
                self._idle[self._lent.pop(connection)].append(connection)

    def close(self) -> None:
        for openers in self._openers.values():
            openers.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._closed = True
            for idle in self._idle.values():
                for connection in idle:
                    connection.close()
                idle.clear()

    def _room_of(self, provider: str) -> int:
        with self._lock:
            return max(0, self._most[provider] - sum(lent == provider for lent in self._lent.values()))

    def _take_idle(self, provider: str, count: int) -> list[Connection]:
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
        return ready

    def _begin_opening(self, provider: str, count: int) -> list[Future[None]]:
        begun: list[Future[None]] = []
        try:
            for _ in range(count):
                begun.append(self._openers[provider].submit(self._open, provider))
        except RuntimeError as error:  # no thread can be started now, or this process is ending
            log.warning("provider_not_reached", provider=provider, error=str(error))
        with self._lock:
            self._opening[provider] |= set(begun)
        return begun

    def _open(self, provider: str) -> None:
        """Open a connection and store it as idle. Any failure is reported, and the opening is tried again later."""
        began = time.monotonic()
        self._reachability.trying(provider, since=began)
        try:
            connection = self._opened(provider)
        except Exception as error:
            log.warning("provider_not_reached", provider=provider, error=str(error) or type(error).__name__)
            others_open = self._has_any(provider)
            refused = isinstance(error, NotAdmitted)
            self._reachability.failed(provider, since=began, others_open=others_open, refused=refused)
            if not others_open:
                self._not_reached(provider, str(error) or type(error).__name__)
        else:
            self._reachability.reached(provider)
            self._store_idle(provider, connection)

    def _has_any(self, provider: str) -> bool:
        with self._lock:
            return bool(self._idle[provider]) or provider in self._lent.values()

    def _opened(self, provider: str) -> Connection:
        connection = self._make[provider]()
        try:
            connection.open()
        except BaseException:
            connection.close()
            raise
        return connection

    def _store_idle(self, provider: str, connection: Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle[provider].append(connection)
                return
        connection.close()
