"""The processes that work here: those that check in, and those that have stopped checking in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.workers import SILENT_AFTER, Worker
from mailroom.storage import workers
from mailroom.storage.database import Db, server_now

_MOST_SILENT: Final = 100


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A process, and the time since its last check-in."""

    worker: Worker
    quiet_for: timedelta

    @property
    def silent(self) -> bool:
        """True if it has stopped checking in: it ended without a word, hangs, or cannot reach MongoDB."""
        return self.quiet_for > SILENT_AFTER


def page(db: Db, *, after: str, limit: int) -> list[WorkerView]:
    """A page of all processes, in the order of their ids. `after`: the last id of the page before, '' for the first
    page. Processes that ended in order are not among them, nor those that are silent for more than an hour."""
    now = server_now(db)
    return [_view(worker, now) for worker in workers.page(db, after=after, limit=limit)]


def silent(db: Db) -> list[WorkerView]:
    """The processes that have stopped checking in, longest silent first, at most a hundred."""
    now = server_now(db)
    return [_view(worker, now) for worker in workers.silent(db, since=now - SILENT_AFTER, limit=_MOST_SILENT)]


def at_work(db: Db) -> dict[str, int]:
    """The number of processes of each kind that are not silent."""
    return workers.count_by_kind(db, since=server_now(db) - SILENT_AFTER)


def _view(worker: Worker, now: datetime) -> WorkerView:
    return WorkerView(worker, max(now - worker.last_check_in, timedelta()))
