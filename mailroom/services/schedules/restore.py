"""Take a schedule out of the archive. Used by the API, the pages and the commands.

A restored schedule is a paused one: the instants since it was archived stay undecided until it is resumed, and are then
recorded as skipped, as one range. Its cancelled runs stay cancelled.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog

from mailroom.domain import misfire
from mailroom.domain.errors import ScheduleNotArchived, StaleEdit
from mailroom.domain.ids import ScheduleId
from mailroom.domain.misfire import Skipped, SkipReason
from mailroom.domain.recurrence.model import RuleRefused
from mailroom.domain.recurrence.upcoming import next_after
from mailroom.domain.runs import Run
from mailroom.domain.schedules import Schedule, ScheduleState, ScheduleTrigger
from mailroom.services.common.hold_mirror import agree_on_runs
from mailroom.services.schedules.change import check_version, store_change
from mailroom.services.schedules.lifecycle import hold_open_runs
from mailroom.services.schedules.pause import Brakes, Toll, mirror_and_count
from mailroom.storage.database import Db, Session, server_now
from mailroom.storage.schedules import decided_instants, open_runs, schedules

log = structlog.get_logger()
_TRIES: Final = 5


def restore(
    db: Db, brakes: Brakes, schedule_id: ScheduleId, *, by: str, seen_version: int | None = None
) -> tuple[Schedule, Toll]:
    """Take a schedule out of the archive: it comes back paused, and runs nothing until it is resumed. Restoring it
    again before that changes nothing.

    Raises ScheduleNotFound, ScheduleNotArchived, StaleEdit.
    """
    agree_on_runs(db, brakes.mirror, list(open_runs.open_of(db, [schedule_id])))
    schedule = _restored(db, schedule_id, by=by, seen_version=seen_version)
    return schedule, mirror_and_count(db, brakes, list(open_runs.open_of(db, [schedule_id])))


def _restored(db: Db, schedule_id: ScheduleId, *, by: str, seen_version: int | None) -> Schedule:
    for _ in range(_TRIES):
        schedule = schedules.get(db, schedule_id)
        if schedule.state is ScheduleState.PAUSED and schedule.restored_at:
            return schedule
        if schedule.state is not ScheduleState.ARCHIVED:
            raise ScheduleNotArchived(f"only an archived schedule can be restored; this one is {schedule.state}")
        check_version(schedule, seen_version)
        try:
            return _store(db, schedule, by=by, now=server_now(db))
        except StaleEdit as error:  # somebody else restored it in this moment: it is restored
            refused = error
    raise refused


def _store(db: Db, archived: Schedule, *, by: str, now: datetime) -> Schedule:
    record = _record_of_archiving(db, archived)
    after, counted = _with_next_run(archived, record)

    def also(session: Session, _after: Schedule) -> None:
        if record and counted:
            decided_instants.recount(db, record.id, counted, session=session)
        # An earlier version of Mailroom left the runs of an archived schedule going.
        hold_open_runs(db, archived.id, by=by, now=now, session=session)

    after = replace(after, paused_at=now, restored_at=now, restored_by=by)
    stored = store_change(db, archived, after, [], now, trigger=ScheduleTrigger.RESTORED, also=also)
    log.info("schedule_restored", schedule_id=archived.id, by=by)
    return stored


def _record_of_archiving(db: Db, archived: Schedule) -> Run | None:
    """The record of the instants that were due and not planned when it was archived."""
    newest = decided_instants.newest_decision(db, archived.id, archived.decided_through)
    if newest and newest.reason == SkipReason.ARCHIVED and newest.due_through == archived.decided_through:
        return newest
    return None


def _with_next_run(archived: Schedule, record: Run | None) -> tuple[Schedule, int]:
    """The schedule with its first undecided instant, and how many instants the record stands for; 0 without one.

    Archiving asks no rule, so its record counted one instant; `max_runs` counts them all. A rule that cannot be
    computed sets the schedule aside.
    """
    try:
        if record is None:
            following = next_after(archived.recurrence, archived.decided_through, decided=archived.decided)
            return replace(archived, next_run_at=following, set_aside=""), 0
        skipped = Skipped(record.due_at, archived.decided_through, record.instants, SkipReason.ARCHIVED)
        decisions = misfire.skip_counted(archived, skipped)
    except RuleRefused as error:
        return replace(archived, set_aside=str(error)), 0
    counted = decisions.decided - (archived.decided - record.instants)
    return replace(archived, decided=decisions.decided, next_run_at=decisions.next_run_at, set_aside=""), counted
