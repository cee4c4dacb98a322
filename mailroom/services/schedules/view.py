"""Schedules looked at, and what is due next."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mailroom.domain.errors import RuleNotComputable
from mailroom.domain.ids import ScheduleId
from mailroom.domain.recurrence.checking import check_recurrence
from mailroom.domain.recurrence.model import Occurrence, RecurrenceFields, RuleRefused
from mailroom.domain.recurrence.upcoming import next_occurrences
from mailroom.domain.schedules import Content, LastTimes, Schedule, ScheduleState
from mailroom.storage.audiences import document as audiences
from mailroom.storage.database import Db, server_now
from mailroom.storage.schedules import contents, last_runs, schedules


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A schedule with its newest content."""

    schedule: Schedule
    content: Content


def get(db: Db, schedule_id: ScheduleId) -> StoredSchedule:
    """With the number of its recipients as of now, an address in two audiences counted twice. Raises
    ScheduleNotFound."""
    schedule = schedules.get(db, schedule_id)
    content = contents.get(db, schedule_id, schedule.revision)
    return StoredSchedule(
        schedule, replace(content, recipients=audiences.count(db, [one.audience for one in content.goes_to]))
    )


def last_times(db: Db, ids: Sequence[ScheduleId]) -> dict[ScheduleId, LastTimes]:
    """When each of these schedules last ran and last sent."""
    return last_runs.last_times(db, ids)


def page(db: Db, *, state: ScheduleState | None, before: tuple[datetime, str] | None, limit: int) -> list[Schedule]:
    """Newest first; archived ones only where asked for."""
    return schedules.page(db, state=state, before=before, limit=limit)


def next_runs(db: Db, schedule_id: ScheduleId, count: int) -> list[Occurrence]:
    """The next due instants with their notes; none for a schedule that is not active.

    Raises ScheduleNotFound, RuleNotComputable.
    """
    schedule = schedules.get(db, schedule_id)
    if schedule.state is not ScheduleState.ACTIVE:
        return []
    try:
        return next_occurrences(schedule.recurrence, schedule.decided_through, count, decided=schedule.decided)
    except RuleRefused as error:
        raise RuleNotComputable(str(error)) from None


def preview(db: Db, recurrence: RecurrenceFields, count: int) -> list[Occurrence]:
    """The next due instants of a recurrence that is not stored yet. Raises InvalidInput."""
    now = server_now(db)
    return next_occurrences(check_recurrence(**recurrence, now=now), now, count)
