"""The mirror of holds in Redis, beside the fences, so that a crossing and a hold exclude each other.

People see, and claims read, the holds in MongoDB. The mirror stops dispatches that were claimed before, and keeps the
switch stopped when MongoDB is put back to an older copy.
"""

from datetime import UTC, datetime
from typing import Any, Final

from mailroom.coordination.redis_client import connect, redis_answers, scripts
from mailroom.domain.holds import EVERYTHING, Hold

# Of a run: as long as a fence. The switch for all sending is never aged out.
_KEPT_MS: Final = 90 * 24 * 3600 * 1000


def hold_key(of: str, id_: str) -> str:
    """A hash, see lua/hold_raise.lua. `of` is the database's name."""
    return f"mailroom:hold:{of}:{id_}"


class Holds:
    """The holds of one database, by its name. Thread-safe. All methods raise Unavailable."""

    def __init__(self, url: str, *, of: str) -> None:
        self._of, self._redis = of, connect(url)
        (self._raise,) = scripts(self._redis, "hold_raise")

    def read(self, id_: str) -> Hold:
        """The mirrored hold; number 0 if Redis has none."""
        with redis_answers(self._redis):
            found: Any = self._redis.hgetall(hold_key(self._of, id_))
        if not found:
            return Hold(id_)
        at = datetime.fromtimestamp(int(found["at_ms"]) / 1000, UTC) if found["at_ms"] else None
        return Hold(id_, int(found["number"]), found["by"], at)

    def mirror(self, hold: Hold) -> None:
        """Mirror a hold, unless a newer one is stored. From then on fences heed it."""
        at_ms = int(hold.at.timestamp() * 1000) if hold.at else ""
        kept_ms = 0 if hold.id == EVERYTHING else _KEPT_MS
        with redis_answers(self._redis):
            self._raise(keys=[hold_key(self._of, hold.id)], args=[hold.number, hold.by, at_ms, kept_ms])

    def close(self) -> None:
        self._redis.close()
