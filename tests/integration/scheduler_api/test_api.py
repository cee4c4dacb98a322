"""The JSON API over a real MongoDB: the contract bodies, and a clear 4xx for every bad input."""

import base64
from typing import Any

import pytest

from mailroom.services.operations import tokens as token_service
from mailroom.storage.database import server_now
from scheduler_api import paging
from tests.support.caller import Caller, problems
from tests.support.system import System, a_schedule_body


def test_a_schedule_is_made_as_in_the_contract(call: Caller) -> None:
    answer = call("POST", "/v1/schedules", json=a_schedule_body())

    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/schedules/{answer.json['id']}"
    assert answer.headers["ETag"] == '"v1"'
    assert answer.json["status"] == "active"
    assert answer.json["next_run_at"].endswith(("+01:00", "+02:00"))


def test_next_runs_carry_local_and_utc_times_and_a_note(call: Caller) -> None:
    body = a_schedule_body(
        recurrence={
            "kind": "cron",
            "expression": "30 2 * * *",
            "time_zone": "Europe/Berlin",
            "starts_at": "2027-03-28T00:00:00+01:00",
        }
    )
    made = call("POST", "/v1/schedules", json=body).json

    items = call("GET", f"/v1/schedules/{made['id']}/next-runs?count=2").json["items"]

    assert items[0]["at"] == "2027-03-28T03:00:00+02:00"
    assert items[0]["at_utc"] == "2027-03-28T01:00:00Z"
    assert "02:30 does not exist" in items[0]["note"]
    assert items[1]["note"] is None


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"surprise": 1}, "surprise"),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\r\nBcc: x@example.org"}, "name"),
        ({"subject": "a\nb"}, "subject"),
        ({"from": "nobody"}, "from"),
        ({"from": "Ann\r\nBcc: x@example.org <ann@example.org>"}, "from"),
        ({"reply_to": "a@example.org\nX: y"}, "reply_to"),
        ({"text": "", "html": ""}, "text"),
        ({"text": "{{ unknown }}"}, "text"),
        ({"html": "{{ name"}, "html"),
        ({"recipients": []}, "recipients"),
        ({"recipients": {}}, "recipients"),
        ({"recipients": [{"address": "bad"}]}, "recipients[0].address"),
        ({"recipients": [{"address": 5}]}, "recipients[0].address"),
        ({"recipients": ["bo@example.org"]}, "recipients[0]"),
        ({"recipients": [{"address": "bo@example.org", "variables": {"a.b": 1}}]}, "recipients[0].variables.a.b"),
        ({"recurrence": {"kind": "cron", "expression": "0 0 31 2 *"}}, "recurrence.expression"),
        ({"recurrence": {"kind": "cron", "expression": "* * * * *", "time_zone": "Nowhere/X"}}, "recurrence.time_zone"),
        ({"recurrence": {"kind": "once", "at": "yesterday"}}, "recurrence.at"),
        ({"recurrence": {"kind": "once", "at": "2020-01-01T00:00:00"}}, "recurrence.at"),
        ({"recurrence": {"kind": "every", "seconds": "60"}}, "recurrence.seconds"),
        ({"recurrence": {"kind": "every", "seconds": 10**30}}, "recurrence.seconds"),
        ({"recurrence": {"kind": "rrule", "expression": "FREQ=DAILY;UNTIL=99991231T235959Z"}}, "recurrence.expression"),
        (
            {"recurrence": {"kind": "every", "seconds": 60, "ends_at": "9999-12-31T23:59:59-12:00"}},
            "recurrence.ends_at",
        ),
        ({"from": "(" * 499}, "from"),
        ({"from": '"%recipient.t1%" <ann@example.org>'}, "from"),
        ({"recipients": [{"address": "bo@test"}]}, "recipients[0].address"),
        ({"recurrence": {"expression": "* * * * *"}}, "recurrence.kind"),
        ({"recurrence": {"kind": "every", "seconds": 60, "oops": 1}}, "recurrence.oops"),
        ({"misfire": {"policy": "pray"}}, "misfire.policy"),
        ({"misfire": {"grace_s": -1}}, "misfire.grace_s"),
        ({"tags": ["a", "b", "c", "d"]}, "tags"),
        ({"tags": ["ä"]}, "tags[0]"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_stored(
    call: Caller, system: System, changes: dict[str, Any], path: str
) -> None:
    answer = call("POST", "/v1/schedules", json=a_schedule_body(**changes))

    assert answer.status_code == 422
    assert path in problems(answer)
    assert [system.db[c].count_documents({}) for c in ("schedules", "contents", "recipients", "audiences")] == [0] * 4


@pytest.mark.parametrize(
    "raw",
    [
        b'{"n": ' + b"9" * 5_000 + b"}",
        b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
        b'{"n": 1e999}',
        b"{bad",
        b"",
        b"[]",
        b"null",
        b'"text"',
        b'{"name": NaN}',
        b'{"name": "\\ud800"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_json_object_is_a_clear_4xx(call: Caller, raw: bytes) -> None:
    answer = call("POST", "/v1/schedules", data=raw, content_type="application/json")

    assert 400 <= answer.status_code < 500
    assert answer.content_type == "application/problem+json"


def test_a_body_over_the_limit_is_413(call: Caller) -> None:
    answer = call("POST", "/v1/schedules", data=b"x" * 70_000_000, content_type="application/json")

    assert (answer.status_code, answer.json["code"]) == (413, "too_large")


def test_the_same_key_again_is_the_same_schedule_and_another_body_is_refused(call: Caller) -> None:
    headers = {"Idempotency-Key": "once"}
    first = call("POST", "/v1/schedules", json=a_schedule_body(), headers=headers)
    again = call("POST", "/v1/schedules", json=a_schedule_body(), headers=headers)
    other = call("POST", "/v1/schedules", json=a_schedule_body(name="Other"), headers=headers)

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 422)
    assert again.json["id"] == first.json["id"]
    assert other.json["code"] == "idempotency_mismatch"


def test_an_edit_names_the_version_it_saw(call: Caller) -> None:
    path = f"/v1/schedules/{call('POST', '/v1/schedules', json=a_schedule_body()).json['id']}"

    changed = call("PATCH", path, json={"name": "New"}, headers={"If-Match": '"v1"'})
    stale = call("PATCH", path, json={"name": "Newer"}, headers={"If-Match": '"v1"'})

    assert (changed.status_code, changed.headers["ETag"], changed.json["name"]) == (200, '"v2"', "New")
    assert (stale.status_code, stale.json["code"]) == (412, "stale_edit")


@pytest.mark.parametrize("changes", [{"recurrence": {}}, {"subject": "{{ x }}"}, {"recipients": []}, {"nope": 1}])
def test_a_bad_edit_is_refused_and_changes_nothing(call: Caller, changes: dict[str, Any]) -> None:
    made = call("POST", "/v1/schedules", json=a_schedule_body()).json

    answer = call("PATCH", f"/v1/schedules/{made['id']}", json=changes)

    assert answer.status_code == 422
    assert call("GET", f"/v1/schedules/{made['id']}").json == made


def test_what_can_be_done_with_a_schedule(call: Caller) -> None:
    path = f"/v1/schedules/{call('POST', '/v1/schedules', json=a_schedule_body()).json['id']}"
    steps = ["pause", "pause", "resume", "skip-next", "archive", "resume"]

    codes = [call("POST", f"{path}/{step}").status_code for step in steps]

    assert codes == [200, 409, 200, 200, 200, 409]


def test_run_now_needs_a_key_and_is_one_run_for_it(call: Caller) -> None:
    path = f"/v1/schedules/{call('POST', '/v1/schedules', json=a_schedule_body()).json['id']}"

    refused = call("POST", f"{path}/run-now")
    first = call("POST", f"{path}/run-now", headers={"Idempotency-Key": "k"})
    again = call("POST", f"{path}/run-now", headers={"Idempotency-Key": "k"})

    assert (refused.status_code, first.status_code, again.status_code) == (422, 202, 200)
    assert first.json["id"] == again.json["id"]
    assert [run["id"] for run in call("GET", f"{path}/runs").json["items"]] == [first.json["id"]]


def test_lists_are_paged_by_a_cursor(call: Caller) -> None:
    made = [call("POST", "/v1/schedules", json=a_schedule_body(name=f"S{n}")).json["id"] for n in range(5)]

    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = call("GET", f"/v1/schedules?limit=2{'&cursor=' + cursor if cursor else ''}").json
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]

    assert seen == made[::-1]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/schedules?cursor=nonsense",
        "/v1/schedules?cursor=W10",
        "/v1/schedules?limit=0",
        "/v1/schedules?limit=x",
        "/v1/schedules?status=odd",
        "/v1/dispatches?state=odd",
        "/v1/dispatches?cursor=e30",
        "/v1/schedules?cursor=" + paging.encode("0001-01-01T00:00:00+23:59", "x"),
        "/v1/schedules?cursor=" + paging.encode("2026-01-01T00:00:00+00:00", "\ud800"),
        "/v1/dispatches?cursor=" + base64.urlsafe_b64encode(b"[" * 2_900).decode(),
    ],
)
def test_a_bad_query_is_a_422(call: Caller, path: str) -> None:
    assert call("GET", path).status_code == 422


