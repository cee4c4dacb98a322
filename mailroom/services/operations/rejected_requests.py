"""The record of refused requests: written behind the answer, by a thread of its own, and looked through."""

import queue
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog

from mailroom.domain.errors import Unavailable
from mailroom.domain.refusals import RejectedRequest
from mailroom.storage import rejected_requests
from mailroom.storage.database import Db

log = structlog.get_logger()
_MOST_WAITING: Final = 1_000
_AT_ONCE: Final = 200
STRANGERS_A_MINUTE: Final = 60


class RejectedRequestRecord:
    """Keeps no caller waiting, and is no promise: what comes faster than it can be written is left out, and said.

    Make it after a fork: it has a thread.
    """

    def __init__(self, db: Db) -> None:
        self._db = db
        self._waiting: queue.Queue[RejectedRequest] = queue.Queue(_MOST_WAITING)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._minute = self._strangers = 0

    def keep(self, refusal: RejectedRequest) -> None:
        if not refusal.who and not self._of_strangers_too():
            return
        try:
            self._waiting.put_nowait(refusal)
        except queue.Full:
            log.warning("refusal_not_kept", path=refusal.path, status=refusal.status)
            return
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="refusals", daemon=True)
                self._thread.start()

    def _of_strangers_too(self) -> bool:
        """So many a minute of callers whom we do not know: nobody fills our disks."""
        with self._starting:
            minute = int(time.monotonic() // 60)
            if minute != self._minute:
                self._minute, self._strangers = minute, 0
            self._strangers += 1
            if self._strangers == STRANGERS_A_MINUTE + 1:
                log.warning("refusals_of_strangers_not_kept", beyond=STRANGERS_A_MINUTE)
            return self._strangers <= STRANGERS_A_MINUTE

    def _run(self) -> None:
        while True:
            some = [self._waiting.get()]
            while len(some) < _AT_ONCE and not self._waiting.empty():
                some.append(self._waiting.get())
            try:
                rejected_requests.add_many(self._db, some)
            except Unavailable as error:
                log.warning("refusals_not_kept", count=len(some), error=str(error))
            except Exception:
                log.exception("refusals_not_kept", count=len(some))


def page(db: Db, *, status: int | None, before: str, limit: int) -> list[Mapping[str, Any]]:
    """Newest first."""
    return rejected_requests.page(db, status=status, before=before, limit=limit)
