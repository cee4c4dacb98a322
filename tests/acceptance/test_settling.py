"""Doubts settled with the provider: found is believed, absent only when nothing can hide it any more."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailroom.domain.dispatches.decisions import GIVES_UP
from mailroom.domain.ids import DispatchId
from mailroom.services.operations import ledger
from mailroom.services.reports import runs as run_views
from mailroom.services.reports.timeline import story_of
from tests.support.campaigns import a_campaign, assert_nothing_is_lost, counts, dispatch_states, finished, marks
from tests.support.system import System, wait_for

# The provider's log is complete at once here, and a doubt can be judged absent after about four seconds.
QUICK = {
    "MAILROOM_CALL_TIMEOUT": "1",
    "MAILROOM_IDLE_LIMIT": "1",
    "MAILROOM_SETTLE": "2",
    "MAILROOM_RETRY_DELAYS": "0,0,0,0,0,0",
}


def only_dispatch(system: System) -> dict[str, Any]:
    found = list(system.db.dispatches.find())
    assert len(found) == 1
    return dict(found[0])


@pytest.mark.parametrize("fault", ["500_after", "drop_after", "cut_json_after", "hang_after"])
def test_a_call_that_went_out_after_all_is_found_at_once_and_never_repeated(system: System, fault: str) -> None:
    system.start_simulator()
    system.simulator.turn(hang_s=3)
    system.simulator.fail_next(fault)
    system.start_senders(2, MAILROOM_CALL_TIMEOUT="1")
    schedule = a_campaign(system, 3)

    run = wait_for(lambda: finished(system, schedule), within_s=20, what="the doubt is settled")

    assert set(marks(system).values()) == {1}
    assert counts(system, run.id)["sent"] == 3
    shown = run_views.dispatch(system.db, DispatchId(only_dispatch(system)["_id"]))
    steps = [step.step for step in shown.dispatch.trail]
    assert steps == ["planned", "claimed", "in_doubt", "found in the provider's log"]


@pytest.mark.parametrize("fault", ["500_before", "drop_before", "hang_before", "plain_200"])
def test_a_call_that_did_not_go_out_is_made_again_once_the_log_must_show_it(system: System, fault: str) -> None:
    system.start_simulator()
    system.simulator.turn(hang_s=3)
    system.simulator.fail_next(fault)
    system.start_senders(2, **QUICK)
    schedule = a_campaign(system, 3)

    wait_for(lambda: finished(system, schedule), within_s=40, what="it was sent by a second attempt")

    assert set(marks(system).values()) == {1}
    dispatch = only_dispatch(system)
    assert dispatch["attempt"] == 2
    judged = next(step["at"] for step in dispatch["trail"] if step["step"] == "not_accepted")
    marked = next(step["at"] for step in dispatch["trail"] if step["step"] == "in_doubt")
    assert (judged - marked).total_seconds() >= 4  # call's time-out + idle limit + settling time


def test_a_log_that_lags_behind_its_settling_time_makes_nothing_go_out_twice(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(event_lag_s=9)
    system.simulator.fail_next("500_after")
    system.start_senders(2, **QUICK)
    schedule = a_campaign(system, 3)

    wait_for(lambda: finished(system, schedule), within_s=40, what="the doubt is settled")

    assert set(marks(system).values()) == {1}
    assert only_dispatch(system)["attempt"] == 1


@pytest.mark.parametrize("knobs", [{"log_lies_empty": True}, {"log_status": 503}])
def test_what_a_silent_log_hides_is_held_until_it_speaks(system: System, knobs: dict[str, Any]) -> None:
    system.start_simulator()
    system.simulator.turn(**knobs)
    system.simulator.fail_next("500_after")
    system.start_senders(1, **QUICK)
    schedule = a_campaign(system, 3)
    wait_for(lambda: dispatch_states(system)["in_doubt"], within_s=20, what="the call is in doubt")

    wait_for(lambda: only_dispatch(system)["asked"] >= 5, within_s=40, what="it was asked well after the settling time")
    assert dispatch_states(system) == {"in_doubt": 1}
    system.simulator.turn(log_lies_empty=False, log_status=200)

    wait_for(lambda: finished(system, schedule), within_s=40, what="the doubt is settled")
    assert set(marks(system).values()) == {1}


def test_where_only_a_part_of_a_batch_left_a_trace_the_rest_goes_out_by_itself(system: System) -> None:
    system.start_simulator()
    system.simulator.fail_next("500_part_after")
    system.start_senders(2, **QUICK)
    schedule = a_campaign(system, 101)

    run = wait_for(lambda: finished(system, schedule), within_s=40, what="the rest went out")

    assert marks(system) == {f"mark-{n}": 1 for n in range(101)}
    assert dispatch_states(system) == {"split": 1, "accepted": 2}
    assert counts(system, run.id)["sent"] == 101
    assert_nothing_is_lost(system, schedule, 101)


def test_a_refused_address_among_a_thousand_fails_alone_and_costs_few_calls(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(refused_addresses=["reader-777@example.org"])
    system.start_senders(2)
    schedule = a_campaign(system, 1_000)

    run = wait_for(lambda: finished(system, schedule), within_s=40, what="the other 999 went out")

    assert marks(system) == {f"mark-{n}": 1 for n in range(1_000) if n != 777}
    assert counts(system, run.id) == {"recipients": 1_000, "sent": 999, "in_doubt": 0, "failed": 1, "queued": 0}
    assert system.simulator.record()["received"] - 1 <= 25
    (refused,) = system.db.messages.find({"state": "failed"})
    assert refused["address"] == "reader-777@example.org"
    assert "not a valid address" in refused["reason"]


def a_dispatch_that_nobody_can_know_of(system: System) -> DispatchId:
    """Its call failed, and the provider's log went back no further before it could be judged."""
    system.start_simulator()
    system.start_api()
    system.simulator.turn(log_lies_empty=True)
    system.simulator.fail_next("500_before")
    system.start_senders(1, **QUICK, MAILROOM_LOG_RETENTION="3")
    a_campaign(system, 3)
    wait_for(lambda: dispatch_states(system)["unknown"], within_s=40, what="the dispatch is unknown")
    return DispatchId(only_dispatch(system)["_id"])


