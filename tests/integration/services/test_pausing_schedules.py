"""A schedule that is paused or archived takes its open runs with it, and resuming goes on with them."""

from collections import Counter
from datetime import timedelta

import pytest

from mailroom.domain.errors import (
    ScheduleNotActive,
    SchedulePaused,
)
from mailroom.domain.ids import DispatchId
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.runs import RunState
from mailroom.domain.schedules import ScheduleState
from mailroom.services.dispatching import cancel as cancel_runs
from mailroom.services.dispatching.requeue import requeue_failed
from mailroom.services.planning import asked_runs, plan
from mailroom.services.reports import runs as run_views
from mailroom.services.resending import runs as resend_runs
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from mailroom.services.schedules import pause as schedule_pause
from mailroom.storage.database import server_now
from mailroom.storage.schedules import schedules
from tests.support.builders import make_due, recipients, stored_schedule
from tests.support.lines import TAKEN, Line, a_run, states_of_dispatches


def test_pausing_a_schedule_holds_its_open_runs_and_resuming_it_goes_on_with_them(line: Line) -> None:
    run_id, schedule_id = a_run(line, 30)

    schedule, toll = schedule_pause.pause_schedule(line.db, line.brakes, schedule_id, by="ann")
    none = line.claim()
    resumed, _ = schedule_pause.resume_schedule(line.db, line.brakes, schedule_id, by="ann")

    assert (schedule.state, toll.runs, toll.held) == (ScheduleState.PAUSED, (run_id,), 30)
    assert (none, resumed.state) == ([], ScheduleState.ACTIVE)
    assert len(line.cross(line.claim()).go) == 3


def test_what_is_requeued_in_a_paused_schedule_waits_until_it_is_resumed(line: Line) -> None:
    run_id, schedule_id = a_run(line, 10)
    line.db.dispatches.update_many({"run_id": run_id}, {"$set": {"state": "failed"}})
    line.db.runs.update_one({"_id": run_id}, {"$set": {"state": RunState.FINISHED}})
    schedule_pause.pause_schedule(line.db, line.brakes, schedule_id, by="ann")

    ids = [DispatchId(doc["_id"]) for doc in line.db.dispatches.find({"run_id": run_id})]
    refused = requeue_failed(line.db, ids, by="bo")
    while_paused = line.claim()
    schedule_pause.resume_schedule(line.db, line.brakes, schedule_id, by="ann")

    assert (refused, while_paused) == ({}, [])
    assert len(line.cross(line.claim()).go) == 1


def test_a_run_that_is_due_and_not_decided_when_its_schedule_is_paused_is_held_or_never_made(line: Line) -> None:
    schedule = stored_schedule(line.db)
    make_due(line.db, schedule, since=timedelta(minutes=61))
    line.take(schedule_lane(schedule.id))

    schedule_pause.pause_schedule(line.db, line.brakes, schedule.id, by="ann")
    line.plan(schedule.id)

    assert line.claim() == []


def test_a_run_that_was_paused_by_itself_stays_paused_when_its_schedule_is_resumed(line: Line) -> None:
    alone, schedule_id = a_run(line, 10)
    with_it, _ = a_run(line, 10, key="another", of=schedules.get(line.db, schedule_id))
    schedule_pause.pause_run(line.db, line.brakes, alone, by="ann")

    schedule_pause.pause_schedule(line.db, line.brakes, schedule_id, by="bo")
    schedule_pause.resume_schedule(line.db, line.brakes, schedule_id, by="bo")

    assert {one.run_id for one in line.claim()} == {with_it}
    assert run_views.get(line.db, alone).paused_by == "ann"


def test_a_schedule_that_has_come_to_its_end_can_be_paused_while_a_run_of_it_goes_out(line: Line) -> None:
    """A schedule of one instant is finished as soon as that is decided: its campaign has only begun."""
    run_id, schedule_id = a_run(line, 30)
    ended, key = {"state": "finished", "decided": 1, "recurrence.max_runs": 1}, {"_id": schedule_id}
    line.db.schedules.update_one(key, {"$set": ended, "$unset": {"next_run_at": ""}})

    paused, toll = schedule_pause.pause_schedule(line.db, line.brakes, schedule_id, by="ann")
    none = line.claim()
    resumed, _ = schedule_pause.resume_schedule(line.db, line.brakes, schedule_id, by="ann")

    assert (paused.state, toll.runs, none) == (ScheduleState.PAUSED, (run_id,), [])
    assert resumed.state is ScheduleState.FINISHED
    assert len(line.claim()) == 3
    cancel_runs.cancel(line.db, run_id)
    with pytest.raises(ScheduleNotActive):
        schedule_lifecycle.pause(line.db, schedule_id)


def test_archiving_cancels_what_has_not_gone_out_and_says_what_went(line: Line) -> None:
    run_id, schedule_id = a_run(line, 40)
    claimed = line.claim()
    line.record(line.cross(claimed[:1]).go, TAKEN)
    going = line.cross(claimed[1:2]).go

    schedule, toll = schedule_pause.archive(line.db, line.brakes, schedule_id)
    line.cross(claimed[2:])
    line.record(going, TAKEN)

    assert schedule.state is ScheduleState.ARCHIVED
    assert (toll.sent, toll.cancelled, [call.id for call in toll.in_flight]) == (10, 20, [going[0].id])
    assert states_of_dispatches(line.db, run_id) == {"accepted": 2, "cancelled": 2}
    assert run_views.get(line.db, run_id).state is RunState.CANCELLED


def test_archiving_while_a_run_is_planned_cancels_it_whole(line: Line) -> None:
    schedule = stored_schedule(line.db, recipients=recipients(2_500))
    run, _ = asked_runs.run_now(line.db, schedule.id, owner="tests", key="k")
    line.take(schedule_lane(schedule.id))
    held = {schedule.id: line.held[schedule_lane(schedule.id)]}
    plan.expand(line.db, held, batch_size=1_000, now=server_now(line.db))

    _, toll = schedule_pause.archive(line.db, line.brakes, schedule.id)
    line.plan(schedule.id, batch=1_000)

    assert (toll.cancelled, line.claim()) == (2_500, [])
    assert Counter(m["state"] for m in line.db.messages.find({"run_id": run.id})) == {"cancelled": 2_500}


def test_a_run_that_an_earlier_version_left_going_in_an_archived_schedule_is_cancelled_by_archiving_again(
    line: Line,
) -> None:
    run_id, schedule_id = a_run(line, 10)
    line.db.schedules.update_one({"_id": schedule_id}, {"$set": {"state": "archived"}})

    _, toll = schedule_pause.archive(line.db, line.brakes, schedule_id)

    assert (toll.runs, toll.cancelled) == ((run_id,), 10)


def test_a_paused_schedule_is_run_now_or_again_only_where_that_is_meant(line: Line) -> None:
    cancelled, schedule_id = a_run(line, 10)
    cancel_runs.cancel(line.db, cancelled)
    schedule_lifecycle.pause(line.db, schedule_id)

    with pytest.raises(SchedulePaused):
        asked_runs.run_now(line.db, schedule_id, owner="ann", key="now")
    with pytest.raises(SchedulePaused):
        resend_runs.run_again(line.db, cancelled, owner="ann", key="again", batch_size=1_000)
    run, _ = asked_runs.run_now(line.db, schedule_id, owner="ann", key="now", even_if_paused=True)

    assert asked_runs.run_now(line.db, schedule_id, owner="ann", key="now") == (run, False)
    line.plan(schedule_id)
    assert {one.run_id for one in line.claim()} == {run.id}
