"""Counts of callers' actions in Redis, shared by all processes.

Limits must never stop Mailroom: if Redis does not answer within a quarter of a second, all callers pass, and Redis is
not asked again for some seconds.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog
from redis.exceptions import RedisError

from mailroom.coordination.redis_client import connect, scripts

log = structlog.get_logger()
_CALL_S: Final = 0.25
_LEFT_ALONE_S: Final = 5.0


class Counters:
    """The counts of one database, by its name. Thread-safe; opens nothing until it is used."""

    def __init__(self, url: str, *, of: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._prefix, self._monotonic, self._left_alone_until = f"mailroom:count:{of}:", monotonic, 0.0
        self._redis = connect(url, call_s=_CALL_S)
        (self._take,) = scripts(self._redis, "count_take")

    def take(self, name: str, *, most: int, span: timedelta, count: int = 1) -> timedelta | None:
        """Count these actions if they fit into `most` a span. Returns None if they do, or if Redis is away. Otherwise
        nothing is counted, and the time until the span ends is returned."""
        args = [most, int(span.total_seconds() * 1000), count]
        waits = self._asked(lambda: int(self._take(keys=[self._prefix + name], args=args)))
        return timedelta(milliseconds=waits) if waits else None

    def give_back(self, name: str, count: int) -> None:
        """Subtract actions that did not happen after all."""
        key = self._prefix + name
        self._asked(lambda: int(self._redis.decrby(key, count)) if self._redis.exists(key) else 0)

    def _asked(self, ask: Callable[[], int]) -> int:
        if self._monotonic() < self._left_alone_until:
            return 0
        try:
            return ask()
        except RedisError as error:
            self._left_alone_until = self._monotonic() + _LEFT_ALONE_S
            log.warning("limits_not_counted", error=f"{type(error).__name__} {error}"[:200])
            return 0
