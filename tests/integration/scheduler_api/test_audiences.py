"""Audiences under a name: made once, given to any number of schedules, and taken off the list."""

from datetime import timedelta
from threading import Thread
from typing import Any

import pytest

from mailroom.storage.audiences import document as audiences
from mailroom.storage.database import Db, server_now
from tests.support.builders import recipients
from tests.support.caller import Caller
from tests.support.system import a_schedule_body

ROWS = [
    {"address": "Bo@example.org", "name": "Bo", "variables": {"city": "Rome", "age": 7}},
    {"address": "ann@example.org", "name": "Ann", "variables": {"city": "Oslo"}},
    {"address": "bo@EXAMPLE.org", "name": "again"},
]


def a_list(call: Caller, key: str = "k", **changes: Any) -> Any:
    body = {"name": "Customers", "recipients": ROWS} | changes
    return call("POST", "/v1/audiences", json=body, headers={"Idempotency-Key": key})


def a_schedule(call: Caller, audience_id: str, **changes: Any) -> Any:
    body = {name: value for name, value in a_schedule_body().items() if name != "recipients"}
    return call("POST", "/v1/schedules", json=body | {"audience": audience_id} | changes)


def test_a_list_is_kept_once_under_its_name_and_shows_who_is_in_it(call: Caller) -> None:
    made, again, other = a_list(call), a_list(call), a_list(call, name="Somebody else's")

    assert (made.status_code, again.status_code, other.status_code) == (201, 200, 422)
    assert again.json == made.json
    assert made.json["name"] == "Customers"
    assert (made.json["recipients_count"], made.json["variables"]) == (2, ["address", "city", "name"])
    assert made.json | call("GET", made.headers["Location"]).json == made.json
    first = call("GET", f"/v1/audiences/{made.json['id']}/recipients?limit=1").json
    rest = call("GET", f"/v1/audiences/{made.json['id']}/recipients", query_string={"cursor": first["next_cursor"]})
    assert [one["name"] for one in first["items"] + rest.json["items"]] == ["Ann", "Bo"]


def test_the_newest_list_is_shown_first_a_page_at_a_time(call: Caller) -> None:
    for number in range(3):
        a_list(call, f"k{number}", name=f"list {number}")

    first = call("GET", "/v1/audiences?limit=2").json
    rest = call("GET", "/v1/audiences", query_string={"cursor": first["next_cursor"]}).json

    assert [one["name"] for one in first["items"] + rest["items"]] == ["list 2", "list 1", "list 0"]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"name": " "}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"recipients": []}, "recipients"),
        ({"recipients": [{"address": "bad"}]}, "recipients[0].address"),
    ],
)
def test_a_wrong_list_is_refused_and_nothing_of_it_is_kept(
    call: Caller, db: Db, changes: dict[str, Any], path: str
) -> None:
    refused = a_list(call, **changes)

    assert refused.status_code == 422
    assert path in [fault["path"] for fault in refused.json["errors"]]
    assert db.audiences.count_documents({}) == db.recipients.count_documents({}) == 0


def test_schedules_share_a_list_and_an_edit_moves_one_of_them_to_another(call: Caller, db: Db) -> None:
    customers, staff = a_list(call).json["id"], a_list(call, "k2", name="Staff", recipients=recipients(3)).json["id"]

    one, two = a_schedule(call, customers), a_schedule(call, customers)
    edited = call("PATCH", f"/v1/schedules/{two.json['id']}", json={"audience": staff})
    own = call("PATCH", f"/v1/schedules/{one.json['id']}", json={"recipients": recipients(4)})

    assert (one.status_code, two.status_code, edited.status_code, own.status_code) == (201, 201, 200, 200)
    assert (one.json["audience"], one.json["recipients_count"]) == (customers, 2)
    assert (edited.json["audience"], edited.json["recipients_count"]) == (staff, 3)
    assert own.json["recipients_count"] == 4
    assert call("GET", f"/v1/audiences/{own.json['audience']}").json["name"] == ""
    assert db.recipients.count_documents({}) == 2 + 3 + 4


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"audience": "aud_unknown"}, "audience"),
        ({"recipients": ROWS}, "audience"),
        ({"subject": "{{ age }}"}, "subject"),  # not everybody has it
        ({"audience": "aud_unknown", "name": ""}, "name"),
    ],
)
def test_a_schedule_that_does_not_go_with_its_audience_is_refused(
    call: Caller, changes: dict[str, Any], path: str
) -> None:
    refused = a_schedule(call, a_list(call).json["id"], **changes)

    assert refused.status_code == 422
    assert path in [fault["path"] for fault in refused.json["errors"]]


