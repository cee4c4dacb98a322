"""Copies of holds in Redis, beside the fences, so that a crossing and a hold exclude each other.

Pages and claims read the holds in MongoDB. The copy stops dispatches that were claimed before the hold, and keeps all
sending stopped if MongoDB is restored from a backup.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from mailroom.coordination.redis_client import connect, redis_answers, scripts
from mailroom.coordination.redis_identity import Identity
from mailroom.domain.holds import EVERYTHING, Hold

# Holds of runs, as long as fences. The hold of all sending is never aged out.
_KEPT_MS: Final = 90 * 24 * 3600 * 1000


def hold_key(of: str, id_: str) -> str:
    """A hash, see lua/hold_raise.lua. `of` is the database's name."""
    return f"mailroom:hold:{of}:{id_}"


class Holds:
    """The holds of one database, by its name. Thread-safe. Each answer comes with Redis' identity, read at the same
    moment. All methods raise Unavailable."""

    def __init__(self, url: str, *, of: str) -> None:
        self._of, self._redis = of, connect(url)
        self._identity = Identity(self._redis)
        (self._raise,) = scripts(self._redis, "hold_raise")

    def read(self, id_: str) -> tuple[Hold, str]:
        """The copy of a hold; number 0 if Redis has none."""
        with redis_answers(self._redis), self._redis.pipeline(transaction=True) as pipe:
            self._identity.ask(pipe)
            pipe.hgetall(hold_key(self._of, id_))
            identity, found = pipe.execute()
        return _hold(id_, found), identity

    def mirror(self, hold: Hold) -> str:
        """Copy a hold, unless a newer one is stored. From then on the fences of this memory obey it."""
        at_ms = int(hold.at.timestamp() * 1000) if hold.at else ""
        kept_ms = 0 if hold.id == EVERYTHING else _KEPT_MS
        with redis_answers(self._redis), self._redis.pipeline(transaction=True) as pipe:
            self._identity.ask(pipe)
            args = [hold.number, hold.by, at_ms, kept_ms]
            self._raise(keys=[hold_key(self._of, hold.id)], args=args, client=pipe)
            return str(pipe.execute()[0])

    def close(self) -> None:
        self._redis.close()


def _hold(id_: str, found: Mapping[str, str]) -> Hold:
    if not found:
        return Hold(id_)
    at = datetime.fromtimestamp(int(found["at_ms"]) / 1000, UTC) if found["at_ms"] else None
    return Hold(id_, int(found["number"]), found["by"], at)
