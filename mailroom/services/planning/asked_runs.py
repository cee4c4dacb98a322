"""Runs that a person asks for, outside the recurrence."""

from typing import Final

from mailroom.domain.errors import (
    ScheduleEnded,
    SchedulePaused,
    StaleEdit,
)
from mailroom.domain.ids import ScheduleId, asked_run_id
from mailroom.domain.runs import Run, RunKind
from mailroom.domain.schedules import Schedule, ScheduleState, revision_of
from mailroom.services.common.idempotency import check_key
from mailroom.services.planning.decisions import planned_run
from mailroom.services.planning.pins import pinned
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
        newest = revision_of(content, schedule.revision, now)
        run = planned_run(run_id, schedule_id, RunKind.ASKED, newest, due_at=now, now=now)
        if added := add_asked(db, schedule, run):
            return added, True
    raise StaleEdit(f"schedule {schedule_id} is being changed; try again")


def require_runnable(schedule: Schedule, *, even_if_paused: bool) -> None:
    """Raises ScheduleEnded for an archived schedule, SchedulePaused for a paused one unless `even_if_paused`."""
    if schedule.state is ScheduleState.ARCHIVED:
        raise ScheduleEnded("an archived schedule is not run any more")
    if schedule.state is ScheduleState.PAUSED and not even_if_paused:
        raise SchedulePaused(schedule.id)


def add_asked(db: Db, seen: Schedule, run: Run, *, pin: bool = True) -> Run | None:
    """Add a run that a person asks for; with its audiences as of now, unless `pin` is False. Returns the run as it is
    stored; None if it was stored before, or if the schedule's state has changed since `seen`: a concurrent pause either
    keeps the run out or holds it too."""

    def work(session: Session) -> Run | None:
        if not schedules.still_in(db, seen, session=session):
            return None
        (asked,) = pinned(db, [run], session=session) if pin else [run]
        return asked if runs.add_once(db, asked, session=session) else None

    return in_transaction(db, work)
