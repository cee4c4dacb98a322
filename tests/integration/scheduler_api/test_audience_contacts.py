"""The contacts of an audience by the API: added, changed and removed, one or many."""

import csv
import io
from typing import Any

import pytest

from mailroom.storage.database import Db
from tests.support.builders import recipients
from tests.support.caller import Caller, problems
from tests.support.system import a_schedule_body

BO = {"name": "Bo", "variables": {"city": "Rome"}, "time_zone": "Europe/Rome", "language": "it"}


@pytest.fixture
def at(call: Caller) -> str:
    """The path of the contacts of an audience with nobody in it."""
    made = call("POST", "/v1/audiences", json={"name": "Readers"}, headers={"Idempotency-Key": "k"})
    assert (made.status_code, made.json["recipients_count"], made.json["changed_at"]) == (201, 0, None)
    return f"{made.headers['Location']}/contacts"


def addresses(call: Caller, at: str) -> list[str]:
    return [one["address"] for one in call("GET", at).json["items"]]


def test_a_contact_is_put_shown_changed_and_removed(call: Caller, at: str) -> None:
    put = call("PUT", f"{at}/Bo@example.org", json=BO)
    again = call("PUT", f"{at}/bo@EXAMPLE.org", json={"variables": {"age": 7}})
    changed = call("PATCH", f"{at}/bo@example.org", json={"name": "Bob", "variables": {"age": None, "vip": True}})

    assert (put.status_code, again.status_code, changed.status_code) == (201, 200, 200)
    assert put.json == BO | {"address": "Bo@example.org", "joined_at": put.json["joined_at"], "source": "api"}
    assert call("GET", put.headers["Location"]).json == changed.json
    assert (again.json["name"], again.json["variables"], again.json["time_zone"]) == ("", {"age": 7}, "")
    assert (changed.json["name"], changed.json["variables"]) == ("Bob", {"vip": True})
    assert changed.json["joined_at"] == put.json["joined_at"]
    assert [call("DELETE", f"{at}/bo@example.org").status_code for _ in range(2)] == [204, 404]
    assert call("GET", f"{at}/bo@example.org").status_code == 404
    assert addresses(call, at) == []


def test_many_are_added_changed_and_left_as_they_are(call: Caller, at: str) -> None:
    first = call("POST", at, json={"contacts": recipients(3)}).json
    rows = [
        {"address": "reader-1@example.org", "variables": {"plan": "pro"}},
        {"address": "reader-2@example.org"},
        {"address": "new@example.org"},
        {"address": "bad"},
    ]
    refused = call("POST", at, json={"contacts": rows})
    done = call("POST", at, json={"contacts": rows, "on_invalid": "skip"}).json

    assert first == {"added": 3, "changed": 0, "unchanged": 0, "refused": [], "refused_count": 0}
    assert list(problems(refused)) == ["contacts[3].address"]
    assert (done["added"], done["changed"], done["unchanged"], done["refused_count"]) == (1, 1, 1, 1)
    assert (done["refused"][0]["row"], done["refused"][0]["address"]) == (4, "bad")
    kept = call("GET", f"{at}/reader-1@example.org").json
    assert (kept["name"], kept["variables"]) == ("Reader 1", {"city": "Rome", "plan": "pro"})


def test_a_file_is_looked_at_first_and_then_added(call: Caller, at: str) -> None:
    call("PUT", f"{at}/bo@example.org", json=BO)
    file = "email,name,city\nbo@example.org,Bo,Oslo\nann@example.org,Ann,Rome\nbad,,\n"

    def add(query: str = "") -> Any:
        return call("POST", f"{at}/import{query}", data=file, content_type="text/csv")

    looked, refused = add("?dry_run=true"), add()
    before = addresses(call, at)
    done, again = add("?on_invalid=skip"), add("?on_invalid=skip")

    assert (looked.json["added"], looked.json["changed"], looked.json["refused_count"]) == (1, 1, 1)
    assert list(problems(refused)) == ["line 4"]
    assert before == ["bo@example.org"]
    assert [done.json[name] for name in ("added", "changed", "unchanged")] == [1, 1, 0]
    assert [again.json[name] for name in ("added", "changed", "unchanged")] == [0, 0, 2]
    assert call("GET", f"{at}/bo@example.org").json["variables"] == {"city": "Oslo"}


