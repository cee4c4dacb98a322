"""The level of detail in the logs, changed while everything runs.

A person's choice stands in MongoDB for a limited time. Every process looks for it every few seconds, and goes back to
its own setting by itself when the time is over, even while MongoDB is away.
"""

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from mailroom.domain.errors import Unavailable
from mailroom.storage.cluster import log_level
from mailroom.storage.cluster.log_level import ChosenLevel
from mailroom.storage.database import Db, server_now

log = structlog.get_logger()
LEVELS: Final = ("debug", "info", "warning", "error")
LOOK_S: Final = 5.0


def choose(db: Db, level: str, *, lasts: timedelta, by: str) -> ChosenLevel:
    """Let every process log at this level, a word of LEVELS, for a while. Raises Unavailable."""
    chosen = ChosenLevel(level, server_now(db) + lasts, by)
    log_level.choose(db, chosen)
    log.warning("log_level_chosen", chosen=level, until=chosen.until.isoformat(), by=by)
    return chosen


def forget(db: Db, *, by: str) -> None:
    """Let every process log at the level of its own setting again. Raises Unavailable."""
    log_level.forget(db)
    log.warning("log_level_chosen", chosen="each its own", by=by)


def chosen(db: Db, *, now: datetime) -> ChosenLevel | None:
    """The choice in force at this time; None if there is none. Raises Unavailable."""
    found = log_level.chosen(db)
    return found if found is not None and now < found.until else None


def apply_level(level: str) -> None:
    """Show the lines of this process from this level on, from its next line on."""
    wrapper = structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()])
    structlog.configure(wrapper_class=wrapper)


class LogLevelFollower:
    """Keeps the level of this process as a person has chosen it. `own`: the level of its setting. For one thread."""

    def __init__(self, db: Db, *, own: str) -> None:
        self._db, self._own, self._now = db, own, own
        self._chosen: ChosenLevel | None = None

    def look(self) -> None:
        """Look for a choice, and follow it. While MongoDB is away the last one counts, until its time is over."""
        now = datetime.now(UTC)
        try:
            self._chosen = chosen(self._db, now=now)
        except Unavailable as error:
            log.debug("log_level_not_read", error=str(error))
        wanted = self._chosen.level if self._chosen and now < self._chosen.until else self._own
        if wanted in LEVELS and wanted != self._now:
            apply_level(wanted)
            self._now = wanted
            log.warning("log_level_changed", to=wanted)

    def start(self) -> None:
        """Look every few seconds from now on, in a thread of its own, for as long as this process lives."""
        threading.Thread(target=self._run, name="log-level", daemon=True).start()

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(LOOK_S):
            try:
                self.look()
            except Exception:
                log.exception("log_level_not_read")
