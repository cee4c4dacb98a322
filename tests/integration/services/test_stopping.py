"""All sending stopped: nothing is claimed, planned or called, whoever asks and whatever a store has forgotten."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest.mock import Mock

import pytest

from mailroom.coordination.fences import Fences
from mailroom.coordination.holds import Holds
from mailroom.domain.dispatches.doubts import Timing
from mailroom.domain.dispatches.outcomes import Accepted, InDoubt
from mailroom.domain.errors import SendingStopped, Unavailable
from mailroom.domain.holds import EVERYTHING
from mailroom.domain.lane_names import mail_lanes, schedule_lane
from mailroom.services.common import hold_mirror, sending_switch
from mailroom.services.dispatching import lanes as dispatching_lanes
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.dispatching.requeue import requeue_failed
from mailroom.services.feedback import webhook_targets
from mailroom.services.operations import metrics as service_metrics
from mailroom.services.planning import asked_runs, plan
from mailroom.services.reconciliation import reconcile
from mailroom.services.reconciliation.conclusions import Policy
from mailroom.services.reports import runs as run_views
from mailroom.storage import holds
from mailroom.storage.database import Db, connect, server_now
from tests.support.builders import make_due, recipients, stored_schedule
from tests.support.caller import Caller
from tests.support.doubts import MINUTE, Forgetful
from tests.support.emails import an_email
from tests.support.explaining import listened_to
from tests.support.lines import Line, a_run

TAKEN = Accepted("<id@mg.example.com>")


def stop(line: Line, by: str = "ann") -> sending_switch.Switch:
    return sending_switch.stop(line.db, line.holds, line.fences, by=by)


def start(line: Line, by: str = "ann") -> sending_switch.Switch:
    return sending_switch.start(line.db, line.holds, line.fences, by=by)


def look(line: Line) -> sending_switch.Switch:
    return sending_switch.switch(line.db, line.holds, line.fences)


def wanted(line: Line) -> list[str]:
    now = server_now(line.db)
    return list(dispatching_lanes.lanes_wanting_work(line.db, now=now, ahead=timedelta(), limit=50, leave_out=[]))


def test_a_thousand_claims_in_a_senders_hand_go_back_and_what_was_called_is_named(line: Line) -> None:
    a_run(line, 1_000, batch=1)
    claimed = line.claim()
    going = line.cross(claimed[:3]).go

    stopped = stop(line)
    crossing = line.cross(claimed[3:])
    line.record(going, TAKEN)

    assert (stopped.sending, stopped.hold.by) == (False, "ann")
    assert {call.id for call in stopped.in_flight} == {one.id for one in going}
    assert (len(crossing.held), crossing.go) == (997, [])
    assert line.db.dispatches.count_documents({"state": "pending", "tries": 0}) == 997
    assert look(line).in_flight == ()
    assert line.claim() == []
    start(line)
    assert len(line.cross(line.claim()).go) == 997


def test_a_claim_made_from_an_older_look_takes_nothing(line: Line) -> None:
    a_run(line, 20)
    seen = line.waiting()

    stop(line)

    assert line.claim(seen) == []
    assert line.db.dispatches.count_documents({"state": "pending", "attempt": 0}) == 2


def test_no_lane_is_wanted_while_all_is_stopped_but_for_doubts_and_for_planning(line: Line) -> None:
    _, schedule_id = a_run(line, 30)
    going = line.cross(line.claim()[:1]).go
    due = stored_schedule(line.db)
    make_due(line.db, due, since=timedelta(minutes=61))
    in_planning = stored_schedule(line.db, recipients=recipients(2_000))
    asked_runs.run_now(line.db, in_planning.id, owner="tests", key="k")

    stop(line)
    while_in_hand = wanted(line)
    line.record(going, InDoubt("the call's time is over"))

    assert set(while_in_hand) == {schedule_lane(schedule_id), schedule_lane(in_planning.id)}
    assert set(wanted(line)) == set(while_in_hand)
    start(line)
    assert schedule_lane(due.id) in wanted(line)


@pytest.mark.parametrize(("policy", "runs"), [("run_once", 1), ("skip", 0), ("run_all", 3)])
def test_nothing_is_planned_during_a_stop_and_the_misfire_rule_decides_at_the_start(
    line: Line, policy: str, runs: int
) -> None:
    schedule = stored_schedule(line.db, misfire={"policy": policy, "grace_s": 60})
    make_due(line.db, schedule, since=timedelta(hours=3.5))
    line.take(schedule_lane(schedule.id))
    held = {schedule.id: line.held[schedule_lane(schedule.id)]}
    stop(line)

    planned = plan.plan_due(line.db, held, mark=0, now=server_now(line.db))
    nothing = list(line.db.runs.find({}))
    start(line)
    plan.plan_due(line.db, held, mark=0, now=server_now(line.db))

    assert (planned.moved, nothing) == (frozenset(), [])
    made = run_views.page(line.db, schedule_id=schedule.id, before=None, limit=10)
    assert sum(run.state == "planning" for run in made) == runs
    assert sum(run.instants for run in made) == 3


def test_what_a_person_has_sent_again_waits_too(line: Line) -> None:
    a_run(line, 10)
    line.db.dispatches.update_many({}, {"$set": {"state": "failed", "attempt": 1}})
    stop(line)

    requeue_failed(line.db, [one["_id"] for one in line.db.dispatches.find({})], by="ann")

    assert line.claim() == []
    start(line)
    assert len(line.cross(line.claim()).go) == 1


def test_stopping_twice_keeps_who_did_it_first_and_starting_twice_changes_nothing(line: Line) -> None:
    first = stop(line, by="ann")
    again = stop(line, by="bo")
    started = start(line, by="cy")
    once_more = start(line, by="di")

    assert (again.hold, first.hold.by) == (first.hold, "ann")
    assert (once_more.hold, started.hold.by, started.sending) == (started.hold, "cy", True)


def test_starting_what_was_never_stopped_changes_nothing(line: Line) -> None:
    assert (start(line).sending, start(line).hold.number) == (True, 0)


def test_two_people_who_stop_and_start_at_once_leave_both_stores_of_one_mind(line: Line) -> None:
    with ThreadPoolExecutor(8) as pool:
        acts = [pool.submit(act, line, f"p{n}") for n in range(20) for act in (stop, start)]
        for act in acts:
            act.result()

    stored, mirrored = look(line).hold, line.holds.read(EVERYTHING)[0]
    assert (stored.number, stored.by) == (mirrored.number, mirrored.by)


def test_a_mongodb_put_back_to_a_copy_from_before_the_stop_stays_stopped(line: Line) -> None:
    a_run(line, 10)
    stop(line, by="ann")
    line.db.holds.delete_many({})  # as a copy from before

    claimed = line.claim()
    crossing = line.cross(claimed)
    now = look(line)

    assert crossing.go == []
    assert (now.sending, now.hold.by) == (False, "ann")
    assert line.claim() == []
    assert start(line).sending
    assert len(line.cross(line.claim()).go) == 1


def test_a_mongodb_put_back_to_a_copy_from_while_it_was_stopped_is_stopped_until_somebody_starts_it(
    line: Line,
) -> None:
    stop(line)
    copy = list(line.db.holds.find({}))
    start(line)
    line.db.holds.delete_many({})
    line.db.holds.insert_many(copy)

    assert not look(line).sending
    assert not look(line).sending
    assert start(line).sending
    assert look(line).sending


def test_an_emptied_redis_learns_from_mongodb_that_all_is_stopped(line: Line) -> None:
    a_run(line, 10)
    claimed = line.claim()
    stop(line)
    line.holds._redis.delete(f"mailroom:hold:{line.db.name}:everything")

    hold_mirror.look(line.db, line.holds)

    assert line.cross(claimed).go == []


@pytest.mark.parametrize("stopped", [False, True])
def test_while_both_stores_agree_a_senders_look_is_one_query(line: Line, *, stopped: bool) -> None:
    if stopped:
        stop(line)
    questions, heard = listened_to(line.db)

    on_hold = hold_mirror.look(heard, line.holds)

    assert (on_hold, len(questions.asked)) == (holds.standing(line.db), 1)
    assert on_hold.everything is stopped


def test_if_redis_is_away_sending_stops_all_the_same_and_the_calls_that_may_go_are_not_sure(line: Line) -> None:
    a_run(line, 20)
    claimed = line.claim()
    nowhere = "redis://127.0.0.1:1/0"
    away = Holds(nowhere, of=line.db.name), Fences(nowhere, of=line.db.name)

    stopped = sending_switch.stop(line.db, *away, by="ann")

    assert (stopped.sending, stopped.sure, len(stopped.in_flight)) == (False, False, 2)
    assert line.claim() == []
    hold_mirror.look(line.db, line.holds)  # a sender, a second later
    assert line.cross(claimed).go == []


def test_no_control_is_made_and_no_webhook_tested_during_a_stop(line: Line) -> None:
    run_id, _ = a_run(line, 10)
    line.record(line.cross(line.claim()).go, InDoubt("the call's time is over"))
    long_ago = server_now(line.db) - 30 * MINUTE
    changed = {"in_doubt_at": long_ago, "called_since": long_ago, "not_before": long_ago, "account": "mg.example.com"}
    line.db.dispatches.update_many({"run_id": run_id}, {"$set": changed})
    asked = Forgetful()
    made = asked.make_control = Mock(return_value="control")  # type: ignore[method-assign]
    stop(line)

    def ask() -> None:
        policy = Policy(a_timing(), Mock())
        reconcile.reconcile(
            LaneWork(line.db, line.fences, line.held, "s"), {"mailgun": asked}, policy, now=server_now(line.db)
        )

    ask()
    while_stopped = made.call_count
    start(line)
    line.db.dispatches.update_many({"run_id": run_id}, {"$set": {"not_before": long_ago}})
    ask()

    assert (while_stopped, made.call_count) == (0, 1)
    stop(line)
    with pytest.raises(SendingStopped, match="stopped by ann"):
        webhook_targets.push(line.db, Mock(), "mailgun", "https://a.example", by="ann", wait_s=0, sleep=Mock())


def a_timing() -> Timing:
    return Timing(
        call_timeout=timedelta(seconds=1),
        idle_limit=timedelta(seconds=1),
        settle=timedelta(hours=1),
        log_retention=timedelta(days=1),
    )


def test_single_mails_are_taken_in_wait_and_say_why(call: Caller, line: Line) -> None:
    line.take_of_all_tests(*mail_lanes(64))
    before = call("GET", "/v1/sending").json
    stopped = call("POST", "/v1/sending/stop")

    taken = call("POST", "/v1/emails", json=an_email())
    shown = call("GET", f"/v1/emails/{taken.json['id']}").json

    assert (before["sending"], stopped.status_code, stopped.json["sending"]) == (True, 200, False)
    assert stopped.json["by"]
    assert taken.status_code == 202
    assert (shown["status"], line.claim()) == ("queued", [])
    assert shown["waits_because"].startswith("All sending was stopped by")
    assert call("GET", "/v1/sending").json == stopped.json
    assert "mailroom_sending_stopped 1.0" in call("GET", "/metrics").text
    assert call("POST", "/v1/sending/start").json["sending"] is True
    assert call("GET", f"/v1/emails/{taken.json['id']}").json["waits_because"] is None
    assert len(line.cross(line.claim()).go) == 1
    assert not service_metrics.standing(line.db).stopped


def test_a_run_that_is_asked_for_is_planned_waits_and_says_why(call: Caller, line: Line) -> None:
    schedule = stored_schedule(line.db, recipients=recipients(2))
    key, path = {"Idempotency-Key": "k"}, f"/v1/schedules/{schedule.id}/run-now"
    call("POST", "/v1/sending/stop")

    asked = call("POST", path, headers=key)
    again, shown = call("POST", path, headers=key), call("GET", f"/v1/runs/{asked.json['id']}")

    assert (asked.status_code, again.status_code) == (202, 200)
    for answer in (asked, again, shown):
        assert answer.json["waits_because"].startswith("All sending was stopped by")
    call("POST", "/v1/sending/start")
    assert call("GET", f"/v1/runs/{asked.json['id']}").json["waits_because"] is None


def test_only_an_admin_stops_and_starts_and_everybody_may_look(call: Caller, db: Db) -> None:
    made = call("POST", "/v1/tokens", json={"name": "sender", "scopes": ["schedules", "mail"]}).json
    call.headers = {"Authorization": f"Bearer {made['token']}"}

    refused = [call("POST", f"/v1/sending/{what}").status_code for what in ("stop", "start")]

    assert refused == [403, 403]
    assert call("GET", "/v1/sending").json["sending"] is True


def test_after_a_restore_it_is_stopped_before_anybody_sends(line: Line) -> None:
    """What a sender does every second, in its order."""
    stop(line)
    line.db.holds.delete_many({})

    on_hold = hold_mirror.look(line.db, line.holds)

    assert on_hold.everything


def test_where_mongodb_is_away_nothing_is_said_to_be_stopped(line: Line) -> None:
    nowhere = connect("mongodb://127.0.0.1:1/none?serverSelectionTimeoutMS=200", app="tests")

    with pytest.raises(Unavailable):
        sending_switch.stop(nowhere, line.holds, line.fences, by="ann")
