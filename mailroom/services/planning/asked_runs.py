"""Runs that a person asks for, outside the recurrence."""

from datetime import datetime
from typing import Final

from mailroom.domain.errors import (
    ScheduleEnded,
    SchedulePaused,
    StaleEdit,
)
from mailroom.domain.ids import ScheduleId, asked_run_id
from mailroom.domain.runs import Run, RunKind
from mailroom.domain.schedules import Content, Revision, Schedule, ScheduleState
from mailroom.services.common.idempotency import check_key
from mailroom.services.planning.decisions import planned_run
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.schedules import contents, runs, schedules

_TRIES: Final = 5


def run_now(db: Db, schedule_id: ScheduleId, *, owner: str, key: str, even_if_paused: bool = False) -> tuple[Run, bool]:
    """Add a run of the newest content, outside the recurrence. Idempotent by `key`.

    Returns (the run, whether it is new). Raises ScheduleNotFound, ScheduleEnded, SchedulePaused, InvalidInput,
    StaleEdit.
    """
    check_key(key)
    run_id = asked_run_id(schedule_id, owner, key)
    for _ in range(_TRIES):
        schedule = schedules.get(db, schedule_id)
        if earlier := runs.find(db, run_id):
            return earlier, False
        require_runnable(schedule, even_if_paused=even_if_paused)
        now = server_now(db)
        content = contents.get(db, schedule_id, schedule.revision)
        newest = _revision(schedule, content, now)
        run = planned_run(run_id, schedule_id, RunKind.ASKED, newest, due_at=now, now=now)
        if add_asked(db, schedule, run):
            return run, True
    raise StaleEdit(f"schedule {schedule_id} is being changed; try again")


def _revision(schedule: Schedule, content: Content, now: datetime) -> Revision:
    has_feed = content.feed is not None
    return Revision(schedule.revision, now, content.audience, content.recipients, has_feed=has_feed)


def require_runnable(schedule: Schedule, *, even_if_paused: bool) -> None:
    """Raises ScheduleEnded for an archived schedule, SchedulePaused for a paused one unless `even_if_paused`."""
    if schedule.state is ScheduleState.ARCHIVED:
        raise ScheduleEnded("an archived schedule is not run any more")
    if schedule.state is ScheduleState.PAUSED and not even_if_paused:
        raise SchedulePaused(schedule.id)


def add_asked(db: Db, seen: Schedule, run: Run) -> bool:
    """Add a run that a person asks for. False if the run is stored already, or if the schedule's state has changed
    since `seen`: a concurrent pause either keeps the run out or holds it too."""

    def work(session: Session) -> bool:
        return schedules.still_in(db, seen, session=session) and runs.add_once(db, run, session=session)

    return in_transaction(db, work)
