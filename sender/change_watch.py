"""The thread that waits for a change of what holds work, so that a loop without work need not ask for it."""

import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Final

import structlog

from mailroom.domain.errors import Unavailable
from mailroom.storage.changes import Changes, ChangesRefused, open_changes
from mailroom.storage.database import Db

log = structlog.get_logger()
_BEGINS_EVERY_S: Final = 1.0  # at most: where changes come more often, asking is cheaper
_AFTER_ERROR_S: Final = 30.0


class ChangeWatch:
    """Watches until the first change. Under load each mail is several changes, so nobody watches then: where a watch
    ends within a second, the pause before the next one doubles, up to half a minute.

    `changed` is called from the watch's thread when a watch ends. `begin` and `watching`: for the loop's thread.
    """

    def __init__(self, db: Db, *, changed: Callable[[], None]) -> None:
        self._db, self._changed = db, changed
        self._changes: Changes | None = None
        self._begin_at = self._begun_at = 0.0
        self._pause_s = _BEGINS_EVERY_S
        self._begun = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="changes", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self, *, within_s: float) -> None:
        """Watch no more."""
        self._ending = True
        if changes := self._changes:
            try:
                changes.interrupt()
            except Exception as error:  # the thread is a daemon: the process ends all the same
                log.warning("changes_not_watched", error=str(error))
        self._begun.set()
        self._thread.join(within_s)

    @property
    def watching(self) -> bool:
        """True if nothing has changed since the last `begin`."""
        changes = self._changes
        return changes is not None and changes.is_current

    def begin(self) -> None:
        """Watch from now on, if the last watch did not begin just now, and if MongoDB lets us: without a watch the
        loop goes on asking."""
        if self._changes is not None or time.monotonic() < self._begin_at:
            return
        self._begun_at = time.monotonic()
        self._begin_at = self._begun_at + self._pause_s
        try:
            self._changes = open_changes(self._db)
        except Exception as error:
            self._note(error)
            return
        self._begun.set()

    def _run(self) -> None:
        while not self._ending:
            self._begun.wait()
            self._begun.clear()
            if self._changes is not None:
                self._wait_for_one(self._changes)

    def _wait_for_one(self, changes: Changes) -> None:
        try:
            while changes.is_current and not (self._ending or changes.wait()):
                pass
        except Exception as error:
            self._note(error)
        soon = time.monotonic() - self._begun_at < _BEGINS_EVERY_S
        self._pause_s = min(2 * self._pause_s, _AFTER_ERROR_S) if soon else _BEGINS_EVERY_S
        self._changes = None
        self._changed()
        try:
            changes.close()  # after the wake-up: it is a round trip
        except Exception as error:
            self._note(error)

    def _note(self, error: Exception) -> None:
        if self._ending:
            return
        if not isinstance(error, Unavailable):  # a missing right, for example, stays missing
            self._begin_at = time.monotonic() + _AFTER_ERROR_S
        if isinstance(error, Unavailable | ChangesRefused):
            log.warning("changes_not_watched", error=str(error))
        else:
            log.error("change_watch_failed", exc_info=error)
