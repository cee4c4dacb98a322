"""PATCH of a schedule: what is as it is stored changes nothing, what GET gives is taken back, null clears."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from mailroom.domain.ids import ScheduleId
from mailroom.domain.schedules import ScheduleState
from mailroom.services.schedules import edit as edit_schedule
from mailroom.services.schedules import view as schedule_view
from mailroom.storage.database import Db, server_now
from tests.support.builders import make_due, stored_schedule
from tests.support.caller import Caller
from tests.support.system import a_schedule_body

RECURRENCES: list[dict[str, Any]] = [
    {"kind": "every", "seconds": 3600},
    {"kind": "every", "seconds": 3600, "time_zone": "Europe/Berlin", "starts_at": "2027-01-01T09:00:07"},
    {"kind": "cron", "expression": "0 9 * * 1-5", "time_zone": "Europe/Berlin", "max_runs": 3},
    {"kind": "rrule", "expression": "rrule:freq=daily;count=3;", "time_zone": "America/New_York"},
    {"kind": "once", "at": "2027-03-28T02:30:00", "time_zone": "Europe/Berlin"},
    {"kind": "once", "at": "2027-06-01T09:00:00.123+05:30", "ends_at": "2028-01-01T00:00:00Z"},
]


def made(call: Caller, **changes: Any) -> dict[str, Any]:
    answer = call("POST", "/v1/schedules", json=a_schedule_body(**changes))
    assert answer.status_code == 201, answer.json
    shown: dict[str, Any] = call("GET", f"/v1/schedules/{answer.json['id']}").json
    return shown


@pytest.mark.parametrize("recurrence", RECURRENCES, ids=lambda rule: rule["kind"])
def test_what_get_gives_patch_takes_back_whole_and_nothing_changes(call: Caller, recurrence: dict[str, Any]) -> None:
    shown = made(call, recurrence=recurrence)

    answer = call("PATCH", f"/v1/schedules/{shown['id']}", json=shown)

    assert answer.status_code == 200, answer.json
    assert answer.json == shown


@pytest.mark.parametrize("body", [{}, {"recipients": None}, {"audience": None}])
def test_an_edit_that_says_nothing_raises_no_version(call: Caller, body: dict[str, Any]) -> None:
    shown = made(call)

    answer = call("PATCH", f"/v1/schedules/{shown['id']}", json=body)

    assert (answer.status_code, answer.json) == (200, shown)
    assert answer.headers["ETag"] == '"v1"'


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "sch_other"),
        ("status", "paused"),
        ("set_aside", "why"),
        ("next_run_at", None),
        ("revision", 2),
        ("version", 2),
        ("created_at", "2020-01-01T00:00:00+00:00"),
        ("updated_at", "2020-01-01T00:00:00+00:00"),
    ],
)
def test_a_read_only_field_that_is_not_as_stored_is_refused_by_its_name(call: Caller, name: str, value: Any) -> None:
    shown = made(call)

    answer = call("PATCH", f"/v1/schedules/{shown['id']}", json={**shown, "name": "New", name: value})

    assert answer.status_code == 422
    assert [error["path"] for error in answer.json["errors"]] == [name]
    assert call("GET", f"/v1/schedules/{shown['id']}").json == shown


def test_last_times_that_have_moved_on_since_the_get_are_ignored(call: Caller) -> None:
    shown = made(call)
    run = call("POST", f"/v1/schedules/{shown['id']}/run-now", headers={"Idempotency-Key": "k"}).json

    answer = call("PATCH", f"/v1/schedules/{shown['id']}", json={**shown, "name": "New"})

    assert answer.status_code == 200, answer.json
    assert (shown["last_run_at"], shown["last_sent_at"]) == (None, None)
    assert datetime.fromisoformat(answer.json["last_run_at"]) == datetime.fromisoformat(run["due_at"])
    listed = call("GET", "/v1/schedules").json["items"]
    assert [one["last_run_at"] for one in listed] == [answer.json["last_run_at"]]
    assert call("POST", f"/v1/schedules/{shown['id']}/pause").json["last_run_at"] == answer.json["last_run_at"]


def test_null_clears_what_can_be_empty_and_is_refused_where_something_is_needed(call: Caller) -> None:
    shown = made(call, reply_to="a@example.org", tags=["x"], misfire={"policy": "skip", "grace_s": 7})
    path = f"/v1/schedules/{shown['id']}"

    cleared = call("PATCH", path, json={"reply_to": None, "tags": None, "misfire": None, "html": None})
    refused = call("PATCH", path, json={"name": None, "subject": None})

    assert cleared.status_code == 200, cleared.json
    assert (cleared.json["reply_to"], cleared.json["tags"], cleared.json["html"]) == ("", [], "")
    assert cleared.json["misfire"] == {"policy": "run_once", "grace_s": 3600}
    assert {error["path"] for error in refused.json["errors"]} == {"name", "subject"}


def test_an_interval_that_is_patched_with_itself_more_often_than_it_fires_still_fires(db: Db) -> None:
    schedule = stored_schedule(db)

    for _ in range(3):
        same = {"kind": "every", "seconds": 3600, "time_zone": "UTC"}
        after = edit_schedule.edit(db, schedule.id, {"recurrence": same, "name": "Again"}, seen_version=None).schedule

    assert after.next_run_at == schedule.next_run_at
    assert after.recurrence == schedule.recurrence
    assert after.version == 2  # the name, once


@pytest.mark.parametrize("max_runs", [1, None])
def test_a_finished_schedule_that_is_patched_with_its_own_rule_stays_finished(db: Db, max_runs: int | None) -> None:
    at = (server_now(db) + timedelta(hours=1)).replace(microsecond=0, tzinfo=None)
    rule = {"kind": "once", "at": at, "time_zone": "UTC", "max_runs": max_runs}
    schedule = stored_schedule(db, recurrence=rule)
    past = {"recurrence.at": "2020-01-01T00:00:00", "state": "finished"}
    db.schedules.update_one({"_id": schedule.id}, {"$set": past, "$unset": {"next_run_at": ""}})

    same = {**rule, "at": at.replace(year=2020, month=1, day=1, hour=0, minute=0, second=0)}
    after = edit_schedule.edit(db, schedule.id, {"recurrence": same, "subject": "New"}, seen_version=None).schedule

    assert (after.state, after.next_run_at) == (ScheduleState.FINISHED, None)


def test_a_finished_max_runs_of_one_does_not_send_again(db: Db) -> None:
    rule = {"kind": "every", "seconds": 3600, "time_zone": "UTC", "max_runs": 1}
    schedule = stored_schedule(db, recurrence=rule)
    make_due(db, schedule, since=timedelta(hours=1.5))
    edit_schedule.edit(db, schedule.id, {"name": "Decided"}, seen_version=None)

    after = edit_schedule.edit(db, schedule.id, {"recurrence": rule}, seen_version=None).schedule

    assert (after.state, after.next_run_at) == (ScheduleState.FINISHED, None)
    assert db.runs.count_documents({"schedule_id": schedule.id}) == 1


@pytest.mark.parametrize(
    "change", [{"seconds": 7200}, {"time_zone": "Europe/Berlin"}, {"max_runs": 9}, {"ends_at": "2040-01-01T00:00:00Z"}]
)
def test_a_rule_that_differs_is_a_new_rule(call: Caller, db: Db, change: dict[str, Any]) -> None:
    shown = made(call, recurrence={"kind": "every", "seconds": 3600})

    answer = call("PATCH", f"/v1/schedules/{shown['id']}", json={"recurrence": {**shown["recurrence"], **change}})

    assert answer.status_code == 200, answer.json
    assert answer.json["version"] == 2
    assert schedule_view.get(db, ScheduleId(shown["id"])).schedule.rule_since is not None


def test_a_stored_rule_that_would_be_refused_today_is_taken_back_as_it_is(call: Caller, db: Db) -> None:
    shown = made(call, recurrence={"kind": "cron", "expression": "0 * * * *"})
    db.schedules.update_one({"_id": shown["id"]}, {"$set": {"recurrence.expression": "*/90 * * * *"}})
    stored = call("GET", f"/v1/schedules/{shown['id']}").json

    answer = call("PATCH", f"/v1/schedules/{shown['id']}", json=stored)

    assert (answer.status_code, answer.json) == (200, stored)
