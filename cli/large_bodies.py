"""Only a few requests with large bodies are in hand at once; all others wait without a thread. A document needs many
times the memory of its body; so the memory is bounded, however many clients send however many."""

import threading
from collections import deque
from typing import Final, Generic, TypeVar

LARGE: Final = 1024 * 1024  # bytes; smaller ones do not wait
MOST_BYTES: Final = 32 * 1024 * 1024  # of bodies in hand at once; a single one may be larger
MOST: Final = 2

T = TypeVar("T")


class LargeBodies(Generic[T]):
    """Thread-safe. `T` is the type of a request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_hand: list[int] = []
        self._waiting: deque[tuple[T, int]] = deque()

    def enter(self, request: T, size: int) -> bool:
        """True if the request may begin. If False it waits, and a later `leave` returns it when its turn has come."""
        with self._lock:
            if self._waiting or not self._fits(size):
                self._waiting.append((request, size))
                return False
            self._in_hand.append(size)
            return True

    def leave(self, size: int) -> list[T]:
        """Note that a request of this size is done. Returns the waiting requests that may begin now."""
        with self._lock:
            self._in_hand.remove(size)
            begin: list[T] = []
            while self._waiting and self._fits(self._waiting[0][1]):
                request, its_size = self._waiting.popleft()
                self._in_hand.append(its_size)
                begin.append(request)
            return begin

    def _fits(self, size: int) -> bool:
        return not self._in_hand or (len(self._in_hand) < MOST and sum(self._in_hand) + size <= MOST_BYTES)
