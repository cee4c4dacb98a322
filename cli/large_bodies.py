"""Of requests with large bodies a few are in hand at once: what their documents need in memory, many times what the
bodies have, is bounded whoever sends how many. All others wait, and hold no thread."""

import threading
from collections import deque
from typing import Final, Generic, TypeVar

LARGE: Final = 1024 * 1024  # bytes; smaller ones do not wait
MOST_BYTES: Final = 32 * 1024 * 1024  # of bodies in hand at once; a single one may be larger
MOST: Final = 2

T = TypeVar("T")


class LargeBodies(Generic[T]):
    """For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_hand: list[int] = []
        self._waiting: deque[tuple[T, int]] = deque()

    def enter(self, request: T, size: int) -> bool:
        """True: it may begin. False: it waits, and `leave` names it when its turn has come."""
        with self._lock:
            if self._waiting or not self._fits(size):
                self._waiting.append((request, size))
                return False
            self._in_hand.append(size)
            return True

    def leave(self, size: int) -> list[T]:
        """One is done; those that may begin now."""
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
