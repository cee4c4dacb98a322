"""The promises from outside: real sender processes, the simulator as the witness, faults on request."""

import json
import os
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

from local.servers import Servers
from mailroom.domain.ids import ScheduleId
from mailroom.domain.runs import Run
from mailroom.services.dispatching import cancel as cancel_runs
from mailroom.services.reports import counts as report_counts
from mailroom.services.reports import runs as run_views
from tests.support.builders import recipients
from tests.support.campaigns import (
    a_campaign,
    assert_nothing_is_lost,
    counts,
    dispatch_states,
    finished,
    holder_name,
    marks,
    only_run,
    the_holder,
    the_holder_name,
)
from tests.support.system import System, a_schedule_body, a_system, wait_for


def test_three_senders_send_each_mail_of_a_campaign_once_in_as_few_calls_as_there_can_be(system: System) -> None:
    system.start_simulator()
    system.start_senders(3)
    schedule = a_campaign(system, 4_500)

    run = wait_for(lambda: finished(system, schedule), within_s=40, what="the run is finished")

    assert marks(system) == {f"mark-{n}": 1 for n in range(4_500)}
    assert len(system.simulator.calls()) == 5
    assert counts(system, run.id) == {"recipients": 4_500, "sent": 4_500, "in_doubt": 0, "failed": 0, "queued": 0}


def test_a_recurring_schedule_runs_once_at_each_instant_and_reports_equal_a_recount(system: System) -> None:
    system.start_simulator()
    system.start_api()
    system.start_senders(2)
    start = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    body = a_schedule_body(
        recipients=recipients(300),
        subject="{{ name }}",
        recurrence={"kind": "every", "seconds": 2, "time_zone": "UTC", "starts_at": start.isoformat(), "max_runs": 3},
    )
    schedule = ScheduleId(system.call("POST", "/v1/schedules", json=body).json()["id"])

    def all_told() -> list[Run] | None:
        runs = run_views.page(system.db, schedule_id=schedule, before=None, limit=9)
        record = system.simulator.record()
        done = len(runs) == 3 and all(run.state == "finished" for run in runs)
        return runs if done and record["mails"] == 900 and record["webhooks_waiting"] == 0 else None

    runs = wait_for(all_told, within_s=60, what="three runs went out and every webhook came in")

    assert [run.due_at for run in runs] == [start + timedelta(seconds=s) for s in (4, 2, 0)]
    copies = Counter((json.loads(m["user_variables"])["run"], m["recipient"]) for m in system.simulator.mails())
    assert set(copies.values()) == {1}
    for run in runs:
        reported, recounted = report_counts.audit(system.db, run.id)
        assert reported == recounted
        assert reported["delivered"] == 300


