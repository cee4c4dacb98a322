"""Schedules in a real MongoDB: stored whole or not at all, edited by versions; no due instant is forgotten."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from mailroom.domain.errors import (
    IdempotencyMismatch,
    InvalidInput,
    ScheduleEnded,
    ScheduleNotActive,
    ScheduleNotFound,
    StaleEdit,
)
from mailroom.domain.ids import ScheduleId
from mailroom.domain.runs import RunState
from mailroom.domain.schedules import ScheduleState
from mailroom.services.planning import asked_runs, plan
from mailroom.services.schedules import create as create_schedule
from mailroom.services.schedules import edit as edit_schedule
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from mailroom.services.schedules import view as schedule_view
from mailroom.storage.database import Db, server_now
from tests.support.builders import a_draft, make_due, stored_schedule
from tests.support.planned import hold, runs_of

HOUR = timedelta(hours=1)


def test_a_refused_schedule_leaves_nothing_behind(db: Db) -> None:
    with pytest.raises(InvalidInput):
        create_schedule.create(db, a_draft(text="{{ unknown }}"), owner="tests")

    assert [db[name].count_documents({}) for name in ("schedules", "contents", "recipients", "audiences")] == [0] * 4


def test_the_same_key_makes_one_schedule_even_when_asked_at_once(db: Db) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: create_schedule.create(db, a_draft(), owner="ann", key="k"), range(8)))

    assert len({stored.schedule.id for stored, _ in made}) == 1
    assert sum(new for _, new in made) == 1
    assert db.schedules.count_documents({}) == 1


def test_the_same_key_with_another_body_is_refused(db: Db) -> None:
    create_schedule.create(db, a_draft(), owner="ann", key="k")

    with pytest.raises(IdempotencyMismatch):
        create_schedule.create(db, a_draft(name="Another"), owner="ann", key="k")


def test_two_owners_may_use_the_same_key(db: Db) -> None:
    first, _ = create_schedule.create(db, a_draft(), owner="ann", key="k")
    second, _ = create_schedule.create(db, a_draft(), owner="bo", key="k")

    assert first.schedule.id != second.schedule.id


def test_an_edit_of_a_version_that_is_not_the_current_one_is_refused(db: Db) -> None:
    schedule = stored_schedule(db)
    edit_schedule.edit(db, schedule.id, {"name": "First"}, seen_version=1)

    with pytest.raises(StaleEdit):
        edit_schedule.edit(db, schedule.id, {"name": "Second"}, seen_version=1)

    assert schedule_view.get(db, schedule.id).schedule.name == "First"


def test_changing_the_rule_decides_first_what_was_due_under_the_old_one(db: Db) -> None:
    schedule = stored_schedule(db, misfire={"policy": "run_all", "grace_s": 60})
    first = make_due(db, schedule, since=2.5 * HOUR)

    edit_schedule.edit(
        db, schedule.id, {"recurrence": {"kind": "every", "seconds": 60, "time_zone": "UTC"}}, seen_version=1
    )

    assert [run.due_at for run in runs_of(db, schedule.id)] == [first, first + HOUR]


def test_the_instants_of_a_pause_are_one_record(db: Db) -> None:
    schedule = stored_schedule(db)
    schedule_lifecycle.pause(db, schedule.id)
    first = make_due(db, schedule, since=3.5 * HOUR)

    schedule_lifecycle.resume(db, schedule.id)

    (record,) = runs_of(db, schedule.id)
    assert (record.state, record.reason, record.instants) == (RunState.SKIPPED, "paused", 3)
    assert (record.due_at, record.due_through) == (first, first + 2 * HOUR)
    assert schedule_view.get(db, schedule.id).schedule.state is ScheduleState.ACTIVE


def test_skipping_the_next_run_records_it_and_moves_on(db: Db) -> None:
    schedule = stored_schedule(db)

    after, record = schedule_lifecycle.skip_next(db, schedule.id)

    assert (record.due_at, record.reason) == (schedule.next_run_at, "asked")
    assert after.next_run_at == schedule.next_run_at + HOUR


def test_a_run_asked_for_twice_with_one_key_is_one_run_and_does_not_count(db: Db) -> None:
    schedule = stored_schedule(db)

    first, new = asked_runs.run_now(db, schedule.id, owner="ann", key="k")
    second, again = asked_runs.run_now(db, schedule.id, owner="ann", key="k")

    assert (first.id, new, again) == (second.id, True, False)
    assert schedule_view.get(db, schedule.id).schedule.decided == 0


def test_what_is_archived_runs_no_more(db: Db) -> None:
    schedule = stored_schedule(db)
    schedule_lifecycle.archive(db, schedule.id)
    make_due(db, schedule, since=2 * HOUR)

    done = plan.plan_due(db, hold(db, schedule.id), mark=0, now=server_now(db))

    assert not done.moved
    with pytest.raises(ScheduleEnded):
        asked_runs.run_now(db, schedule.id, owner="ann", key="k")
    with pytest.raises(ScheduleNotActive):
        schedule_lifecycle.pause(db, schedule.id)


def test_a_schedule_that_does_not_exist_is_not_found(db: Db) -> None:
    with pytest.raises(ScheduleNotFound):
        schedule_lifecycle.pause(db, ScheduleId("sch_none"))


def test_a_new_rule_after_a_skipped_run_forgets_no_instant(db: Db) -> None:
    schedule = stored_schedule(db, recurrence={"kind": "every", "seconds": 7 * 86_400, "time_zone": "UTC"})
    schedule_lifecycle.skip_next(db, schedule.id)

    hourly = {"kind": "every", "seconds": 3600, "time_zone": "UTC"}
    after = edit_schedule.edit(db, schedule.id, {"recurrence": hourly}, seen_version=None).schedule

    assert after.next_run_at is not None
    assert after.next_run_at - after.decided_through <= HOUR
    assert plan.plan_due(db, hold(db, schedule.id), mark=0, now=after.next_run_at).moved == {schedule.id}


def test_changing_the_rule_of_a_paused_schedule_records_the_instants_of_the_pause(db: Db) -> None:
    schedule = stored_schedule(db)
    schedule_lifecycle.pause(db, schedule.id)
    make_due(db, schedule, since=3.5 * HOUR)

    rule = {"kind": "every", "seconds": 60, "time_zone": "UTC"}
    edit_schedule.edit(db, schedule.id, {"recurrence": rule}, seen_version=None)

    assert [(run.reason, run.instants) for run in runs_of(db, schedule.id)] == [("paused", 3)]


def test_editing_a_single_run_that_has_just_come_due_runs_it_and_finishes(db: Db) -> None:
    at = (server_now(db) + timedelta(seconds=2)).replace(microsecond=0, tzinfo=None)
    schedule = stored_schedule(db, recurrence={"kind": "once", "at": at, "time_zone": "UTC"})
    earlier = {"recurrence.at": (at - HOUR).isoformat(), "decided_through": server_now(db) - 2 * HOUR}
    db.schedules.update_one({"_id": schedule.id}, {"$set": earlier})

    after = edit_schedule.edit(db, schedule.id, {"name": "New"}, seen_version=None).schedule

    assert after.state is ScheduleState.FINISHED
    assert len(runs_of(db, schedule.id)) == 1
