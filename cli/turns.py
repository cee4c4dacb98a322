"""How soon a thread lets the next one have the interpreter: sooner, while a request with a larger body is in hand.

A thread that computes keeps the interpreter for a whole turn whenever another one waits for it. Beside ten threads that
read large documents, a small request waits ten turns at each of its steps. Short turns make that wait short. They also
cost: an eighth of all small requests, if turns were always short.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

HEAVY: Final = 32 * 1024  # bytes of a body from which on its request takes short turns
SHORT_S: Final = 0.0005
USUAL_S: Final = 0.005  # Python's own default


class Turns:
    """The turns of this process' threads. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heavy = 0

    @contextmanager
    def of(self, size: int) -> Iterator[None]:
        """Within, a request with a body of so many bytes is in hand."""
        if size < HEAVY:
            yield
            return
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        with self._lock:
            self._heavy += more
            sys.setswitchinterval(SHORT_S if self._heavy else USUAL_S)