def test_killing_the_sender_that_holds_the_campaign_doubles_nothing_and_the_others_finish_it(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(latency_s=0.3)
    senders = system.start_senders(3, MAILROOM_SENDER_CONCURRENCY="2")
    schedule = a_campaign(system, 12_000)
    wait_for(lambda: len(system.simulator.calls()) >= 3, within_s=30, what="some calls were made")
    holder = the_holder(system, senders)

    holder.kill()

    wait_for(lambda: not dispatch_states(system).keys() & {"pending", "sending"}, within_s=60, what="all is judged")
    assert max(marks(system).values()) == 1
    assert_nothing_is_lost(system, schedule, 12_000)


def test_a_sender_frozen_beyond_its_lease_sends_nothing_late(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(latency_s=0.3)
    senders = system.start_senders(2, MAILROOM_SENDER_CONCURRENCY="2")
    schedule = a_campaign(system, 12_000)
    wait_for(lambda: len(system.simulator.calls()) >= 3, within_s=30, what="some calls were made")
    holder = the_holder(system, senders)

    os.kill(holder.pid, signal.SIGSTOP)
    wait_for(lambda: the_holder_name(system) not in (None, holder_name(holder)), within_s=30, what="a take-over")
    os.kill(holder.pid, signal.SIGCONT)

    wait_for(lambda: not dispatch_states(system).keys() & {"pending", "sending"}, within_s=60, what="all is judged")
    assert max(marks(system).values()) == 1
    assert_nothing_is_lost(system, schedule, 12_000)


def test_a_sender_told_to_stop_finishes_its_calls_and_leaves_nothing_in_doubt(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(latency_s=0.3)
    senders = system.start_senders(2, MAILROOM_SENDER_CONCURRENCY="2")
    schedule = a_campaign(system, 8_000)
    wait_for(lambda: len(system.simulator.calls()) >= 2, within_s=30, what="some calls were made")
    holder = the_holder(system, senders)

    asked = time.monotonic()
    holder.process.terminate()
    holder.process.wait(20)
    took = time.monotonic() - asked
    wait_for(lambda: finished(system, schedule), within_s=60, what="the other sender finished the run")

    assert holder.process.returncode == 0
    assert took < 5
    assert marks(system) == {f"mark-{n}": 1 for n in range(8_000)}
    assert set(dispatch_states(system)) == {"accepted"}


@pytest.mark.parametrize("fault", ["500_before", "drop_before", "200_without_id"])
def test_a_call_of_which_nobody_can_say_it_did_not_go_out_is_in_doubt_too(system: System, fault: str) -> None:
    system.start_simulator()
    system.simulator.fail_next({"200_without_id": "plain_200"}.get(fault, fault))
    system.start_senders(1)
    a_campaign(system, 3)

    wait_for(lambda: dispatch_states(system)["in_doubt"], within_s=20, what="the call is in doubt")

    assert system.simulator.record()["mails"] == 0


def test_a_quota_makes_the_lane_wait_uses_up_no_try_and_then_goes_out(system: System) -> None:
    system.start_simulator()
    system.simulator.fail_next("429", times=2)
    system.start_senders(2, MAILROOM_RETRY_DELAYS="none")
    schedule = a_campaign(system, 3)

    wait_for(lambda: finished(system, schedule), within_s=30, what="the run is finished")

    assert set(marks(system).values()) == {1}
    assert [doc["tries"] for doc in system.db.dispatches.find()] == [0]


def test_a_refused_key_is_reported_and_waited_for(system: System) -> None:
    system.start_simulator()
    system.simulator.fail_next("401", times=0)
    system.start_senders(1)
    schedule = a_campaign(system, 3)

    wait_for(lambda: system.db.lanes.find_one({"waits_why": {"$exists": True}}), within_s=20, what="the lane waits")

    run = only_run(system, schedule)
    assert run is not None
    view = run_views.view(system.db, run.id)
    assert "Forbidden" in view.waits_why
    assert dispatch_states(system) == {"pending": 1}


def test_a_provider_that_cannot_be_reached_costs_no_try_and_nothing_is_claimed(system: System) -> None:
    system.start_senders(1)
    schedule = a_campaign(system, 3)

    wait_for(lambda: dispatch_states(system)["pending"], within_s=20, what="the run is planned")
    time.sleep(1)
    assert [doc["attempt"] for doc in system.db.dispatches.find()] == [0]
    system.start_simulator()

    wait_for(lambda: finished(system, schedule), within_s=30, what="the run is finished")
    assert set(marks(system).values()) == {1}


def test_a_cancelled_run_sends_nothing_more(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(latency_s=0.5)
    system.start_senders(1, MAILROOM_SENDER_CONCURRENCY="1")
    schedule = a_campaign(system, 10_000)
    wait_for(lambda: len(system.simulator.calls()) >= 2, within_s=30, what="some calls were made")
    run = only_run(system, schedule)
    assert run is not None

    cancel_runs.cancel(system.db, run.id)
    wait_for(lambda: not dispatch_states(system).keys() & {"pending", "sending"}, within_s=20, what="nothing is open")
    sent = len(marks(system))
    time.sleep(1.5)

    assert len(marks(system)) == sent < 10_000
    assert dispatch_states(system)["accepted"] * 1_000 == sent


def test_the_stores_may_go_away_for_a_moment_and_come_back(tmp_path: Path) -> None:
    with (
        Servers.start(tmp_path / "own") as servers,
        a_system(tmp_path / "own-system", servers, database="own") as own,
    ):
        own.start_simulator()
        own.simulator.turn(latency_s=0.2)
        own.start_senders(2, MAILROOM_SENDER_CONCURRENCY="2")
        schedule = a_campaign(own, 10_000)
        wait_for(lambda: len(own.simulator.calls()) >= 2, within_s=30, what="some calls were made")

        assert servers.mongod is not None
        servers.mongod.kill()
        time.sleep(1)
        servers.start_mongod()
        servers.wait_until_healthy()
        assert servers.etcd is not None
        servers.etcd.kill()
        servers.start_etcd()
        servers.wait_until_healthy()

        wait_for(
            lambda: only_run(own, schedule) and not dispatch_states(own).keys() & {"pending", "sending"},
            within_s=90,
            what="all is judged",
        )
        assert max(marks(own).values()) == 1
        assert_nothing_is_lost(own, schedule, 10_000)


def test_an_emptied_redis_sends_nothing_twice(tmp_path: Path) -> None:
    with Servers.start(tmp_path / "own") as servers, a_system(tmp_path / "system", servers, database="own") as system:
        system.start_simulator()
        system.simulator.turn(latency_s=0.3)
        senders = system.start_senders(2, MAILROOM_SENDER_CONCURRENCY="2")
        schedule = a_campaign(system, 8_000)
        wait_for(lambda: len(system.simulator.calls()) >= 2, within_s=30, what="some calls were made")

        the_holder(system, senders).kill()
        with Redis.from_url(servers.redis_url) as redis:
            redis.flushall()

        wait_for(lambda: not dispatch_states(system).keys() & {"pending", "sending"}, within_s=60, what="all is judged")
        assert max(marks(system).values()) == 1
        assert_nothing_is_lost(system, schedule, 8_000)