def test_what_cannot_be_asked_any_more_is_unknown_and_sent_again_at_a_persons_word(system: System) -> None:
    dispatch = a_dispatch_that_nobody_can_know_of(system)

    answer = system.call("POST", f"/v1/dispatches/{dispatch}/resolve", json={"verdict": "send_again"})

    assert answer.status_code == 200
    wait_for(lambda: dispatch_states(system)["accepted"], within_s=20, what="it went out")
    assert set(marks(system).values()) == {1}
    run = run_views.get(system.db, only_dispatch(system)["run_id"])
    assert wait_for(
        lambda: run_views.get(system.db, run.id).state == "finished", within_s=10, what="the run is finished"
    )


def test_what_cannot_be_asked_any_more_counts_as_sent_at_a_persons_word(system: System) -> None:
    dispatch = a_dispatch_that_nobody_can_know_of(system)

    answer = system.call("POST", f"/v1/dispatches/{dispatch}/resolve", json={"verdict": "went_out"})

    assert answer.json()["state"] == "accepted"
    assert counts(system, only_dispatch(system)["run_id"])["sent"] == 3
    again = system.call("POST", f"/v1/dispatches/{dispatch}/resolve", json={"verdict": "send_again"})
    assert again.status_code == 409
    assert set(marks(system)) == set()


def test_a_webhook_about_a_doubt_makes_us_ask_sooner(system: System) -> None:
    system.start_simulator()
    system.start_api()
    system.simulator.turn(log_status=503, delivery_s=3)
    system.simulator.fail_next("500_after")
    system.start_senders(1)
    schedule = a_campaign(system, 3)
    wait_for(lambda: dispatch_states(system)["in_doubt"], within_s=20, what="the call is in doubt")
    wait_for(lambda: only_dispatch(system).get("asked"), within_s=20, what="it was asked once")
    system.db.dispatches.update_one(
        {}, {"$max": {"not_before": only_dispatch(system)["not_before"].replace(year=2100)}}
    )
    system.simulator.turn(log_status=200)

    wait_for(lambda: finished(system, schedule), within_s=20, what="the webhook made us ask, and it is settled")
    assert set(marks(system).values()) == {1}


