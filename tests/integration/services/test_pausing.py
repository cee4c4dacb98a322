"""A paused run means paused: nothing new is called, what was claimed goes back, and the answer says what still goes."""

from datetime import timedelta

import pytest

from mailroom.domain.dispatches.model import Acceptance
from mailroom.domain.errors import (
    RunEnded,
    RunNotPaused,
    RunPaused,
)
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.runs import RunState
from mailroom.services.common import hold_mirror
from mailroom.services.dispatching import cancel as cancel_runs
from mailroom.services.dispatching import lanes as dispatching_lanes
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.dispatching.take_over import take_over
from mailroom.services.operations import janitor
from mailroom.services.planning import asked_runs, plan
from mailroom.services.reports import runs as run_views
from mailroom.services.schedules import pause as schedule_pause
from mailroom.storage.database import server_now
from mailroom.storage.schedules import schedules
from tests.support.builders import recipients, stored_schedule
from tests.support.lines import TAKEN, Line, a_run, states_of_dispatches


def wanted(line: Line) -> list[str]:
    now = server_now(line.db)
    return list(dispatching_lanes.lanes_wanting_work(line.db, now=now, ahead=timedelta(), limit=50, leave_out=[]))


def test_what_was_claimed_when_its_run_was_paused_goes_back_without_using_a_try(line: Line) -> None:
    run_id, _ = a_run(line, 30)
    claimed = line.claim()

    run, toll = schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")
    crossing = line.cross(claimed)

    assert (run.paused_by, run.state, toll.sent, toll.held, toll.in_flight) == ("ann", RunState.PLANNED, 0, 30, ())
    assert (len(crossing.held), crossing.go) == (3, [])
    assert [(d["state"], d["tries"]) for d in line.db.dispatches.find()] == [("pending", 0)] * 3
    assert line.claim() == []
    schedule_pause.resume_run(line.db, line.brakes, run_id, by="ann")
    assert len(line.cross(line.claim()).go) == 3


def test_a_call_that_was_begun_is_named_finishes_and_is_written_down(line: Line) -> None:
    run_id, _ = a_run(line, 30)
    claimed = line.claim()
    going = line.cross(claimed[:1]).go
    done = line.cross(claimed[1:2]).go
    line.record(done, TAKEN)

    _, toll = schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")
    line.record(going, TAKEN)
    line.cross(claimed[2:])

    assert (toll.sent, toll.held, [call.id for call in toll.in_flight]) == (10, 10, [going[0].id])
    assert (
        schedule_pause.in_words(toll) == "10 emails sent, 10 emails waiting; 1 request in flight still goes: 10 emails."
    )
    after = schedule_pause.toll(line.db, line.fences, [run_id])
    assert (after.sent, after.held, after.in_flight) == (20, 10, ())
    assert states_of_dispatches(line.db, run_id) == {"accepted": 2, "pending": 1}


def test_what_was_accepted_and_is_not_written_down_yet_counts_as_sent(line: Line) -> None:
    run_id, _ = a_run(line, 20)
    going = line.cross(line.claim()[:1]).go
    line.fences.close([(going[0], Acceptance("mailgun", "an id", going[0].attempt))])

    _, toll = schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")

    assert (toll.sent, toll.held, toll.in_flight) == (10, 10, ())


def test_a_claim_made_from_an_older_look_takes_nothing_of_a_paused_run_and_all_of_the_others(line: Line) -> None:
    paused, _ = a_run(line, 30)
    other, _ = a_run(line, 20)
    seen = line.waiting()

    schedule_pause.pause_run(line.db, line.brakes, paused, by="ann")
    claimed = line.claim(seen)

    assert {one.run_id for one in claimed} == {other}
    assert len(claimed) == 2


def test_another_run_of_the_same_schedule_goes_on_past_a_thousand_paused_dispatches(line: Line) -> None:
    paused, schedule_id = a_run(line, 1_000, batch=1)
    schedule = schedules.get(line.db, schedule_id)
    going, _ = a_run(line, 1_000, batch=500, key="another", of=schedule)
    schedule_pause.pause_run(line.db, line.brakes, paused, by="ann")
    on_hold = hold_mirror.look(line.db, line.holds)

    waiting = line.waiting(on_hold)

    assert [dispatch.run_id for dispatch in waiting.dispatches] == [going] * 2
    assert wanted(line) == [schedule_lane(schedule_id)]
    line.record(line.cross(line.claim(waiting)).go, TAKEN)
    assert wanted(line) == []
    assert len(line.waiting(on_hold)) == 0