def test_a_file_brings_time_zones_and_languages_and_a_wrong_one_refuses_its_line(call: Caller, at: str) -> None:
    lines = ["email,Time zone,language,city", "bo@example.org,Europe/Rome,it,Rome", "ann@example.org,,,Oslo"]
    wrong = ["cy@example.org,Mars/Base,it,Rome", "di@example.org,Europe/Rome,an elf's,Rome"]

    def add(query: str, *rows: str) -> Any:
        return call("POST", f"{at}/import{query}", data="\n".join(rows), content_type="text/csv")

    done, refused = add("?on_invalid=skip", *lines, *wrong), add("", *lines, *wrong)
    again = add("", "email,time_zone", "bo@example.org,")

    shown = call("GET", f"{at}/bo@example.org").json
    assert (shown["time_zone"], shown["language"], shown["variables"]) == ("Europe/Rome", "it", {"city": "Rome"})
    assert call("GET", f"{at}/ann@example.org").json["time_zone"] == ""
    assert list(problems(refused)) == ["line 4", "line 5"]
    assert [(row["row"], row["address"]) for row in done.json["refused"]] == [
        (4, "cy@example.org"),
        (5, "di@example.org"),
    ]
    assert "IANA time zone" in done.json["refused"][0]["message"]
    assert (again.json["unchanged"], again.json["changed"]) == (1, 0)


def test_what_was_exported_keeps_its_time_zones_and_languages_when_it_is_read_again(call: Caller, at: str) -> None:
    call("PUT", f"{at}/bo@example.org", json=BO)
    file = call("GET", f"{at}/export").text
    call("DELETE", f"{at}/bo@example.org")

    call("POST", f"{at}/import", data=file, content_type="text/csv")

    shown = call("GET", f"{at}/bo@example.org").json
    assert (shown["name"], shown["time_zone"], shown["language"]) == ("Bo", "Europe/Rome", "it")
    assert {"time_zone", "language"}.isdisjoint(shown["variables"])


def test_many_are_removed_and_those_that_were_not_there_are_named(call: Caller, at: str) -> None:
    call("POST", at, json={"contacts": recipients(3)})

    done = call("POST", f"{at}/remove", json={"addresses": ["Reader-0@example.org", "no@example.org"]}).json

    assert done == {"removed": 1, "not_found": ["no@example.org"]}
    assert addresses(call, at) == ["reader-1@example.org", "reader-2@example.org"]


