"""Copy of MongoDB's high-water mark in Redis. If MongoDB's mark is lower, MongoDB was restored from a backup.

Also an iteration over all fences, for repairing a restored MongoDB.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from mailroom.coordination.fences import KEPT_FOR, fence_of
from mailroom.coordination.redis_client import connect, redis_answers, scripts
from mailroom.coordination.redis_identity import IDENTITY, Identity
from mailroom.domain.dispatches.fences import Fence
from mailroom.domain.ids import DispatchId

_A_STEP: Final = 1_000


@dataclass(frozen=True, slots=True)
class Mark:
    """A high-water mark of MongoDB: a number that only grows, and MongoDB's time at which it was reached."""

    number: int
    at: datetime


class Mirror:
    """The copy for one database, by its name (`of`). Thread-safe. All methods raise Unavailable."""

    def __init__(self, url: str, *, of: str) -> None:
        self._key = f"mailroom:mongodb:{of}"
        self._redis = connect(url)
        self._identity = Identity(self._redis)
        (self._raise,) = scripts(self._redis, "mark_raise")

    def read(self) -> Mark | None:
        """The highest mark that was copied; None if there is none, or Redis has lost it."""
        with redis_answers(self._redis):
            found: Any = self._redis.hgetall(self._key)
        return Mark(int(found["number"]), _time(found["at_ms"])) if found else None

    def raise_to(self, mark: Mark) -> None:
        """Copy a mark, unless a higher one is stored."""
        kept_ms = int(KEPT_FOR.total_seconds() * 1000)
        with redis_answers(self._redis):
            self._raise(keys=[self._key], args=[mark.number, int(mark.at.timestamp() * 1000), kept_ms])

    def fences(self) -> Iterator[list[tuple[DispatchId, Fence]]]:
        """All fences, in batches."""
        for keys in self._keys("{*}:fence:*"):
            with redis_answers(self._redis), self._redis.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.hgetall(key)
                found = pipe.execute()
            yield [
                (DispatchId(key.partition(":fence:")[2]), fence_of(fields))
                for key, fields in zip(keys, found, strict=True)
            ]

    def memory_since(self) -> datetime:
        """The time since which Redis has lost nothing, by Redis' clock: its last start or fail-over, or later."""
        with redis_answers(self._redis), self._redis.pipeline(transaction=True) as pipe:
            # The identity is asked first: otherwise a time from before Redis' last start may still be stored.
            self._identity.ask(pipe)
            pipe.hget(IDENTITY, "at_ms")
            _, at_ms = pipe.execute()
        return _time(at_ms)

    def highest_token(self) -> int:
        """The highest token on record for any lane; 0 if there is none."""
        highest = 0
        for keys in self._keys("{*}:token"):
            with redis_answers(self._redis):
                tokens: Any = self._redis.mget(keys)
            highest = max([highest, *(int(token) for token in tokens if token)])
        return highest

    def close(self) -> None:
        self._redis.close()

    def _keys(self, pattern: str) -> Iterator[list[str]]:
        cursor: Any = 0
        keys: Any
        while True:
            with redis_answers(self._redis):
                cursor, keys = self._redis.scan(cursor, match=pattern, count=_A_STEP)
            if keys:
                yield keys
            if cursor == 0:
                return


def _time(at_ms: str) -> datetime:
    return datetime.fromtimestamp(int(at_ms) / 1000, UTC)