@pytest.mark.parametrize(
    "path", ["/v1/schedules/none", "/v1/runs/none", "/v1/runs/none/report", "/v1/dispatches/none", "/v1/nothing"]
)
def test_what_does_not_exist_is_a_404_in_the_one_shape(call: Caller, path: str) -> None:
    answer = call("GET", path)

    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]


def test_only_a_valid_token_with_the_scope_gets_in(call: Caller, system: System) -> None:
    reader = token_service.create_token(system.db, name="r", scopes=["read"], now=server_now(system.db))

    def status(token: str, method: str = "GET") -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return int(call.client.open("/v1/schedules", method=method, headers=headers, json={}).status_code)

    assert [
        status(""),
        status("mr_x_y"),
        status(reader[:-1] + ("B" if reader.endswith("A") else "A")),
        status(reader),
    ] == [401, 401, 401, 200]
    assert status(reader, "POST") == 403


def test_the_documents_load_nothing_from_outside(call: Caller) -> None:
    page, spec = call("GET", "/docs"), call("GET", "/openapi.json")

    assert page.status_code == 200
    assert b"http://" not in page.data
    assert b"https://" not in page.data
    assert "/v1/schedules" in spec.json["paths"]
    assert b"recurrence.expression" in page.data
    assert b"$ref" not in page.data
    assert b"#/components" not in page.data