def test_all_contacts_are_exported_as_csv_and_can_be_read_again(call: Caller, at: str) -> None:
    call("PUT", f"{at}/bo@example.org", json=BO)
    rows = [{"address": "ann@example.org", "name": 'Ann "A", B', "variables": {"age": 7, "vip": True, "city": "=1+1"}}]
    call("POST", at, json={"contacts": rows})

    file = call("GET", f"{at}/export")

    (heads, ann, bo) = csv.reader(io.StringIO(file.text))
    assert file.mimetype == "text/csv"
    assert heads == ["address", "name", "age", "city", "vip", "time_zone", "language", "joined_at", "source"]
    assert (ann[:5], bo[:7]) == (
        ["ann@example.org", 'Ann "A", B', "7", "=1+1", "true"],
        ["bo@example.org", "Bo", "", "Rome", "", "Europe/Rome", "it"],
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "paths"),
    [
        ("PUT", "/bad", {"name": "Bo"}, ["address"]),
        ("PUT", "/bo@example.org", {"variables": {"a b": 1}, "time_zone": "Moon"}, ["variables.a b", "time_zone"]),
        ("PUT", "/bo@example.org", {"variables": [1]}, ["variables"]),
        ("PUT", "/bo@example.org", {"address": "x@example.org"}, ["address"]),
        ("PATCH", "/bo@example.org", {"language": "not a tag"}, ["language"]),
        ("PATCH", "/bo@example.org", {"variables": {"city": ["Rome"]}}, ["variables.city"]),
        ("POST", "", {"contacts": []}, ["contacts"]),
        ("POST", "", {}, ["contacts"]),
        ("POST", "", {"contacts": [{"address": "a@example.org", "x": 1}]}, ["contacts[0].x"]),
        ("POST", "/remove", {"addresses": []}, ["addresses"]),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_changes(
    call: Caller, db: Db, at: str, method: str, path: str, body: dict[str, Any], paths: list[str]
) -> None:
    call("PUT", f"{at}/bo@example.org", json=BO)
    before = list(db.recipients.find())

    refused = call(method, f"{at}{path}", json=body)

    assert refused.status_code == 422
    assert sorted(problems(refused)) == sorted(paths)
    assert list(db.recipients.find()) == before


def test_an_audience_that_is_not_there_takes_no_contacts(call: Caller) -> None:
    path = "/v1/audiences/aud_none/contacts"

    answers = [
        call("GET", path),
        call("PUT", f"{path}/bo@example.org", json={}),
        call("POST", path, json={"contacts": recipients(1)}),
        call("POST", f"{path}/import", data="bo@example.org", content_type="text/csv"),
        call("DELETE", f"{path}/bo@example.org"),
    ]

    assert [answer.status_code for answer in answers] == [404] * len(answers)


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", ""])
def test_a_file_of_contacts_is_asked_for_as_csv(call: Caller, content_type: str) -> None:
    body = {"name": "A", "recipients": recipients(1)}
    made = call("POST", "/v1/audiences", json=body, headers={"Idempotency-Key": "k"}).json["id"]

    answer = call("POST", f"/v1/audiences/{made}/contacts/import", data="[]", content_type=content_type)

    assert (answer.status_code, answer.json["detail"]) == (415, "Send the file as text/csv.")


def test_a_schedule_goes_to_audiences_and_leaves_others_out(call: Caller) -> None:
    def an_audience(key: str) -> str:
        body = {"name": key, "recipients": recipients(2)}
        return str(call("POST", "/v1/audiences", json=body, headers={"Idempotency-Key": key}).json["id"])

    one, two, three = map(an_audience, ("1", "2", "3"))
    body = {name: value for name, value in a_schedule_body().items() if name != "recipients"}

    made = call("POST", "/v1/schedules", json=body | {"audiences": [one, two, one], "exclude": [three]})
    shown = call("GET", made.headers["Location"]).json
    same = call("PATCH", made.headers["Location"], json=shown)
    kept = call("PATCH", made.headers["Location"], json={"subject": "New"})
    fewer = call("PATCH", made.headers["Location"], json={"audience": two, "exclude": []})

    assert made.status_code == 201
    assert [shown[name] for name in ("audience", "audiences", "exclude", "recipients_count")] == [
        None,
        [one, two],
        [three],
        None,
    ]
    assert same.json["version"] == shown["version"]
    assert (kept.json["audiences"], kept.json["exclude"]) == ([one, two], [three])
    assert (fewer.json["audiences"], fewer.json["exclude"]) == ([two], [])


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"audiences": ["aud_none"]}, ["audiences[0]"]),
        ({"audience": "REAL", "audiences": ["REAL", "aud_none"]}, ["audiences"]),
        ({"audiences": ["REAL"], "recipients": recipients(1)}, ["audiences"]),
        ({"exclude": ["REAL"], "recipients": recipients(1)}, ["exclude"]),
        ({"audience": "REAL", "exclude": ["aud_no", "seg_no"]}, ["exclude[0]", "exclude[1]"]),
        ({"segments": ["seg_none"]}, ["segments[0]"]),
        ({"audiences": ["REAL"] * 21}, ["audiences"]),
        ({}, ["recipients"]),
    ],
)
def test_a_wrong_choice_of_audiences_is_refused(call: Caller, changes: dict[str, Any], paths: list[str]) -> None:
    key = {"Idempotency-Key": "k"}
    real = call("POST", "/v1/audiences", json={"name": "A", "recipients": recipients(1)}, headers=key).json["id"]
    named = {
        name: real if value == "REAL" else [real if one == "REAL" else one for one in value]
        for name, value in changes.items()
    }
    body = {name: value for name, value in a_schedule_body().items() if name != "recipients"}

    refused = call("POST", "/v1/schedules", json=body | named)

    assert refused.status_code == 422
    assert sorted(problems(refused)) == paths
