"""Paused means paused: nothing new is called, what was claimed goes back, and the answer says what still goes."""

from collections import Counter
from datetime import timedelta

import pytest

from mailroom.domain.dispatches.model import Acceptance
from mailroom.domain.errors import (
    RunEnded,
    RunNotPaused,
    RunPaused,
    ScheduleNotActive,
    SchedulePaused,
)
from mailroom.domain.ids import DispatchId, RunId, schedule_lane
from mailroom.domain.outcomes import Accepted
from mailroom.domain.runs import RunState
from mailroom.domain.schedules import ScheduleState
from mailroom.services.common import sending_switch
from mailroom.services.dispatching import cancel as cancel_runs
from mailroom.services.dispatching import lanes as dispatching_lanes
from mailroom.services.dispatching.take_over import take_over
from mailroom.services.operations import janitor
from mailroom.services.planning import asked_runs, plan
from mailroom.services.reconciliation import resolve
from mailroom.services.reports import runs as run_views
from mailroom.services.resending import runs as resend_runs
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from mailroom.services.schedules import pause as schedule_pause
from mailroom.storage.database import Db, server_now
from mailroom.storage.schedules import schedules
from tests.support.builders import make_due, recipients, stored_schedule
from tests.support.lines import Line, a_run

TAKEN = Accepted("<id@mg.example.com>")


def states(db: Db, run_id: RunId) -> Counter[str]:
    return Counter(doc["state"] for doc in db.dispatches.find({"run_id": run_id}))


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
    assert states(line.db, run_id) == {"accepted": 2, "pending": 1}


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
    on_hold = sending_switch.look(line.db, line.holds)

    waiting = line.waiting(on_hold)

    assert [doc["run_id"] for doc in waiting.dispatches] == [going] * 2
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
    janitor.tidy(line.db, trails_kept_for=timedelta(days=30))

    run = run_views.get(line.db, run_id)
    assert (run.state, run.paused_at) == (RunState.FINISHED, None)
    assert sending_switch.look(line.db, line.holds).runs == {}


def test_a_paused_run_can_be_cancelled(line: Line) -> None:
    run_id, _ = a_run(line, 30)
    claimed = line.claim()
    schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")

    run, toll = schedule_pause.cancel_run(line.db, line.brakes, run_id)
    line.cross(claimed)

    assert (run.state, run.paused_at, toll.cancelled, toll.held) == (RunState.CANCELLED, None, 30, 0)
    assert states(line.db, run_id) == {"cancelled": 3}
    assert sending_switch.look(line.db, line.holds).runs == {}


def test_what_was_claimed_and_not_called_when_its_run_was_cancelled_does_not_go(line: Line) -> None:
    run_id, _ = a_run(line, 30)
    claimed = line.claim()
    going = line.cross(claimed[:1]).go

    _, toll = schedule_pause.cancel_run(line.db, line.brakes, run_id)
    crossing = line.cross(claimed[1:])
    line.record(going, TAKEN)

    assert (toll.sent, toll.cancelled, [call.id for call in toll.in_flight]) == (0, 20, [going[0].id])
    assert crossing.go == []
    assert states(line.db, run_id) == {"cancelled": 2, "accepted": 1}


def test_a_dead_senders_claims_of_a_paused_run_are_judged_and_wait(line: Line) -> None:
    run_id, _ = a_run(line, 30)
    claimed = line.claim()
    line.cross(claimed[:1])
    schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")

    take_over(line.db, line.fences, line.held, [], sender="another")

    assert states(line.db, run_id) == {"in_doubt": 1, "pending": 2}
    assert line.claim() == []


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
    refused = resolve.requeue(line.db, ids, by="bo")
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
    assert states(line.db, run_id) == {"accepted": 2, "cancelled": 2}
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


def test_a_hold_that_redis_alone_knows_holds_and_mongodb_learns_of_it(line: Line) -> None:
    """MongoDB was put back to a copy from before the pause."""
    run_id, _ = a_run(line, 10)
    schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")
    line.db.holds.delete_many({})
    line.db.runs.update_one({"_id": run_id}, {"$unset": {"paused_at": "", "paused_by": ""}})

    crossing = line.cross(line.claim())

    assert crossing.go == []
    assert run_views.get(line.db, run_id).paused_by == "ann"
    assert line.claim() == []
    schedule_pause.resume_run(line.db, line.brakes, run_id, by="bo")
    assert len(line.cross(line.claim()).go) == 1


def test_a_resume_that_redis_did_not_hear_of_reaches_it_with_the_next_claim(line: Line) -> None:
    run_id, _ = a_run(line, 10)
    _, _ = schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")
    paused = line.holds.read(run_id)
    schedule_pause.resume_run(line.db, line.brakes, run_id, by="ann")
    line.holds._redis.delete(f"mailroom:hold:{line.db.name}:{run_id}")
    line.holds.mirror(paused)

    refused = line.cross(line.claim())

    assert (len(refused.held), refused.go) == (1, [])
    assert len(line.cross(line.claim()).go) == 1


def put_back_to_before_any_pause(line: Line) -> None:
    line.db.holds.delete_many({})
    line.db.runs.update_many({}, {"$unset": {"paused_at": "", "paused_by": ""}})


def test_a_pause_holds_at_the_fences_though_mongodb_has_forgotten_an_earlier_one(line: Line) -> None:
    """Redis knows that the run was paused and resumed: the number of the new pause must be beyond that."""
    run_id, schedule_id = a_run(line, 30)
    schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")
    schedule_pause.resume_run(line.db, line.brakes, run_id, by="ann")

    for pause in (
        lambda: schedule_pause.pause_run(line.db, line.brakes, run_id, by="bo"),
        lambda: schedule_pause.pause_schedule(line.db, line.brakes, schedule_id, by="bo"),
    ):
        put_back_to_before_any_pause(line)
        claimed = line.claim()
        pause()
        assert (len(claimed), line.cross(claimed).go) == (3, [])
        schedule_pause.resume_run(line.db, line.brakes, run_id, by="bo")


def test_a_schedule_is_resumed_with_its_runs_though_mongodb_has_forgotten_its_newest_pause(line: Line) -> None:
    run_id, schedule_id = a_run(line, 10)
    schedule_pause.pause_schedule(line.db, line.brakes, schedule_id, by="ann")
    copy = list(line.db.holds.find())
    schedule_pause.resume_schedule(line.db, line.brakes, schedule_id, by="ann")
    schedule_pause.pause_schedule(line.db, line.brakes, schedule_id, by="ann")
    line.db.holds.delete_many({})
    line.db.holds.insert_many(copy)

    schedule_pause.resume_schedule(line.db, line.brakes, schedule_id, by="bo")

    assert len(line.cross(line.claim()).go) == 1
    assert run_views.get(line.db, run_id).paused_at is None


def test_what_was_cancelled_forgotten_and_resumed_can_be_cancelled_for_good(line: Line) -> None:
    run_id, _ = a_run(line, 10)
    copy = line.db.runs.find_one({"_id": run_id}), line.db.dispatches.find_one({"run_id": run_id})
    schedule_pause.cancel_run(line.db, line.brakes, run_id)
    for collection, doc in zip((line.db.runs, line.db.dispatches), copy, strict=True):
        assert doc
        collection.replace_one({"_id": doc["_id"]}, doc)
    line.cross(line.claim())
    schedule_pause.resume_run(line.db, line.brakes, run_id, by="bo")
    claimed = line.claim()

    schedule_pause.cancel_run(line.db, line.brakes, run_id)

    assert (len(claimed), line.cross(claimed).go) == (1, [])
