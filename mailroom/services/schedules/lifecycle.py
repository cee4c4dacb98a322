"""Pause, resume, skip once, archive. Used by the API, the pages and pause.py, which counts what still goes."""

from dataclasses import replace
from datetime import datetime

from mailroom.domain import misfire
from mailroom.domain.errors import (
    RuleNotComputable,
    ScheduleNotActive,
    ScheduleNotPaused,
    StaleEdit,
)
from mailroom.domain.ids import ScheduleId
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.misfire import SkipReason
from mailroom.domain.recurrence.model import RuleRefused
from mailroom.domain.runs import Run
from mailroom.domain.schedules import Schedule, ScheduleState, ScheduleTrigger
from mailroom.services.dispatching.cancel import cancel_within
from mailroom.services.dispatching.propagation import propagate_left_over
from mailroom.services.planning.decisions import decide_all_due, moved_on, runs_for
from mailroom.services.planning.spreads import spread_of
from mailroom.services.schedules.change import change_schedule, check_version, store_change
from mailroom.storage import holds, lanes
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.schedules import contents, open_runs, run_moves, schedules


def pause(db: Db, schedule_id: ScheduleId, *, by: str = "", seen_version: int | None = None) -> Schedule:
    """Until `resume`, no instant from now on runs, and nothing more of its open runs is claimed. A finished schedule
    that still has an open run can be paused too. Raises ScheduleNotFound, ScheduleNotActive, StaleEdit."""
    schedule = schedules.get(db, schedule_id)
    check_version(schedule, seen_version)
    at_its_end = schedule.state is ScheduleState.FINISHED and open_runs.open_of(db, [schedule_id])
    if schedule.state is not ScheduleState.ACTIVE and not at_its_end:
        raise ScheduleNotActive(f"only an active schedule can be paused; this one is {schedule.state}")
    now = server_now(db)

    def hold_runs(session: Session, _after: Schedule) -> None:
        hold_open_runs(db, schedule_id, by=by, now=now, session=session)

    def paused(schedule: Schedule) -> Schedule:
        return replace(schedule, paused_at=now, restored_at=None, restored_by="")

    return change_schedule(db, schedule, paused, now, trigger=ScheduleTrigger.PAUSED, also=hold_runs)


def hold_open_runs(db: Db, schedule_id: ScheduleId, *, by: str, now: datetime, session: Session) -> None:
    """Inside the transaction that pauses the schedule: claims collide with it, and claim nothing of its runs."""
    held = open_runs.open_of(db, [schedule_id], session=session)
    lanes.collide(db, [schedule_lane(schedule_id)], session)
    holds.put_on_runs(db, held, with_schedule=True, by=by, now=now, session=session)
    run_moves.mark_paused(db, held, by=by, now=now, session=session)


def resume(db: Db, schedule_id: ScheduleId, *, by: str = "", seen_version: int | None = None) -> Schedule:
    """Go on from now, and with the runs that were paused with it. One record says that the instants of the pause were
    skipped.

    Raises ScheduleNotFound, ScheduleNotPaused, RuleNotComputable, StaleEdit.
    """
    schedule = schedules.get(db, schedule_id)
    check_version(schedule, seen_version)
    if schedule.state is not ScheduleState.PAUSED:
        raise ScheduleNotPaused(f"only a paused schedule can be resumed; this one is {schedule.state}")
    now = server_now(db)
    try:
        decisions = misfire.skip_through(schedule, now, SkipReason.PAUSED)
    except RuleRefused as error:
        raise RuleNotComputable(str(error)) from None
    history = contents.histories(db, [schedule_id])[schedule_id]
    records = list(runs_for(schedule, decisions, history, now))
    trigger = ScheduleTrigger.RESUMED if decisions.next_run_at else ScheduleTrigger.RESUMED_AT_END
    after = replace(moved_on(schedule, decisions), paused_at=None, restored_at=None, restored_by="", set_aside="")

    def lift_holds(session: Session, _after: Schedule) -> None:
        paused = holds.with_schedule(db, list(open_runs.open_of(db, [schedule_id], session=session)), session=session)
        holds.lift_from_runs(db, paused, by=by, now=now, session=session)
        run_moves.mark_resumed(db, paused, session=session)

    return store_change(db, schedule, after, records, now, trigger=trigger, also=lift_holds)


def skip_next(db: Db, schedule_id: ScheduleId, *, seen_version: int | None = None) -> tuple[Schedule, Run]:
    """Record that the next due instant does not run. Raises ScheduleNotFound, ScheduleNotActive, StaleEdit."""
    schedule = schedules.get(db, schedule_id)
    check_version(schedule, seen_version)
    now = server_now(db)
    history = contents.histories(db, [schedule_id])[schedule_id]
    try:
        settled, due = decide_all_due(schedule, history, spread_of(db, schedule, history), now)
    except RuleRefused as error:
        raise RuleNotComputable(str(error)) from None
    if settled.state is not ScheduleState.ACTIVE or settled.next_run_at is None:
        raise ScheduleNotActive(f"only an active schedule has a next run; this one is {schedule.state}")
    decisions = misfire.skip_through(settled, settled.next_run_at, SkipReason.ASKED)
    records = list(runs_for(settled, decisions, history, now))
    after = moved_on(settled, decisions)
    trigger = None if after.next_run_at else ScheduleTrigger.CAME_TO_END
    return store_change(db, schedule, after, [*due, *records], now, trigger=trigger), records[0]


def archive(db: Db, schedule_id: ScheduleId, *, seen_version: int | None = None) -> Schedule:
    """Put a schedule away: it plans nothing any more and leaves the list. Mails of its open runs that have not gone out
    are cancelled; its runs and reports stay.

    Archiving again changes nothing. Raises ScheduleNotFound, StaleEdit.
    """
    schedule = schedules.get(db, schedule_id)
    now = server_now(db)

    def cancel_runs(session: Session, _after: Schedule) -> None:
        for run_id in open_runs.open_of(db, [schedule_id], session=session):
            cancel_within(db, run_id, now=now, session=session)

    def cancel_left_over(session: Session) -> None:
        if not schedules.still_in(db, schedule, session=session):
            raise StaleEdit(f"schedule {schedule_id} was restored in the same moment; try again")
        cancel_runs(session, schedule)

    if schedule.state is ScheduleState.ARCHIVED:
        # An earlier version of Mailroom left the runs of an archived schedule going.
        in_transaction(db, cancel_left_over)
    else:
        check_version(schedule, seen_version)
        archived = ScheduleTrigger.ARCHIVED
        schedule = change_schedule(db, schedule, put_away, now, trigger=archived, also=cancel_runs)
    propagate_left_over(db)
    return schedule


def put_away(schedule: Schedule) -> Schedule:
    """The schedule as it lies in the archive."""
    return replace(schedule, next_run_at=None, restored_at=None, restored_by="")
