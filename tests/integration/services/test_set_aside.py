"""A stored rule that cannot be computed is set aside and shown; it stops nobody else, and can be stopped and mended."""

from datetime import timedelta
from typing import Any

import pytest

from mailroom.domain.errors import PlanningBehind, RuleNotComputable
from mailroom.domain.runs import RunState
from mailroom.domain.schedules import Schedule, ScheduleState
from mailroom.services.operations import ledger
from mailroom.services.reports import runs as run_views
from mailroom.services.schedules import edit as edit_schedule
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from mailroom.services.schedules import view as schedule_view
from mailroom.storage.database import Db, server_now
from tests.support.builders import make_due, stored_schedule
from tests.support.caller import Caller
from tests.support.rules import EVERY_MINUTE, HOUR, plan, with_rule


def records(db: Db, schedule: Schedule) -> list[tuple[RunState, str | None]]:
    return [(run.state, run.reason) for run in run_views.page(db, schedule_id=schedule.id, before=None, limit=100)]


@pytest.mark.parametrize("expression", [EVERY_MINUTE, "FREQ=MONTHLY;BYMONTHDAY=0", "nonsense"])
def test_a_rule_that_cannot_be_computed_is_set_aside_with_its_reason_and_the_others_are_planned(
    db: Db, expression: str
) -> None:
    bad, good = with_rule(db, expression), stored_schedule(db)
    make_due(db, good, since=1.01 * HOUR)

    done = plan(db, bad, good)

    after = schedule_view.get(db, bad.id).schedule
    assert after.state is ScheduleState.PAUSED
    assert after.set_aside
    assert after.version == bad.version + 1
    assert {good.id, bad.id} == done.moved
    assert len(records(db, good)) == 1
    assert not plan(db, after).moved


@pytest.mark.parametrize(
    ("fields", "is_set_aside"),
    [
        ({"recurrence.kind": "cron", "recurrence.expression": "99 * * * *"}, True),
        ({"recurrence.kind": "cron", "recurrence.expression": "0 * * * *", "recurrence.time_zone": "Gone/Away"}, False),
        ({"recurrence.seconds": 0}, False),
    ],
)
def test_no_stored_fault_of_one_schedule_keeps_the_others_of_its_step_from_being_planned(
    db: Db, fields: dict[str, Any], is_set_aside: bool
) -> None:
    bad, good = stored_schedule(db), stored_schedule(db)
    for schedule in (bad, good):
        make_due(db, schedule, since=1.01 * HOUR)
    db.schedules.update_one({"_id": bad.id}, {"$set": fields})

    done = plan(db, bad, good)
    # A step ends after a time. On a busy machine the other one is decided in the next, for which a sender has set aside
    # what is broken.
    plan(db, good)

    assert (bad.id in done.moved, bad.id in done.broken) == (is_set_aside, not is_set_aside)
    assert len(records(db, good)) == 1


def test_what_is_set_aside_is_not_resumed_until_it_has_another_rule_and_then_forgets_nothing(db: Db) -> None:
    bad = with_rule(db, EVERY_MINUTE)
    plan(db, bad)

    with pytest.raises(RuleNotComputable, match="288"):
        schedule_lifecycle.resume(db, bad.id)
    hourly = {"kind": "every", "seconds": 3600, "time_zone": "UTC"}
    edited = edit_schedule.edit(db, bad.id, {"recurrence": hourly}, seen_version=None).schedule
    resumed = schedule_lifecycle.resume(db, bad.id)

    assert (edited.state, edited.set_aside) == (ScheduleState.PAUSED, "")
    assert (resumed.state, resumed.set_aside) == (ScheduleState.ACTIVE, "")
    assert records(db, bad) == [(RunState.SKIPPED, "set aside")]


@pytest.mark.parametrize("stop", [schedule_lifecycle.pause, schedule_lifecycle.archive])
def test_pausing_and_archiving_ask_no_rule(db: Db, stop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = with_rule(db, "FREQ=DAILY")

    def asked(*_: Any, **__: Any) -> Any:
        raise AssertionError("the rule was asked")

    for name in ("mailroom.domain.misfire.upcoming", "mailroom.domain.misfire.next_after"):
        monkeypatch.setattr(name, asked)
    stopped = stop(db, schedule.id)

    assert stopped.state in (ScheduleState.PAUSED, ScheduleState.ARCHIVED)


def test_what_was_due_before_an_archive_is_recorded_as_skipped(db: Db) -> None:
    schedule = stored_schedule(db)
    make_due(db, schedule, since=2.5 * HOUR)

    schedule_lifecycle.archive(db, schedule.id)

    assert records(db, schedule) == [(RunState.SKIPPED, "archived")]


def test_what_was_due_before_a_pause_is_recorded_as_skipped_when_it_is_resumed(db: Db) -> None:
    schedule = stored_schedule(db)
    make_due(db, schedule, since=2.5 * HOUR)

    schedule_lifecycle.pause(db, schedule.id)
    schedule_lifecycle.resume(db, schedule.id)

    assert records(db, schedule) == [(RunState.SKIPPED, "paused")]


def test_a_schedule_that_is_set_aside_can_be_renamed_paused_and_archived(db: Db) -> None:
    bad = with_rule(db, EVERY_MINUTE)

    renamed = edit_schedule.edit(db, bad.id, {"name": "Renamed"}, seen_version=None).schedule
    paused = schedule_lifecycle.pause(db, bad.id)
    archived = schedule_lifecycle.archive(db, bad.id)

    assert (renamed.name, renamed.state) == ("Renamed", ScheduleState.ACTIVE)
    assert [paused.state, archived.state] == [ScheduleState.PAUSED, ScheduleState.ARCHIVED]


def test_the_ledger_names_a_rule_that_cannot_be_computed_and_looks_at_the_others(db: Db) -> None:
    bad = with_rule(db, EVERY_MINUTE)
    stored_schedule(db)

    made = ledger.check(db, since=server_now(db) - 3 * HOUR)

    assert [wrong.id for wrong in made.imbalances if wrong.kind == "schedule"] == [bad.id]
    assert made.counted["schedules"] == 2


def test_an_edit_does_not_work_off_a_year_of_seconds_but_pausing_first_lets_it_through(db: Db) -> None:
    schedule = stored_schedule(db, recurrence={"kind": "every", "seconds": 1, "time_zone": "UTC"})
    make_due(db, schedule, since=timedelta(days=365))
    other = {"recurrence": {"kind": "every", "seconds": 3600, "time_zone": "UTC"}}

    with pytest.raises(PlanningBehind):
        edit_schedule.edit(db, schedule.id, other, seen_version=None)
    schedule_lifecycle.pause(db, schedule.id)
    edited = edit_schedule.edit(db, schedule.id, other, seen_version=None).schedule

    assert edited.recurrence.seconds == 3600
    (record,) = run_views.page(db, schedule_id=schedule.id, before=None, limit=10)
    assert record.due_through == edited.decided_through


def test_the_api_shows_why_it_is_set_aside(call: Caller, db: Db) -> None:
    bad = with_rule(db, EVERY_MINUTE)

    before = call("GET", f"/v1/schedules/{bad.id}/next-runs")
    plan(db, bad)
    shown = call("GET", f"/v1/schedules/{bad.id}").json
    (listed,) = call("GET", "/v1/schedules").json["items"]
    resumed = call("POST", f"/v1/schedules/{bad.id}/resume")

    assert (before.status_code, resumed.status_code) == (409, 409)
    assert (shown["status"], listed["status"]) == ("paused", "paused")
    assert "at most 288" in shown["set_aside"]
    assert listed["set_aside"] == shown["set_aside"]