def test_what_is_taken_off_the_list_cannot_be_named_any_more_and_its_schedules_keep_it(call: Caller, db: Db) -> None:
    used, unused = a_list(call).json["id"], a_list(call, "k2").json["id"]
    schedule = a_schedule(call, used).json

    assert [call("DELETE", f"/v1/audiences/{one}").status_code for one in (used, unused)] == [204, 204]

    assert call("GET", "/v1/audiences").json["items"] == []
    assert [a_schedule(call, one).status_code for one in (used, unused)] == [422, 422]
    assert call("DELETE", f"/v1/audiences/{used}").status_code == 404
    assert call("GET", f"/v1/audiences/{unused}").status_code == 404
    assert audiences.sweep(db, now=server_now(db) + timedelta(days=2)) == 1
    assert {doc["_id"]["a"] for doc in db.recipients.find()} == {used}
    changed = call("PATCH", f"/v1/schedules/{schedule['id']}", json={"subject": "Hello {{ city }}"})
    assert (changed.status_code, changed.json["audience"]) == (200, used)


def test_the_same_request_in_one_moment_keeps_one_list(call: Caller, db: Db) -> None:
    answers: list[Any] = []
    threads = [Thread(target=lambda: answers.append(_post(call))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(status for status, _ in answers) == [200] * 5 + [201]
    assert len({id_ for _, id_ in answers}) == 1
    assert db.audiences.count_documents({"listed": True}) == 1


def _post(call: Caller) -> tuple[int, str]:
    client = call.client.application.test_client()
    headers = {**call.headers, "Idempotency-Key": "k"}
    answer = client.post("/v1/audiences", json={"name": "Customers", "recipients": recipients(300)}, headers=headers)
    return answer.status_code, answer.json["id"] if answer.json else ""


BAD_ROWS = [
    {"address": "bo@example.org", "name": "Bo"},
    {"address": "nobody"},
    "text",
    {"address": "eve@example.org", "variables": {"a b": 1}},
    {"name": "Tom"},
    {"address": "BO@example.org"},
]


def test_rows_that_cannot_be_taken_are_left_out_and_reported_on_request(call: Caller, db: Db) -> None:
    made, again = (a_list(call, recipients=BAD_ROWS, on_invalid="skip") for _ in range(2))

    assert (made.status_code, again.status_code) == (201, 200)
    assert again.json == made.json
    assert (made.json["recipients_count"], made.json["refused_count"]) == (1, 4)
    assert [(one["row"], one["address"]) for one in made.json["refused"]] == [
        (2, "nobody"),
        (3, ""),
        (4, "eve@example.org"),
        (5, ""),
    ]
    assert all(one["message"] for one in made.json["refused"])
    assert [doc["address"] for doc in db.recipients.find()] == ["bo@example.org"]
    assert a_list(call, recipients=BAD_ROWS).status_code == 422  # the same key, and another request


@pytest.mark.parametrize("on_invalid", ["refuse", None])
def test_else_every_fault_of_every_row_is_reported_at_once(call: Caller, db: Db, on_invalid: str | None) -> None:
    choice = {"on_invalid": on_invalid} if on_invalid else {}
    refused = a_list(call, name=" ", recipients=BAD_ROWS, **choice)

    assert refused.status_code == 422
    assert [fault["path"] for fault in refused.json["errors"]] == [
        "name",
        "recipients[1].address",
        "recipients[2]",
        "recipients[3].variables.a b",
        "recipients[4].address",
    ]
    assert db.audiences.count_documents({}) == 0


def test_what_is_wrong_with_the_fields_and_with_the_rows_is_reported_in_one_answer(call: Caller) -> None:
    body = {"recipients": BAD_ROWS, "on_invalid": "guess", "colour": "red"}
    refused = call("POST", "/v1/audiences", json=body, headers={"Idempotency-Key": "k"})

    assert refused.status_code == 422
    paths = [fault["path"] for fault in refused.json["errors"]]
    assert sorted(paths[:3]) == ["colour", "name", "on_invalid"]
    assert len(paths) == len(set(paths)) == 7


@pytest.mark.parametrize("rows", [[], [{"address": "bad"}], "text", None, {}])
def test_a_list_with_nobody_left_is_refused(call: Caller, rows: Any) -> None:
    refused = a_list(call, recipients=rows, on_invalid="skip")

    assert refused.status_code == 422
    assert "recipients" in {fault["path"] for fault in refused.json["errors"]}


def test_an_answer_about_many_wrong_rows_is_bounded(call: Caller) -> None:
    rows = [{"address": f"nobody-{n}"} for n in range(12_000)]

    skipped = a_list(call, recipients=[*rows, {"address": "bo@example.org"}], on_invalid="skip")
    refused = a_list(call, "k2", recipients=rows)

    assert (len(skipped.json["refused"]), skipped.json["refused_count"]) == (10_000, 12_000)
    assert len(refused.json["errors"]) == 1_001
    assert "11,000" in refused.json["errors"][-1]["message"]
