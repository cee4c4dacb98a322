"""Record refused requests, in a thread of its own after the answer, and page through them."""

import threading
import time
from typing import Final

import structlog

from mailroom.domain.rejected_requests import RejectedRequest
from mailroom.services.common.write_behind import WriteBehind
from mailroom.storage import rejected_requests
from mailroom.storage.database import Db
from mailroom.storage.rejected_requests import StoredRejection

log = structlog.get_logger()
_MOST_WAITING: Final = 1_000
_AT_ONCE: Final = 200
STRANGERS_A_MINUTE: Final = 60


class RejectedRequestRecord:
    """Records refused requests without making a caller wait. No guarantee: requests that arrive faster than they can be
    written are dropped and logged. Thread-safe. Construct it after a fork: it has a thread.
    """

    def __init__(self, db: Db) -> None:
        self._behind = WriteBehind[StoredRejection](
            lambda batch: rejected_requests.add_many(db, batch),
            most_waiting=_MOST_WAITING,
            at_once=_AT_ONCE,
            name="refusals",
        )
        self._counting = threading.Lock()
        self._minute = self._strangers = 0

    def keep(self, refusal: RejectedRequest) -> None:
        """Record this request soon, unless too many wait or too many come from unknown callers."""
        if not refusal.who and not self._admit_stranger():
            return
        if not self._behind.add(rejected_requests.to_store(refusal)):
            log.warning("refusal_not_kept", path=refusal.path, status=refusal.status)

    def _admit_stranger(self) -> bool:
        """True for a limited number of requests of unknown callers a minute, so that nobody fills our disks."""
        with self._counting:
            minute = int(time.monotonic() // 60)
            if minute != self._minute:
                self._minute, self._strangers = minute, 0
            self._strangers += 1
            if self._strangers == STRANGERS_A_MINUTE + 1:
                log.warning("refusals_of_strangers_not_kept", beyond=STRANGERS_A_MINUTE)
            return self._strangers <= STRANGERS_A_MINUTE


def page(db: Db, *, status: int | None, before: str, limit: int) -> list[StoredRejection]:
    """Refused requests, newest first, before the id `before` ('' for the first page)."""
    return rejected_requests.page(db, status=status, before=before, limit=limit)
