"""Archive schedules that finished long ago, once nothing of them goes on.

A schedule's age counts from its end, its last edit, its last run or its last sending, whichever came last. So a
finished schedule that a person still edits, or runs by hand, stays.
"""

from datetime import datetime, timedelta
from typing import Final

import structlog

from mailroom.domain.errors import ScheduleNotFound, StaleEdit
from mailroom.domain.schedules import LastTimes, Schedule, ScheduleTrigger
from mailroom.services.schedules.change import change_schedule
from mailroom.services.schedules.lifecycle import put_away
from mailroom.storage.database import Db, Session, server_now
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.schedules import finished_schedules, last_runs, open_runs

log = structlog.get_logger()
_A_PAGE: Final = 200


class _GoesOn(Exception):
    """A run of the schedule is open, or the outcome of one of its calls is not known."""


class FinishedSchedules:
    """Archives finished schedules older than `age`, a page in each round. After the last page it begins again, so that
    a schedule that goes on for long holds up no other. Any number of processes may do so at once."""

    def __init__(self, db: Db, *, age: timedelta, page: int = _A_PAGE) -> None:
        self._db, self._age, self._page = db, age, page
        self._after: finished_schedules.Place | None = None

    def round(self) -> int:
        """Returns how many were archived. Raises Unavailable."""
        now = server_now(self._db)
        found = finished_schedules.page(self._db, before=now - self._age, after=self._after, limit=self._page)
        self._after = finished_schedules.place_of(found[-1]) if len(found) == self._page else None
        if not found:
            return 0
        last = last_runs.last_times(self._db, [one.id for one in found])
        busy = open_runs.under_way_among(self._db, [one.id for one in found])
        old = [one for one in found if one.id not in busy and _age_of(one, last[one.id], now) >= self._age]
        return sum(archive_unless_it_goes_on(self._db, one, now=now) for one in old)


def _age_of(schedule: Schedule, last: LastTimes, now: datetime) -> timedelta:
    return now - max(moment for moment in (schedule.updated_at, last.ran_at, last.sent_at) if moment)


def archive_unless_it_goes_on(db: Db, schedule: Schedule, *, now: datetime) -> bool:
    """Archive it, provided that it is as it was read and nothing of it goes on. True if it is archived now."""

    def check(session: Session, _after: Schedule) -> None:
        # A run that is asked for in this moment collides with the schedule's document, or is seen here.
        if open_runs.under_way_among(db, [schedule.id], session=session):
            raise _GoesOn
        if dispatch_queries.has_unknown(db, schedule.id, session=session):
            raise _GoesOn

    try:
        change_schedule(db, schedule, put_away, now, trigger=ScheduleTrigger.ARCHIVED, also=check)
    except (_GoesOn, StaleEdit, ScheduleNotFound):
        return False
    log.info("finished_schedule_archived", schedule_id=schedule.id, untouched_since=schedule.updated_at.isoformat())
    return True