def test_the_lane_of_a_paused_run_is_wanted_for_its_planning_and_its_doubts_only(line: Line) -> None:
    run_id, schedule_id = a_run(line, 30)
    claimed = line.claim()
    going = line.cross(claimed[:1]).go
    schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")
    line.cross(claimed[1:])

    while_in_hand = wanted(line)
    line.record(going, TAKEN)

    assert while_in_hand == [schedule_lane(schedule_id)]
    assert wanted(line) == []


def test_a_run_that_is_paused_while_it_is_planned_is_planned_to_its_end_and_sends_nothing(line: Line) -> None:
    schedule = stored_schedule(line.db, recipients=recipients(2_500))
    run, _ = asked_runs.run_now(line.db, schedule.id, owner="tests", key="k")
    line.take(schedule_lane(schedule.id))
    held = {schedule.id: line.held[schedule_lane(schedule.id)]}
    plan.expand(line.db, held, batch_size=1_000, now=server_now(line.db))

    _, toll = schedule_pause.pause_run(line.db, line.brakes, run.id, by="ann")
    line.plan(schedule.id, batch=1_000)

    assert (toll.held, toll.sent) == (2_500, 0)
    assert run_views.get(line.db, run.id).state is RunState.PLANNED
    assert line.claim() == []


def test_pausing_and_resuming_twice_and_what_has_ended_are_refused(line: Line) -> None:
    run_id, _ = a_run(line, 10)
    ended, _ = a_run(line, 10)
    cancel_runs.cancel(line.db, ended)
    schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")

    with pytest.raises(RunPaused):
        schedule_pause.pause_run(line.db, line.brakes, run_id, by="bo")
    assert run_views.get(line.db, run_id).paused_by == "ann"
    schedule_pause.resume_run(line.db, line.brakes, run_id, by="bo")
    with pytest.raises(RunNotPaused):
        schedule_pause.resume_run(line.db, line.brakes, run_id, by="bo")
    for act in (schedule_pause.pause_run, schedule_pause.resume_run):
        with pytest.raises(RunEnded):
            act(line.db, line.brakes, ended, by="ann")


def test_a_paused_run_with_nothing_left_to_send_ends_and_its_pause_with_it(line: Line) -> None:
    run_id, _ = a_run(line, 10)
    going = line.cross(line.claim()).go
    schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")

    line.record(going, TAKEN)
    janitor.tidy(line.db)

    run = run_views.get(line.db, run_id)
    assert (run.state, run.paused_at) == (RunState.FINISHED, None)
    assert hold_mirror.look(line.db, line.holds).runs == {}


def test_a_paused_run_can_be_cancelled(line: Line) -> None:
    run_id, _ = a_run(line, 30)
    claimed = line.claim()
    schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")

    run, toll = schedule_pause.cancel_run(line.db, line.brakes, run_id)
    line.cross(claimed)

    assert (run.state, run.paused_at, toll.cancelled, toll.held) == (RunState.CANCELLED, None, 30, 0)
    assert states_of_dispatches(line.db, run_id) == {"cancelled": 3}
    assert hold_mirror.look(line.db, line.holds).runs == {}


def test_what_was_claimed_and_not_called_when_its_run_was_cancelled_does_not_go(line: Line) -> None:
    run_id, _ = a_run(line, 30)
    claimed = line.claim()
    going = line.cross(claimed[:1]).go

    _, toll = schedule_pause.cancel_run(line.db, line.brakes, run_id)
    crossing = line.cross(claimed[1:])
    line.record(going, TAKEN)

    assert (toll.sent, toll.cancelled, [call.id for call in toll.in_flight]) == (0, 20, [going[0].id])
    assert crossing.go == []
    assert states_of_dispatches(line.db, run_id) == {"cancelled": 2, "accepted": 1}


def test_a_dead_senders_claims_of_a_paused_run_are_judged_and_wait(line: Line) -> None:
    run_id, _ = a_run(line, 30)
    claimed = line.claim()
    line.cross(claimed[:1])
    schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")

    take_over(LaneWork(line.db, line.fences, line.held, "another"), [])

    assert states_of_dispatches(line.db, run_id) == {"in_doubt": 1, "pending": 2}
    assert line.claim() == []
