"""Find out whether each store takes writes, by trying a small one. A store with a full disk or memory still answers
reads: without the try all would look well while nothing is sent.
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
_BELIEVED_S: Final = 5.0  # between two tries, however often anybody asks


class Writability:
    """Thread-safe. A look takes no longer than the slowest store, at most about three seconds."""

    def __init__(
        self, tries: Mapping[str, Callable[[], None]], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`tries` by the store's name: each writes something, or raises Unavailable."""
        self._tries, self._monotonic = tries, monotonic
        self._trying = threading.Lock()
        self._found: dict[str, str] | None = None
        self._found_at = 0.0

    def look(self) -> Mapping[str, str]:
        """By store, why it takes no writes, in words that anybody may read; '' if it does.

        While one caller tries, the others get the last result, so that a store that hangs holds one caller only.
        """
        found = self._found
        if found is not None and self._monotonic() < self._found_at + _BELIEVED_S:
            return found
        if not self._trying.acquire(blocking=found is None):
            return found or {}
        try:
            if self._found is found:  # nobody else has tried while we waited
                self._found, self._found_at = self._try_all(), self._monotonic()
            return self._found or {}
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
    """The Writability of MongoDB, etcd and Redis."""
    return Writability(
        {MONGODB: lambda: write_check.check_writes(db), "etcd": etcd.check_writes, "Redis": redis.check},
    )


def why_nothing_is_sent(found: Mapping[str, str]) -> str:
    """All reasons, in one line; empty where every store takes writes."""
    return "; ".join(filter(None, found.values()))