def test_health_readiness_and_metrics_are_answered(call: Caller) -> None:
    assert call("GET", "/health").json == {"health": "ok"}
    assert call("GET", "/ready").status_code == 200
    assert b'mailroom_dispatches{state="in_doubt"} 0.0' in call("GET", "/metrics").data


def test_a_body_that_is_not_said_to_be_json_is_415_and_changes_nothing(call: Caller) -> None:
    made = call("POST", "/v1/schedules", json=a_schedule_body()).json

    answer = call("PATCH", f"/v1/schedules/{made['id']}", data='{"name": "x"}', content_type="text/plain")

    assert answer.status_code == 415
    assert call("GET", f"/v1/schedules/{made['id']}").json == made


@pytest.mark.parametrize("tag", ['"v\u00b2"', '"v' + "1" * 5_000 + '"', "nonsense"])
def test_an_etag_that_was_never_given_out_is_a_422(call: Caller, tag: str) -> None:
    made = call("POST", "/v1/schedules", json=a_schedule_body()).json

    headers = {"If-Match": tag.encode("utf-8").decode("latin-1")}
    assert call("PATCH", f"/v1/schedules/{made['id']}", json={"name": "x"}, headers=headers).status_code == 422


def test_an_edit_of_the_misfire_policy_keeps_its_grace(call: Caller) -> None:
    made = call("POST", "/v1/schedules", json=a_schedule_body(misfire={"policy": "skip", "grace_s": 60})).json

    changed = call("PATCH", f"/v1/schedules/{made['id']}", json={"misfire": {"policy": "run_all"}}).json

    assert changed["misfire"] == {"policy": "run_all", "grace_s": 60}
