"""Headers of a schedule's own: saved, shown, edited, tested, and refused as those of single mails."""

from typing import Any

from mailroom.storage.database import Db
from tests.support.caller import Caller, problems
from tests.support.system import a_schedule_body
from tests.support.topics import LINKED, a_topic
from tests.support.workers import checked_in

OWN = {"X-Campaign": "spring", "Precedence": "bulk"}


def made(call: Caller, **changes: Any) -> Any:
    answer = call("POST", "/v1/schedules", json=a_schedule_body(**changes))
    assert answer.status_code == 201, answer.json
    return answer.json


def test_headers_are_shown_rendered_and_sent_with_a_test(call: Caller, db: Db) -> None:
    schedule = made(call, headers=OWN)

    rendered = call("POST", f"/v1/schedules/{schedule['id']}/render", json={}).json
    test = {"to": ["me@example.com"]}
    sent = call("POST", f"/v1/schedules/{schedule['id']}/test", json=test, headers={"Idempotency-Key": "t"})

    assert schedule["headers"] == OWN
    assert rendered["headers"] == {"From": "Ann <ann@mg.example.com>"} | OWN
    assert call("GET", f"/v1/emails/{sent.json['items'][0]['id']}").json["headers"] == OWN


def test_an_edit_keeps_changes_and_clears_them(call: Caller) -> None:
    path = f"/v1/schedules/{made(call, headers=OWN)['id']}"

    kept = call("PATCH", path, json={"subject": "New"}).json
    same = call("PATCH", path, json={"headers": OWN}).json
    other = call("PATCH", path, json={"headers": {"X-Other": "1"}}).json
    cleared = call("PATCH", path, json={"headers": None}).json

    assert [one["headers"] for one in (kept, same, other, cleared)] == [OWN, OWN, {"X-Other": "1"}, {}]
    assert [one["revision"] for one in (kept, same, other, cleared)] == [2, 2, 3, 4]


def test_headers_that_are_not_a_writers_are_refused_all_at_once(call: Caller, db: Db) -> None:
    a_topic(db)
    headers = {
        "Subject": "x",
        "X-Mailgun-Tag": "x",
        "bad name": "x",
        "X-A": "é",
        "X-B": "a\nb",
        "X-C": "%recipient.name%",
        "List-Unsubscribe": "<https://x.org>",
    }
    body = a_schedule_body(topic="newsletter", headers=headers, name="", **LINKED)

    answer = call("POST", "/v1/schedules", json=body)
    unshaped = call("POST", "/v1/schedules", json=a_schedule_body(headers={"Date": 7}, subject=""))

    found = problems(answer)
    assert set(found) >= {f"headers.{name}" for name in headers} | {"name"}
    assert found["headers.List-Unsubscribe"] == "the topic sets this"
    assert set(problems(unshaped)) == {"headers.Date", "subject"}


def test_while_a_process_may_run_that_would_leave_them_out_they_are_refused(call: Caller, db: Db) -> None:
    kept = made(call, headers=OWN)
    checked_in(db, protocol=2)

    refused = call("POST", "/v1/schedules", json=a_schedule_body(headers=OWN))
    copied = call("POST", f"/v1/schedules/{kept['id']}/duplicate", headers={"Idempotency-Key": "copy"})

    assert (refused.json["code"], copied.json["code"]) == ("senders_too_old", "senders_too_old")
    assert call("POST", "/v1/schedules", json=a_schedule_body()).status_code == 201