def test_what_the_log_shows_on_its_later_pages_is_found_too(system: System) -> None:
    system.start_simulator()
    system.simulator.fail_next("500_after")
    system.start_senders(1)
    schedule = a_campaign(system, 1_000)

    run = wait_for(lambda: finished(system, schedule), within_s=30, what="the doubt is settled")

    assert counts(system, run.id)["sent"] == 1_000
    assert system.simulator.record()["calls"] == 1


def test_a_dispatch_in_hand_at_three_crashes_fails_and_can_be_sent_again_by_a_person(system: System) -> None:
    system.start_simulator()
    system.start_api(webhooks=False)
    system.start_senders(1)
    schedule = a_campaign(system, 3)
    run = wait_for(lambda: finished(system, schedule), within_s=20, what="it went out")
    crashed = {"state": "failed", "reason": GIVES_UP, "crashes": 3}
    system.db.dispatches.update_one({}, {"$set": crashed, "$unset": {"accepted": ""}})
    system.db.messages.update_many({}, {"$set": {"state": "failed"}, "$unset": {"sent_at": ""}})

    path = f"/v1/dispatches/{only_dispatch(system)['_id']}/resolve"
    answer = system.call("POST", path, json={"verdict": "send_again"})

    assert answer.status_code == 200
    # Its fence still knows that it went out.
    wait_for(lambda: dispatch_states(system)["accepted"], within_s=20, what="it is settled")
    assert set(marks(system).values()) == {1}
    assert counts(system, run.id)["failed"] == 0


def test_a_mail_of_which_the_provider_sent_events_cannot_be_sent_again(system: System) -> None:
    dispatch = a_dispatch_that_nobody_can_know_of(system)
    system.db.messages.update_one({}, {"$set": {"sent_at": datetime.now(UTC)}})

    answer = system.call("POST", f"/v1/dispatches/{dispatch}/resolve", json={"verdict": "send_again"})

    assert answer.status_code == 409
    assert "went out" in answer.json()["detail"]
    assert dispatch_states(system) == {"unknown": 1}


def suppress(system: System, *addresses: str) -> None:
    system.db.suppressions.insert_many(
        {"_id": address, "reason": "unsubscribed", "since": datetime.now(UTC), "event_id": "e"} for address in addresses
    )


def test_who_unsubscribed_while_a_call_was_in_doubt_is_left_out_of_its_next_attempt(system: System) -> None:
    system.start_simulator()
    system.simulator.fail_next("500_before")
    system.start_senders(1, **QUICK)
    schedule = a_campaign(system, 3)
    wait_for(lambda: dispatch_states(system)["in_doubt"], within_s=20, what="the call is in doubt")
    suppress(system, "reader-1@example.org")

    run = wait_for(lambda: finished(system, schedule), within_s=40, what="it was sent by a second attempt")

    assert marks(system) == {"mark-0": 1, "mark-2": 1}
    assert counts(system, run.id) == {"recipients": 3, "sent": 2, "in_doubt": 0, "failed": 0, "queued": 0}
    (left_out,) = system.db.messages.find({"state": "suppressed"})
    told = [step.what for step in story_of(system.db, left_out["_id"]).steps]
    assert left_out["reason"] == "unsubscribed"
    assert "in_doubt" in told
    assert "left_out" in told
    assert not ledger.check(system.db, since=run.created_at, young=timedelta()).imbalances


def test_a_dispatch_that_everybody_left_is_cancelled_without_a_call(system: System) -> None:
    system.start_simulator()
    system.simulator.fail_next("500_before")
    system.start_senders(1, **QUICK)
    schedule = a_campaign(system, 2)
    wait_for(lambda: dispatch_states(system)["in_doubt"], within_s=20, what="the call is in doubt")
    suppress(system, "reader-0@example.org", "reader-1@example.org")

    wait_for(lambda: finished(system, schedule), within_s=40, what="the run is through")

    assert marks(system) == {}
    assert dispatch_states(system) == {"cancelled": 1}
    assert {mail["state"] for mail in system.db.messages.find()} == {"suppressed"}
