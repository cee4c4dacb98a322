"""Schedules in a real MongoDB: stored whole or not at all, edited by versions, planned under a token."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from mailroom.domain.errors import (
    IdempotencyMismatch,
    InvalidInput,
    ScheduleEnded,
    ScheduleNotActive,
    ScheduleNotFound,
    StaleEdit,
    StaleToken,
)
from mailroom.domain.ids import ScheduleId, Token, schedule_lane
from mailroom.domain.runs import RunState
from mailroom.domain.schedules import ScheduleState
from mailroom.services.operations import janitor
from mailroom.services.planning import asked_runs, plan
from mailroom.services.reports import runs as run_views
from mailroom.services.schedules import create as create_schedule
from mailroom.services.schedules import edit as edit_schedule
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from mailroom.services.schedules import view as schedule_view
from mailroom.storage import lanes
from mailroom.storage.database import Db, server_now
from tests.support.builders import a_draft, make_due, recipients, stored_schedule
from tests.support.planned import expand_all, hold

HOUR = timedelta(hours=1)


def runs_of(db: Db, id_: ScheduleId) -> list[Any]:
    return list(reversed(run_views.page(db, schedule_id=id_, before=None, limit=100)))


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


def test_content_is_that_of_the_due_instant_not_of_the_moment_of_planning(db: Db) -> None:
    schedule = stored_schedule(db, misfire={"policy": "run_all", "grace_s": 60})
    make_due(db, schedule, since=1.5 * HOUR)
    held = hold(db, schedule.id)

    edit_schedule.edit(db, schedule.id, {"subject": "New"}, seen_version=None)
    plan.plan_due(db, held, mark=0, now=server_now(db) + HOUR)

    assert [run.revision for run in runs_of(db, schedule.id)] == [1, 2]


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


def test_a_schedule_that_does_not_exist_is_not_found(db: Db) -> None:
    with pytest.raises(ScheduleNotFound):
        schedule_lifecycle.pause(db, ScheduleId("sch_none"))


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


def test_a_run_that_is_through_is_finished_by_the_janitor_when_nobody_else_came_to_it(db: Db) -> None:
    schedule = stored_schedule(db)
    db.suppressions.insert_one({"_id": "bo@example.org", "reason": "complained"})
    make_due(db, schedule, since=1.01 * HOUR)
    held = hold(db, schedule.id)
    plan.plan_due(db, held, mark=0, now=server_now(db))
    expand_all(db, held)

    janitor.tidy(db, trails_kept_for=timedelta(days=9))

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


def test_planned_again_with_somebody_suppressed_meanwhile_everybody_else_is_in_the_same_dispatch(db: Db) -> None:
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
