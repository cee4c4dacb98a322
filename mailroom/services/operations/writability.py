"""Whether each store takes writes, by a small trial write. A store with a full disk or memory still answers reads:
without the trial all would look healthy while nothing is sent.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from mailroom.coordination.etcd import Etcd
from mailroom.coordination.redis_client import RedisWrites
from mailroom.domain.errors import TakesNoWrites, Unavailable
from mailroom.storage.cluster import write_check
from mailroom.storage.database import Db

log = structlog.get_logger()
MONGODB: Final = "MongoDB"
_BELIEVED_S: Final = 5.0  # between two trials, however often callers ask


class Writability:
    """Thread-safe. `look` takes as long as the slowest store, at most about three seconds."""

    def __init__(
        self, tries: Mapping[str, Callable[[], None]], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`tries`: a trial write for each store, by its name; it raises TakesNoWrites or Unavailable if it fails."""
        self._tries, self._monotonic = tries, monotonic
        self._trying = threading.Lock()
        self._last: dict[str, str] | None = None
        self._last_at = 0.0

    def look(self) -> Mapping[str, str]:
        """For each store the reason why it takes no writes, in words that anybody may read; '' if it takes writes.

        While a caller tries the stores, other callers get the last result, so a store that hangs delays a single
        caller.
        """
        last = self._last
        if last is not None and self._monotonic() < self._last_at + _BELIEVED_S:
            return last
        if not self._trying.acquire(blocking=last is None):
            return last or {}
        try:
            if self._last is last:  # no other caller has tried while this one waited
                self._last, self._last_at = self._try_all(), self._monotonic()
            return self._last or {}
        finally:
            self._trying.release()

    def _try_all(self) -> dict[str, str]:
        with ThreadPoolExecutor(len(self._tries)) as at_once:
            return dict(zip(self._tries, at_once.map(_why_not, *zip(*self._tries.items(), strict=True)), strict=True))


def _why_not(store: str, write: Callable[[], None]) -> str:
    try:
        write()
    except TakesNoWrites as error:
        log.warning("store_takes_no_writes", store=store, error=str(error))
        return str(error)
    except Unavailable as error:
        # The server's own words may name hosts.
        log.warning("store_does_not_answer", store=store, error=str(error))
        return f"{store} does not answer"
    except Exception:
        log.exception("store_not_tried", store=store)
        return f"{store} could not be tried"
    return ""


def of_stores(db: Db, etcd: Etcd, redis: RedisWrites) -> Writability:
    """Build the Writability of MongoDB, etcd and Redis."""
    return Writability(
        {MONGODB: lambda: write_check.check_writes(db), "etcd": etcd.check_writes, "Redis": redis.check},
    )


def why_nothing_is_sent(reasons: Mapping[str, str]) -> str:
    """All reasons in a line; '' if every store takes writes."""
    return "; ".join(filter(None, reasons.values()))
