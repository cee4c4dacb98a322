"""Runs in a real MongoDB: planned once and whole under a token, whoever crashes or is overtaken."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from mailroom.domain.errors import (
    StaleToken,
)
from mailroom.domain.ids import Token
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.runs import RunState
from mailroom.services.operations import janitor
from mailroom.services.planning import plan
from mailroom.services.schedules import edit as edit_schedule
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from mailroom.services.schedules import view as schedule_view
from mailroom.storage import lanes
from mailroom.storage.database import Db, server_now
from tests.support.builders import make_due, recipients, stored_schedule
from tests.support.planned import expand_all, hold, runs_of

HOUR = timedelta(hours=1)


def test_content_is_that_of_the_due_instant_not_of_the_moment_of_planning(db: Db) -> None:
    schedule = stored_schedule(db, misfire={"policy": "run_all", "grace_s": 60})
    make_due(db, schedule, since=1.5 * HOUR)
    held = hold(db, schedule.id)

    edit_schedule.edit(db, schedule.id, {"subject": "New"}, seen_version=None)
    plan.plan_due(db, held, mark=0, now=server_now(db) + HOUR)

    assert [run.revision for run in runs_of(db, schedule.id)] == [1, 2]


def test_a_paused_schedule_plans_no_run(db: Db) -> None:
    schedule = stored_schedule(db)
    schedule_lifecycle.pause(db, schedule.id)
    make_due(db, schedule, since=2 * HOUR)

    assert not plan.plan_due(db, hold(db, schedule.id), mark=0, now=server_now(db)).moved


def test_planning_again_after_a_crash_continues_where_it_stopped(db: Db) -> None:
    schedule = stored_schedule(db, recipients=recipients(2_500))
    make_due(db, schedule, since=1.01 * HOUR)
    held = hold(db, schedule.id)
    plan.plan_due(db, held, mark=0, now=server_now(db))
    plan.expand(db, held, batch_size=1_000, now=server_now(db))

    expand_all(db, hold(db, schedule.id, token=2))  # the next holder

    (run,) = runs_of(db, schedule.id)
    assert (run.state, run.chunks) == (RunState.PLANNED, 3)
    assert db.messages.count_documents({"run_id": run.id}) == 2_500
    assert sorted(d["messages"] for d in db.dispatches.find({"run_id": run.id})) == [500, 1000, 1000]


def test_a_holder_that_was_overtaken_plans_nothing(db: Db) -> None:
    schedule = stored_schedule(db)
    make_due(db, schedule, since=1.01 * HOUR)
    old = hold(db, schedule.id, token=1)
    hold(db, schedule.id, token=2)

    with pytest.raises(StaleToken):
        plan.plan_due(db, old, mark=0, now=server_now(db))

    assert runs_of(db, schedule.id) == []


def test_a_lower_token_cannot_take_a_lane_back(db: Db) -> None:
    schedule = stored_schedule(db)
    hold(db, schedule.id, token=5)

    taken = lanes.raise_tokens(db, {schedule_lane(schedule.id): Token(4)}, "late", now=server_now(db))

    assert taken == set()


def test_a_recipient_whose_mail_cannot_be_rendered_does_not_sink_the_others(db: Db) -> None:
    people = recipients(3)
    people[1]["variables"]["city"] = None
    schedule = stored_schedule(db, recipients=people, text="{{ city|upper if city else 1 / 0 }}", html="")
    make_due(db, schedule, since=1.01 * HOUR)
    held = hold(db, schedule.id)

    plan.plan_due(db, held, mark=0, now=server_now(db))
    expand_all(db, held)

    states = {m["address"]: (m["state"], m.get("reason", "")) for m in db.messages.find()}
    assert states["reader-1@example.org"] == ("failed", "text: division by zero")
    assert states["reader-0@example.org"][0] == states["reader-2@example.org"][0] == "queued"


def test_a_suppressed_address_gets_nothing(db: Db) -> None:
    schedule = stored_schedule(db, recipients=recipients(2))
    db.suppressions.insert_one({"_id": "reader-0@example.org", "reason": "complained"})
    make_due(db, schedule, since=1.01 * HOUR)
    held = hold(db, schedule.id)

    plan.plan_due(db, held, mark=0, now=server_now(db))
    expand_all(db, held)

    states = {m["address"]: m["state"] for m in db.messages.find()}
    assert states == {"reader-0@example.org": "suppressed", "reader-1@example.org": "queued"}
    assert db.dispatches.find_one()["messages"] == 1


def test_every_due_instant_gives_one_run_however_many_plan_at_once(db: Db) -> None:
    ids = [stored_schedule(db, name=f"S{n}").id for n in range(20)]
    for id_ in ids:
        make_due(db, schedule_view.get(db, id_).schedule, since=1.01 * HOUR)
    held = hold(db, *ids)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: plan.plan_due(db, held, mark=0, now=server_now(db)), range(8)))

    assert db.runs.count_documents({}) == 20


def test_a_schedule_that_cannot_be_planned_holds_up_no_other(db: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = stored_schedule(db, name="good"), stored_schedule(db, name="bad")
    for schedule in (good, bad):
        make_due(db, schedule, since=1.01 * HOUR)
    held = hold(db, good.id, bad.id)
    plan.plan_due(db, held, mark=0, now=server_now(db))
    db.contents.update_one({"_id.schedule": bad.id}, {"$set": {"text": "{{ not valid"}})

    done = plan.expand(db, held, batch_size=1_000, now=server_now(db))

    assert (done.moved, done.broken) == ({good.id}, {bad.id})
    assert [doc["schedule_id"] for doc in db.dispatches.find()] == [good.id]


def test_a_run_that_is_through_is_finished_by_the_janitor_when_nobody_else_came_to_it(db: Db) -> None:
    schedule = stored_schedule(db)
    db.suppressions.insert_one({"_id": "bo@example.org", "reason": "complained"})
    make_due(db, schedule, since=1.01 * HOUR)
    held = hold(db, schedule.id)
    plan.plan_due(db, held, mark=0, now=server_now(db))
    expand_all(db, held)

    janitor.tidy(db)

    assert [run.state for run in runs_of(db, schedule.id)] == [RunState.FINISHED]


def test_a_killed_holders_open_transaction_does_not_keep_its_lane_locked_for_long(db: Db) -> None:
    lane = schedule_lane(stored_schedule(db).id)
    lanes.raise_tokens(db, {lane: Token(1)}, "killed", now=server_now(db))
    left_open = db.client.start_session()
    left_open.start_transaction()
    lanes.under(db, {lane: Token(1)}, left_open).__enter__()

    began = time.monotonic()
    taken = lanes.raise_tokens(db, {lane: Token(2)}, "next", now=server_now(db))

    assert taken == {lane}
    assert time.monotonic() - began < 10


def test_planned_again_after_a_suppression_all_others_are_in_the_same_dispatch(db: Db) -> None:
    def carriers() -> dict[str, str]:
        schedule = stored_schedule(db, recipients=recipients(6))
        make_due(db, schedule, since=timedelta(minutes=61))
        held = hold(db, schedule.id)
        plan.plan_due(db, held, mark=0, now=server_now(db))
        while plan.expand(db, held, batch_size=2, now=server_now(db)).moved:
            pass
        rows = db.messages.find({"run_id": {"$regex": f"^{schedule.id}"}})
        return {m["address"]: m["dispatch_id"].rpartition("-")[2] for m in rows if "dispatch_id" in m}

    before = carriers()
    gone = "reader-1@example.org"
    db.suppressions.insert_one({"_id": gone, "reason": "unsubscribed", "at": server_now(db)})
    after = carriers()

    assert gone not in after
    assert after == {address: dispatch for address, dispatch in before.items() if address != gone}
