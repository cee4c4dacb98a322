"""Write behind: items are written in bulk by a thread of its own, and nobody waits for it.

For records of what happened, of which some may be lost: the last ones of a process that ends, and those that come
faster than they can be written.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from queue import Full, Queue
from typing import Final, Generic, TypeVar

import structlog

from mailroom.domain.errors import Unavailable

T = TypeVar("T")
log = structlog.get_logger()
_AGAIN_S: Final = 1.0


class WriteBehind(Generic[T]):
    """Thread-safe. At most `most_waiting` items wait in memory, beside a batch of at most `at_once` in the thread's
    hands. While the store is away they stay there, and further ones are dropped. Construct it after a fork: it has a
    thread."""

    def __init__(
        self,
        write: Callable[[Sequence[T]], None],
        *,
        most_waiting: int,
        at_once: int,
        name: str,
        linger_s: float = 0.0,
    ) -> None:
        """`write` stores a batch; after Unavailable it is called again with the same batch. `linger_s`: how long the
        first item of a batch waits for others."""
        self._write, self._name, self._at_once, self._linger_s = write, name, at_once, linger_s
        self._waiting: Queue[T | None] = Queue(most_waiting)  # None: wake up, and end
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()

    def add(self, item: T) -> bool:
        """Write this item soon. False if too many wait: it is dropped."""
        try:
            self._waiting.put_nowait(item)
        except Full:
            return False
        if self._thread is None or not self._thread.is_alive():
            self._start()
        return True

    def close(self, *, within_s: float) -> None:
        """Write what waits, as far as that is possible within this time. Nothing may be added afterwards."""
        self._ending.set()
        with contextlib.suppress(Full):
            self._waiting.put_nowait(None)
        if self._thread is not None:
            self._thread.join(within_s)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._ending.is_set() or not self._waiting.empty():
            batch = [self._waiting.get()]
            self._ending.wait(self._linger_s)
            while len(batch) < self._at_once and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            if items := [item for item in batch if item is not None]:
                self._store(items)

    def _store(self, items: Sequence[T]) -> None:
        while True:
            try:
                self._write(items)
                return
            except Unavailable as error:
                log.warning("records_wait", store=self._name, count=len(items), error=str(error))
                if self._ending.wait(_AGAIN_S):
                    return
            except Exception:
                log.exception("records_lost", store=self._name, count=len(items))
                return
