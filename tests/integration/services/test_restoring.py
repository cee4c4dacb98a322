"""A schedule comes out of the archive paused: nothing of it runs, and no due instant is forgotten or doubled."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from pymongo.monitoring import CommandListener

from mailroom.domain.dispatches.outcomes import Accepted
from mailroom.domain.errors import ScheduleNotActive, ScheduleNotArchived, ScheduleNotFound, StaleEdit
from mailroom.domain.ids import ScheduleId
from mailroom.domain.runs import Run, RunState
from mailroom.domain.schedules import Schedule, ScheduleState
from mailroom.services.planning import asked_runs, plan
from mailroom.services.reports import runs as run_views
from mailroom.services.schedules import edit as edit_schedule
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from mailroom.services.schedules import pause as schedule_pause
from mailroom.services.schedules import restore as schedule_restore
from mailroom.services.schedules import view as schedule_view
from mailroom.storage.database import Db, server_now
from mailroom.storage.schedules import schedules
from tests.support.builders import make_due, stored_schedule
from tests.support.lines import Line, a_run
from tests.support.planned import hold
from tests.support.rules import EVERY_MINUTE

HOUR = timedelta(hours=1)


def restore(line: Line, id_: ScheduleId, **seen: Any) -> Schedule:
    return schedule_restore.restore(line.db, line.brakes, id_, by="bo", **seen)[0]


def runs_of(db: Db, id_: ScheduleId) -> list[Run]:
    return list(reversed(run_views.page(db, schedule_id=id_, before=None, limit=100)))


def put_back(db: Db, id_: ScheduleId, span: timedelta) -> None:
    """An archived `every` schedule, as if it had been archived for so long."""
    seen = schedules.get(db, id_)
    earlier = {"recurrence.anchor": seen.recurrence.anchor - span, "decided_through": seen.decided_through - span}
    db.schedules.update_one({"_id": id_}, {"$set": earlier})


class BeforeTheClockIsAsked(CommandListener):
    """Does something once, just before MongoDB is asked for its time for the `nth` time."""

    def __init__(self, act: Callable[[], None], nth: int) -> None:
        self.act, self.left = act, nth

    def started(self, event: Any) -> None:
        if event.command_name == "hello":
            self.left -= 1
            if self.left == 0:
                self.act()

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass


def interrupted(db: Db, act: Callable[[], None], *, at_look: int) -> Db:
    """The same database by another client, through which a service finds that somebody acts in between. It asks for
    the time after it has looked, before it writes."""
    (host, port), *_ = db.client.nodes
    listeners = [BeforeTheClockIsAsked(act, at_look)]
    client = db.client.__class__(
        f"mongodb://{host}:{port}", directConnection=True, tz_aware=True, event_listeners=listeners
    )
    return client.get_database(db.name, codec_options=db.codec_options)


def test_a_restored_schedule_is_paused_names_who_restored_it_and_runs_nothing(line: Line) -> None:
    schedule = stored_schedule(line.db)
    archived = schedule_lifecycle.archive(line.db, schedule.id)
    put_back(line.db, schedule.id, 5 * HOUR)

    restored, toll = schedule_restore.restore(line.db, line.brakes, schedule.id, by="bo")

    assert (restored.state, restored.restored_by) == (ScheduleState.PAUSED, "bo")
    assert restored.version == archived.version + 1
    assert restored.restored_at == restored.paused_at == restored.updated_at
    assert toll.runs == ()
    assert schedules.get(line.db, schedule.id) == restored
    assert plan.plan_due(line.db, hold(line.db, schedule.id), mark=0, now=server_now(line.db)).moved == set()


def test_the_instants_since_it_was_archived_are_one_record_when_it_goes_on(line: Line) -> None:
    schedule = stored_schedule(line.db)
    schedule_lifecycle.archive(line.db, schedule.id)
    put_back(line.db, schedule.id, 3.5 * HOUR)

    restored = restore(line, schedule.id)
    before = runs_of(line.db, schedule.id)
    resumed = schedule_lifecycle.resume(line.db, schedule.id)

    assert before == []
    (record,) = runs_of(line.db, schedule.id)
    assert (record.state, record.reason, record.instants) == (RunState.SKIPPED, "paused", 3)
    assert (record.due_at, record.due_through) == (restored.next_run_at, record.due_at + 2 * HOUR)
    assert (resumed.state, resumed.restored_at, resumed.restored_by) == (ScheduleState.ACTIVE, None, "")
    assert resumed.next_run_at == record.due_at + 3 * HOUR


def test_years_of_minutes_in_the_archive_are_one_record(line: Line) -> None:
    schedule = stored_schedule(line.db, recurrence={"kind": "every", "seconds": 60, "time_zone": "UTC"})
    schedule_lifecycle.archive(line.db, schedule.id)
    put_back(line.db, schedule.id, timedelta(days=3 * 365))

    restore(line, schedule.id)
    resumed = schedule_lifecycle.resume(line.db, schedule.id)

    (record,) = runs_of(line.db, schedule.id)
    assert (record.instants, record.due_through) == (10_000, resumed.decided_through)
    assert line.db.runs.count_documents({}) == 1


def test_what_was_due_and_not_planned_when_it_was_archived_counts_as_so_many_runs(line: Line) -> None:
    rule = {"kind": "every", "seconds": 3600, "time_zone": "UTC", "max_runs": 5}
    schedule = stored_schedule(line.db, recurrence=rule)
    schedule_lifecycle.pause(line.db, schedule.id)
    first = make_due(line.db, schedule, since=3.5 * HOUR)
    schedule_lifecycle.archive(line.db, schedule.id)

    restored = restore(line, schedule.id)
    schedule_lifecycle.archive(line.db, schedule.id)
    again = restore(line, schedule.id)

    (record,) = runs_of(line.db, schedule.id)
    assert (record.reason, record.instants, record.due_at) == ("archived", 3, first)
    assert (restored.decided, restored.next_run_at) == (again.decided, again.next_run_at) == (3, first + 3 * HOUR)
    resumed = schedule_lifecycle.resume(line.db, schedule.id)
    assert len(schedule_view.next_runs(line.db, schedule.id, 10)) == 2
    assert resumed.decided == 3


def test_a_schedule_without_a_further_instant_comes_back_paused_and_ends_when_it_is_resumed(line: Line) -> None:
    rule = {"kind": "every", "seconds": 3600, "time_zone": "UTC", "max_runs": 1}
    schedule = stored_schedule(line.db, recurrence=rule)
    make_due(line.db, schedule, since=1.01 * HOUR)
    plan.plan_due(line.db, hold(line.db, schedule.id), mark=0, now=server_now(line.db))
    finished = schedules.get(line.db, schedule.id)
    schedule_lifecycle.archive(line.db, schedule.id)

    restored = restore(line, schedule.id)
    resumed = schedule_lifecycle.resume(line.db, schedule.id)

    assert finished.state is resumed.state is ScheduleState.FINISHED
    assert (restored.state, restored.next_run_at) == (ScheduleState.PAUSED, None)
    assert len(runs_of(line.db, schedule.id)) == 1


def test_a_rule_that_cannot_be_computed_any_more_is_said_and_can_be_replaced(line: Line) -> None:
    schedule = stored_schedule(line.db)
    schedule_lifecycle.archive(line.db, schedule.id)
    wrong = {"recurrence.kind": "rrule", "recurrence.expression": EVERY_MINUTE}
    line.db.schedules.update_one({"_id": schedule.id}, {"$set": wrong})

    restored = restore(line, schedule.id)
    hourly = {"kind": "every", "seconds": 3600, "time_zone": "UTC"}
    edited = edit_schedule.edit(line.db, schedule.id, {"recurrence": hourly}, seen_version=None).schedule

    assert (restored.state, bool(restored.set_aside), restored.next_run_at) == (ScheduleState.PAUSED, True, None)
    assert (edited.state, edited.set_aside) == (ScheduleState.PAUSED, "")
    assert schedule_lifecycle.resume(line.db, schedule.id).state is ScheduleState.ACTIVE


def test_cancelled_runs_stay_cancelled_and_a_new_one_goes(line: Line) -> None:
    run_id, schedule_id = a_run(line, 30)
    claimed = line.claim()
    schedule_pause.archive(line.db, line.brakes, schedule_id)

    restore(line, schedule_id)
    schedule_pause.resume_schedule(line.db, line.brakes, schedule_id, by="bo")
    crossing = line.cross(claimed)

    assert (crossing.go, line.claim()) == ([], [])
    assert run_views.get(line.db, run_id).state is RunState.CANCELLED
    a_run(line, 30, key="another", of=schedules.get(line.db, schedule_id))
    assert len(line.cross(line.claim()).go) == 3


def test_only_an_archived_schedule_is_restored(line: Line) -> None:
    schedule = stored_schedule(line.db)
    for change in (None, schedule_lifecycle.pause, schedule_lifecycle.resume):
        if change:
            change(line.db, schedule.id)
        with pytest.raises(ScheduleNotArchived):
            restore(line, schedule.id)

    with pytest.raises(ScheduleNotFound):
        restore(line, ScheduleId("sch_none"))


def test_a_pause_ends_what_is_said_of_a_restore(line: Line) -> None:
    """Also where a process of an earlier version resumed it, which knows nothing of restores."""
    schedule = stored_schedule(line.db)
    line.db.schedules.update_one(
        {"_id": schedule.id}, {"$set": {"restored_at": server_now(line.db), "restored_by": "bo"}}
    )

    paused = schedule_lifecycle.pause(line.db, schedule.id, by="ann")

    assert paused.restored_at is None
    with pytest.raises(ScheduleNotArchived):
        restore(line, schedule.id)


def test_restoring_twice_is_restoring_once_until_it_is_resumed(line: Line) -> None:
    schedule = stored_schedule(line.db)
    archived = schedule_lifecycle.archive(line.db, schedule.id)

    first = restore(line, schedule.id, seen_version=archived.version)
    again = restore(line, schedule.id, seen_version=archived.version)
    schedule_lifecycle.resume(line.db, schedule.id)

    assert first == again
    with pytest.raises(ScheduleNotArchived):
        restore(line, schedule.id)


def test_restoring_a_version_that_is_not_the_current_one_is_refused(line: Line) -> None:
    schedule = stored_schedule(line.db)
    schedule_lifecycle.archive(line.db, schedule.id)

    with pytest.raises(StaleEdit):
        restore(line, schedule.id, seen_version=schedule.version)

    assert schedules.get(line.db, schedule.id).state is ScheduleState.ARCHIVED


def test_restored_by_many_at_once_it_is_restored_once(line: Line) -> None:
    schedule = stored_schedule(line.db)
    archived = schedule_lifecycle.archive(line.db, schedule.id)

    with ThreadPoolExecutor(8) as pool:
        restored = list(pool.map(lambda _: restore(line, schedule.id), range(8)))

    assert {(one.version, one.restored_at) for one in restored} == {(archived.version + 1, restored[0].restored_at)}


def test_archiving_again_in_the_moment_of_a_restore_cancels_nothing_of_the_restored_schedule(
    line: Line,
) -> None:
    schedule = stored_schedule(line.db)
    schedule_lifecycle.archive(line.db, schedule.id)

    def restore_and_run() -> None:
        restore(line, schedule.id)
        asked_runs.run_now(line.db, schedule.id, owner="tests", key="k", even_if_paused=True)

    with pytest.raises(StaleEdit):
        schedule_lifecycle.archive(interrupted(line.db, restore_and_run, at_look=1), schedule.id)

    assert [run.state for run in runs_of(line.db, schedule.id)] == [RunState.PLANNING]


def test_restored_while_its_archiving_is_still_mirrored_the_old_run_stays_cancelled_and_a_new_one_goes(
    line: Line,
) -> None:
    old, schedule_id = a_run(line, 30)

    def restore_and_run() -> None:
        restore(line, schedule_id)
        resumed, _ = schedule_pause.resume_schedule(line.db, line.brakes, schedule_id, by="bo")
        a_run(line, 30, key="new", of=resumed)

    db = interrupted(line.db, restore_and_run, at_look=2)
    _, toll = schedule_pause.archive(db, line.brakes, schedule_id)
    claimed = line.claim()

    assert (toll.runs, toll.cancelled) == ((old,), 30)
    assert {one.run_id for one in claimed} == {runs_of(line.db, schedule_id)[-1].id} != {old}
    assert len(line.cross(claimed).go) == 3


def test_a_run_that_an_earlier_version_left_going_is_held_by_the_restore_and_goes_on_with_the_schedule(
    line: Line,
) -> None:
    run_id, schedule_id = a_run(line, 30)
    line.db.schedules.update_one({"_id": schedule_id}, {"$set": {"state": "archived"}})

    _, toll = schedule_restore.restore(line.db, line.brakes, schedule_id, by="bo")
    none = line.claim()
    schedule_pause.resume_schedule(line.db, line.brakes, schedule_id, by="bo")

    assert (toll.runs, toll.held, none) == ((run_id,), 30, [])
    assert len(line.cross(line.claim()).go) == 3


def test_a_restore_that_an_older_copy_of_mongodb_forgot_is_made_again_and_nothing_goes_twice(line: Line) -> None:
    id_ = stored_schedule(line.db).id
    schedule_lifecycle.archive(line.db, id_)
    copy = line.db.schedules.find_one({"_id": id_})
    assert copy
    restore(line, id_)
    resumed = schedule_lifecycle.resume(line.db, id_)
    a_run(line, 1, of=resumed)
    going = line.cross(line.claim()).go
    line.record(going, Accepted("<id@mg.example.com>"))

    line.db.schedules.replace_one({"_id": id_}, copy)
    for name in ("runs", "messages", "dispatches"):
        line.db[name].delete_many({})
    restored = restore(line, id_)
    a_run(line, 1, of=schedule_lifecycle.resume(line.db, id_))
    crossing = line.cross(line.claim())

    assert restored.state is ScheduleState.PAUSED
    assert (len(going), crossing.go, len(crossing.called_before)) == (1, [], 1)


def test_an_archiving_that_an_older_copy_of_mongodb_forgot_leaves_nothing_to_restore(line: Line) -> None:
    schedule = stored_schedule(line.db)
    copy = line.db.schedules.find_one({"_id": schedule.id})
    assert copy
    schedule_lifecycle.archive(line.db, schedule.id)
    line.db.schedules.replace_one({"_id": schedule.id}, copy)

    with pytest.raises(ScheduleNotArchived):
        restore(line, schedule.id)

    assert schedules.get(line.db, schedule.id) == schedule


def test_a_restored_schedule_is_edited_archived_and_restored_like_a_paused_one(line: Line) -> None:
    schedule = stored_schedule(line.db)
    schedule_lifecycle.archive(line.db, schedule.id)
    restore(line, schedule.id)

    edited = edit_schedule.edit(line.db, schedule.id, {"name": "New"}, seen_version=None).schedule
    with pytest.raises(ScheduleNotActive):
        schedule_lifecycle.pause(line.db, schedule.id)
    archived = schedule_lifecycle.archive(line.db, schedule.id)

    assert (edited.state, edited.restored_by) == (ScheduleState.PAUSED, "bo")
    assert (archived.restored_at, archived.restored_by) == (None, "")
    assert restore(line, schedule.id).name == "New"
