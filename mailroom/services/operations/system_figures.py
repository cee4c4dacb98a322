"""The figures of the whole system for `/metrics`, read from MongoDB at most once every few seconds.

A caller gets the newest figures at once. A MongoDB that is slow or away delays nobody for longer than a moment, and old
figures are not shown as if they were new: then `mailroom_figures_fresh` is 0 and the others are left out.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeVar

import structlog

from mailroom.domain.capacity import Due, senders_wanted
from mailroom.domain.emails.model import Rank, kind_and_priority
from mailroom.domain.errors import Unavailable
from mailroom.domain.workers import SILENT_AFTER, WorkerKind
from mailroom.services.feedback import webhook_targets
from mailroom.services.operations import mailboxes, metrics, undrained_lanes
from mailroom.services.operations.mailboxes import Letterbox
from mailroom.services.reports import elsewhere
from mailroom.storage import holds, lanes, workers
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import counts
from mailroom.watching.system import Values

log = structlog.get_logger()
Figures = Mapping[str, Values]
Word = TypeVar("Word", bound=str)
_READ_EVERY_S: Final = 5.0
_PATIENCE_S: Final = 2.0  # with figures that are being read: Prometheus waits ten seconds for us
_FRESH_S: Final = 30.0
_MOST_ELSEWHERE: Final = 10_000  # a dispatch is read for each


class SystemFigures:
    """Thread-safe. `look` takes two seconds at most."""

    def __init__(self, read: Callable[[], Figures], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`read` reads the figures from the stores, or raises Unavailable."""
        self._read, self._monotonic = read, monotonic
        self._changing = threading.Lock()
        self._reading: threading.Thread | None = None
        self._last: tuple[Figures, float] | None = None

    def look(self) -> Figures:
        """The newest figures, at most half a minute old."""
        reading = self._reading_now()
        if reading is not None:
            reading.join(_PATIENCE_S)
        last = self._last
        if last is None or self._monotonic() - last[1] > _FRESH_S:
            return {"mailroom_figures_fresh": {(): 0.0}}
        return {**last[0], "mailroom_figures_fresh": {(): 1.0}}

    def _reading_now(self) -> threading.Thread | None:
        """The thread that reads the figures, begun if it is time; None while the last figures will do."""
        with self._changing:
            if self._reading is not None and self._reading.is_alive():
                return self._reading
            if self._last is not None and self._monotonic() - self._last[1] < _READ_EVERY_S:
                return None
            self._reading = threading.Thread(target=self._read_once, name="figures", daemon=True)
            self._reading.start()
            return self._reading

    def _read_once(self) -> None:
        try:
            self._last = self._read(), self._monotonic()
        except Unavailable as error:
            log.warning("figures_not_read", error=str(error))
        except Exception:
            log.exception("figures_not_read")


def of_system(
    db: Db, *, calls_at_once: int, telling: Collection[str] = (), boxes: Sequence[Letterbox] = ()
) -> SystemFigures:
    """The figures of this database. `calls_at_once`: of each sender. `telling`: the providers that send us webhooks.
    `boxes`: the mailboxes that are read."""
    return SystemFigures(lambda: read_figures(db, calls_at_once=calls_at_once, telling=telling, boxes=boxes))


def read_figures(
    db: Db, *, calls_at_once: int, telling: Collection[str] = (), boxes: Sequence[Letterbox] = ()
) -> Figures:
    """Read them all now: each query has its index, and looks at a bounded number of keys. Raises Unavailable."""
    now = server_now(db)
    by_state = metrics.counts(db)
    unread = {name: target.unread for name, target in webhook_targets.listing(db).items()}
    return {
        "mailroom_schedules": _by_word(by_state["schedules"]),
        "mailroom_dispatches": _by_word(by_state["dispatches"]),
        # 0 from the beginning: Prometheus sees no growth in a series that begins with its first event.
        "mailroom_webhook_events_unread": _by_word(dict.fromkeys(telling, 0) | unread),
        "mailroom_mails_gone_elsewhere": _by_word(elsewhere.count(db, most=_MOST_ELSEWHERE)),
        "mailroom_mailbox_unread_seconds": {
            (str(number),): age_s for number, age_s in mailboxes.ages_s(db, boxes, now=now).items()
        },
        **_queue(db, now=now, calls_at_once=calls_at_once),
        **_standing(db),
        **_undrained(db),
        "mailroom_senders": {(): float(workers.count_by_kind(db, since=now - SILENT_AFTER).get(WorkerKind.SENDER, 0))},
    }


def _queue(db: Db, *, now: datetime, calls_at_once: int) -> dict[str, Values]:
    on_hold = holds.standing(db)
    barred = {*on_hold.lanes, *lanes.waiting(db, now=now)}
    due = counts.due_by_rank(db, now=now, barred=barred)
    depth: dict[tuple[str, ...], float] = {}
    age: dict[tuple[str, ...], float] = {}
    for rank in Rank:
        labels, of_rank = kind_and_priority(rank), due.get(rank)
        depth[labels] = float(of_rank.dispatches) if of_rank else 0.0
        age[labels] = max(0.0, (now - of_rank.oldest).total_seconds()) if of_rank else 0.0
    wanted = 1 if on_hold.everything else _senders_wanted(due, calls_at_once)
    return {
        "mailroom_queue_dispatches": depth,
        "mailroom_queue_age_seconds": age,
        "mailroom_senders_wanted": {(): float(wanted)},
    }


def _senders_wanted(due: Mapping[Rank, Due], calls_at_once: int) -> int:
    # A lane of single mails may have mails of each priority, and is still one lane.
    of_mails = max((of_rank.lanes for rank, of_rank in due.items() if rank is not Rank.CAMPAIGN), default=0)
    of_campaigns = due[Rank.CAMPAIGN].lanes if Rank.CAMPAIGN in due else 0
    free = sum(of_rank.free for of_rank in due.values())
    return senders_wanted(free, of_mails + of_campaigns, calls_at_once=calls_at_once)


def _standing(db: Db) -> dict[str, Values]:
    found = metrics.standing(db)
    return {
        "mailroom_held": {(): float(found.held)},
        "mailroom_sending_stopped": {(): float(found.stopped)},
        "mailroom_runs_paused": {(): float(found.paused)},
        "mailroom_ledger_imbalances": {(): float(found.ledger_wrong)},
        "mailroom_ledger_time_seconds": {(): found.ledger_at.timestamp() if found.ledger_at else 0.0},
    }


def _undrained(db: Db) -> dict[str, Values]:
    found = undrained_lanes.undrained(db)
    oldest = max((lane.age.total_seconds() for lane in found), default=0.0)
    return {"mailroom_undrained_lanes": {(): float(len(found))}, "mailroom_undrained_seconds": {(): oldest}}


def _by_word(numbers: Mapping[Word, int]) -> Values:
    return {(str(word),): float(count) for word, count in numbers.items()}
