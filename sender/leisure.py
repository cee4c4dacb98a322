"""The pace of long work that stands behind the sending."""

import time
from collections.abc import Callable
from typing import Final

_RESTS: Final = 4.0  # times as long as it worked
_MOST_REST_S: Final = 2.0  # after one piece
_MOST_S: Final = 1_800.0  # of rests in all: long work still ends within its hour
_LOOK_S: Final = 0.25


class SenderStopping(Exception):
    """Its process ends: the work is left."""


class Leisure:
    """Call it after each piece of the work, from the work's own thread: it rests four times as long as the piece took,
    so that the work takes a fifth of a processor at most. Mails do not wait for it."""

    def __init__(self, going_on: Callable[[], bool]) -> None:
        self._going_on, self._rested_s, self._since = going_on, 0.0, time.monotonic()

    def __call__(self, _done: int = 0) -> None:
        """Raises SenderStopping once `going_on` returns False."""
        worked_s = time.monotonic() - self._since
        rest_s = min(_RESTS * worked_s, _MOST_REST_S, _MOST_S - self._rested_s)
        self._rested_s += rest_s
        until = time.monotonic() + rest_s
        while self._going_on() and (left_s := until - time.monotonic()) > 0:
            time.sleep(min(left_s, _LOOK_S))
        if not self._going_on():
            raise SenderStopping
        self._since = time.monotonic()
