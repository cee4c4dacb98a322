"""A schedule in each recipient's own time over the API: saved, shown, edited, refused; and its runs."""

from typing import Any

from mailroom.domain.ids import ScheduleId
from mailroom.storage.database import Db
from tests.support.caller import Caller, problems
from tests.support.system import a_schedule_body
from tests.support.workers import checked_in
from tests.support.zoned import DAY, TOKYO, plan_at

OWN_TIME = {"delivery": "recipient_time", "default_time_zone": "Europe/London"}


def a_row(name: str, **more: Any) -> dict[str, Any]:
    return {"address": f"{name}@example.org", "name": name, "variables": {"city": "Rome"}, **more}


def made(call: Caller, **changes: Any) -> Any:
    answer = call("POST", "/v1/schedules", json=a_schedule_body(**changes))
    assert answer.status_code == 201, answer.json
    return answer.json


def test_a_delivery_is_shown_kept_changed_and_cleared(call: Caller) -> None:
    schedule = made(call, **OWN_TIME)
    path = f"/v1/schedules/{schedule['id']}"

    renamed = call("PATCH", path, json={"name": "Renamed"}).json
    same = call("PATCH", path, json={name: renamed[name] for name in renamed if name != "recipients_count"}).json
    without = call("PATCH", path, json={"default_time_zone": None}).json
    at_once = call("PATCH", path, json={"delivery": None}).json

    shown = [(one["delivery"], one["default_time_zone"]) for one in (schedule, renamed, same, without, at_once)]
    zoned = ("recipient_time", "Europe/London")
    assert shown == [zoned, zoned, zoned, ("recipient_time", ""), ("schedule_time", "")]
    assert same["version"] == renamed["version"]
    assert {one["next_run_at"] for one in (schedule, renamed, same, without, at_once)} == {schedule["next_run_at"]}
    assert schedule["next_run_at"].endswith("+01:00")  # the schedule's own zone


def test_the_same_key_and_body_find_the_same_schedule_and_another_delivery_is_another_body(call: Caller) -> None:
    body, key = a_schedule_body(**OWN_TIME), {"Idempotency-Key": "k"}
    first = call("POST", "/v1/schedules", json=body, headers=key)

    again = call("POST", "/v1/schedules", json=body, headers=key)
    other = call("POST", "/v1/schedules", json=a_schedule_body(), headers=key)

    assert (first.json["id"], again.status_code) == (again.json["id"], 200)
    assert other.status_code == 422


def test_what_cannot_go_out_in_each_recipients_own_time_is_refused_with_every_fault(call: Caller) -> None:
    every = {"kind": "every", "seconds": 3600, "time_zone": "UTC"}
    refused = {"delivery": "recipient_time", "default_time_zone": "Londn/Europe", "misfire": {"policy": "run_all"}}

    answer = call("POST", "/v1/schedules", json=a_schedule_body(recurrence=every, name="", **refused))
    unknown = call("POST", "/v1/schedules", json=a_schedule_body(delivery="at_dawn", subject=""))
    alone = call("POST", "/v1/schedules", json=a_schedule_body(default_time_zone="Europe/London"))

    assert {"delivery", "default_time_zone", "misfire.policy", "name"} <= problems(answer).keys()
    assert {"delivery", "subject"} <= problems(unknown).keys()
    assert problems(alone).keys() == {"default_time_zone"}


def test_a_wrong_rule_is_not_blamed_on_the_delivery(call: Caller) -> None:
    rule = {"kind": "cron", "expression": "0 9 * *", "time_zone": "UTC"}

    wrong = call("POST", "/v1/schedules", json=a_schedule_body(recurrence=rule, **OWN_TIME))
    unread = call("POST", "/v1/schedules", json=a_schedule_body(recurrence={"kind": 7}, **OWN_TIME))

    assert problems(wrong).keys() == {"recurrence.expression"}
    assert not problems(unread).keys() & {"delivery", "default_time_zone"}


def test_an_old_process_keeps_it_from_being_taken(call: Caller, db: Db) -> None:
    checked_in(db, "old-1", protocol=4)

    answer = call("POST", "/v1/schedules", json=a_schedule_body(**OWN_TIME))

    assert (answer.status_code, answer.json["code"]) == (409, "senders_too_old")


def test_a_run_shows_when_what_goes_out_and_its_report_who_was_late(call: Caller, db: Db) -> None:
    people = [a_row("ann", time_zone="Asia/Tokyo"), a_row("kim", time_zone="Asia/Kolkata"), a_row("bo")]
    rule = {"kind": "once", "at": DAY.replace(hour=9).isoformat(), "time_zone": "Europe/Berlin"}
    schedule = made(call, recipients=people, recurrence=rule, **OWN_TIME)
    # Three hours too late for Tokyo.
    run = plan_at(db, ScheduleId(schedule["id"]), TOKYO.replace(hour=3, minute=30))

    shown = call("GET", f"/v1/runs/{run.id}").json
    listed = call("GET", f"/v1/schedules/{schedule['id']}/runs").json["items"]
    report = call("GET", f"/v1/runs/{run.id}/report").json

    assert shown["recipient_time"] == {
        "wall_time": "2027-02-01T09:00:00",
        "default_time_zone": "Europe/London",
        "starts_at": "2027-02-01T00:00:00+00:00",
    }
    assert shown["due_at"] == "2027-02-01T08:00:00+00:00"
    assert shown["slices"] == [
        {"at": "2027-02-01T03:30:00+00:00", "mails": 1, "dispatches": 1, "open": 1},
        {"at": "2027-02-01T09:00:00+00:00", "mails": 1, "dispatches": 1, "open": 1},
    ]
    assert listed[0]["recipient_time"] == shown["recipient_time"]
    assert (report["recipients"], report["queued"], report["cancelled"], report["time_passed"]) == (3, 2, 1, 1)


def test_an_ordinary_run_has_no_slices(call: Caller) -> None:
    schedule = made(call)

    run = call("POST", f"/v1/schedules/{schedule['id']}/run-now", headers={"Idempotency-Key": "k"}).json

    assert (run["recipient_time"], call("GET", f"/v1/runs/{run['id']}").json["slices"]) == (None, [])
