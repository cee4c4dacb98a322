"""Segments by the API: counted, saved, sent to."""

from datetime import timedelta
from typing import Any

import pytest

from mailroom.domain.audience_versions import ListChoice
from mailroom.domain.ids import AudienceId, ScheduleId
from mailroom.services.audiences import counting
from mailroom.storage.database import Db, server_now
from tests.support.caller import Caller, problems
from tests.support.living import an_audience, mailed, people, plan_all, put, run_now
from tests.support.system import a_schedule_body


def a_segment(call: Caller, audience: str, filter_: str) -> Any:
    return call("POST", f"/v1/audiences/{audience}/segments", json={"name": "Part", "filter": filter_})


def count(call: Caller, audience: str, filter_: str) -> Any:
    return call("POST", "/v1/segments/count", json={"audience": audience, "filter": filter_})


def a_schedule(call: Caller, **changes: Any) -> ScheduleId:
    body = {name: value for name, value in a_schedule_body().items() if name != "recipients"}
    made = call("POST", "/v1/schedules", json=body | changes)
    assert made.status_code == 201, made.text
    return ScheduleId(made.json["id"])


def test_a_segment_is_counted_saved_shown_and_deleted(call: Caller, db: Db) -> None:
    audience = an_audience(db, "ann", "bo", "cy")
    put(db, audience, "bo", city="Oslo")
    db.suppressions.insert_one({"_id": "ann@example.org", "reason": "complained"})

    counted, made = count(call, audience, 'city = "rome"'), a_segment(call, audience, ' city = "rome" ')

    assert counted.json == {"count": 2, "suppressed": 1, "exact": True}
    assert made.status_code == 201
    assert (made.json["filter"], made.json["audience"]) == ('city = "rome"', audience)
    assert call("GET", made.headers["Location"]).json == made.json
    assert call("GET", f"/v1/audiences/{audience}/segments").json["items"] == [made.json]
    assert [call("DELETE", made.headers["Location"]).status_code for _ in range(2)] == [204, 404]
    assert call("GET", f"/v1/audiences/{audience}/segments").json["items"] == []


def test_a_run_goes_to_whom_the_filter_finds_when_it_is_due(call: Caller, db: Db) -> None:
    audience = an_audience(db, "ann", "bo", "cy")
    segment = a_segment(call, audience, 'city = "Rome"').json["id"]
    left_out = a_segment(call, audience, 'name = "Cy"').json["id"]
    schedule = a_schedule(call, segments=[segment], exclude=[left_out])
    call("DELETE", f"/v1/segments/{segment}")  # schedules that go to it still do

    put(db, audience, "bo", city="Oslo")
    first = run_now(db, schedule, "1")
    put(db, audience, "bo", city="Rome")
    second = run_now(db, schedule, "2")
    plan_all(db, schedule)

    assert (people(db, first), people(db, second)) == (["ann"], ["ann", "bo"])
    shown = call("GET", f"/v1/schedules/{schedule}").json
    assert (shown["segments"], shown["audiences"], shown["exclude"]) == ([segment], [], [left_out])


def test_what_goes_to_a_segment_shows_no_audience_that_an_edit_could_widen_it_to(call: Caller, db: Db) -> None:
    audience = an_audience(db, "ann", "bo", "cy")
    segment = a_segment(call, audience, 'name = "Cy"').json["id"]
    schedule = a_schedule(call, segments=[segment])

    shown = call("GET", f"/v1/schedules/{schedule}").json
    back = call("PATCH", f"/v1/schedules/{schedule}", json={"audience": shown["audience"], "subject": "New"})
    asked = call("POST", f"/v1/schedules/{schedule}/run-now", headers={"Idempotency-Key": "k"}).json
    plan_all(db, schedule)

    assert (shown["audience"], shown["recipients_count"], back.json["segments"]) == (None, None, [segment])
    assert (asked["recipients"], call("GET", f"/v1/runs/{asked['id']}").json["recipients"]) == (None, 1)
    assert people(db, asked["id"]) == ["cy"]


@pytest.mark.parametrize("field", ["audience", "audiences"])
def test_an_edit_that_gives_up_the_segments_goes_to_the_whole_audience(call: Caller, db: Db, field: str) -> None:
    audience = an_audience(db, "ann", "bo", "cy")
    schedule = a_schedule(call, segments=[a_segment(call, audience, 'name = "Cy"').json["id"]])
    whole = audience if field == "audience" else [audience]

    edited = call("PATCH", f"/v1/schedules/{schedule}", json={field: whole, "segments": []})

    assert (edited.json["segments"], edited.json["audience"], edited.json["recipients_count"]) == ([], audience, 3)


def test_an_edit_that_leaves_nobody_to_send_to_is_refused(call: Caller, db: Db) -> None:
    segment = a_segment(call, an_audience(db, "ann", "bo"), 'name = "Bo"').json["id"]
    schedule = a_schedule(call, segments=[segment])

    refused = call("PATCH", f"/v1/schedules/{schedule}", json={"segments": []})

    assert "it would go to nobody" in problems(refused)["audiences"]
    assert call("GET", f"/v1/schedules/{schedule}").json["segments"] == [segment]


def test_what_is_shown_of_a_schedule_can_be_posted_as_a_new_one(call: Caller, db: Db) -> None:
    audience, another = an_audience(db, "ann", "bo"), an_audience(db, "cy", key="another")
    segment = a_segment(call, audience, 'name = "Bo"').json["id"]
    choices = ({"audience": audience}, {"segments": [segment]}, {"audiences": [audience, another]})

    for choice in choices:
        shown = call("GET", f"/v1/schedules/{a_schedule(call, **choice)}").json
        again = a_schedule(call, **{name: shown[name] for name in ("audience", "audiences", "segments", "exclude")})
        copy = call("GET", f"/v1/schedules/{again}").json
        assert [copy[name] for name in ("audience", "audiences", "segments")] == [
            shown[name] for name in ("audience", "audiences", "segments")
        ]


def test_the_numbers_of_a_paused_run_say_whether_all_mails_are_counted(call: Caller, db: Db) -> None:
    audience = an_audience(db, "ann", "bo", "cy")
    schedule = a_schedule(call, segments=[a_segment(call, audience, 'name = "Cy"').json["id"]])
    run = run_now(db, schedule)

    before = call("POST", f"/v1/runs/{run}/pause").json["mails"]
    plan_all(db, schedule)
    after = call("POST", f"/v1/runs/{run}/resume").json["mails"]

    assert [(mails["held"], mails["all_counted"]) for mails in (before, after)] == [(0, False), (1, True)]


def test_several_large_audiences_are_estimated_by_the_contacts_that_were_looked_at(
    call: Caller, db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their addresses stand between one another's."""
    lists = [an_audience(db, *(f"p{n * 4 + k:05}" for n in range(1_500)), key=f"of-{k}") for k in range(4)]
    monkeypatch.setattr(counting, "MOST_LOOKED_AT", 2_000)
    monkeypatch.setattr(counting, "_MOST_S", 60.0)

    found = counting.count(db, [ListChoice(AudienceId(one)) for one in lists])

    assert (round(found.found, -2), found.exact) == (6_000, False)


def test_a_small_part_of_a_large_audience_goes_in_whole_calls(call: Caller, db: Db) -> None:
    audience = an_audience(db, *(f"r{n:05d}" for n in range(6_000)))
    db.recipients.update_many(
        {"_id.a": audience, "_id.k": {"$regex": "[05]@example"}}, {"$set": {"variables.city": "Oslo"}}
    )
    segment = a_segment(call, audience, 'city = "Oslo"').json["id"]

    schedule = a_schedule(call, segments=[segment])
    run = run_now(db, schedule)
    plan_all(db, schedule)

    assert sorted(doc["messages"] for doc in db.dispatches.find({"run_id": run})) == [200, 1_000]
    assert all(name[-1] in "05" for name in mailed(db, run))
    assert db.runs.find_one({"_id": run})["recipients"] == 1_200


def test_what_readers_did_with_the_last_runs_decides(call: Caller, db: Db) -> None:
    audience = an_audience(db, "ann", "bo", "cy")
    first = a_schedule(call, audience=audience)
    runs = [run_now(db, first, str(number)) for number in range(3)]
    plan_all(db, first)
    opened = {"opens": 1, "first_opened_at": server_now(db)}
    db.messages.update_one({"run_id": runs[0], "address": "ann@example.org"}, {"$set": opened})
    db.messages.update_one({"run_id": runs[2], "address": "bo@example.org"}, {"$set": opened | {"clicks": 1}})

    filters = ("opened in last 3 runs", "opened in last 2 runs", "not clicked in last 3 runs")
    numbers = {filter_: count(call, audience, filter_).json["count"] for filter_ in filters}
    assert numbers == dict(zip(filters, (2, 1, 2), strict=True))
    asleep = a_schedule(call, segments=[a_segment(call, audience, "not opened in last 3 runs").json["id"]])
    run = run_now(db, asleep)
    plan_all(db, asleep)
    assert people(db, run) == ["cy"]


def test_a_large_audience_is_counted_by_an_estimate(call: Caller, db: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_LOOKED_AT", 2_000)
    audience = an_audience(db, *(f"r{n:05d}" for n in range(4_000)))

    counted = count(call, audience, 'city = "Rome"').json

    assert counted == {"count": 4_000, "suppressed": 0, "exact": False}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": "x", "filter": "town = 1"}, "filter"),
        ({"name": "x", "filter": "city ="}, "filter"),
        ({"name": "two\nlines", "filter": "city is set"}, "name"),
        ({"name": "x"}, "filter"),
    ],
)
def test_a_wrong_segment_is_refused(call: Caller, db: Db, body: dict[str, str], path: str) -> None:
    audience = an_audience(db, "ann")

    refused = call("POST", f"/v1/audiences/{audience}/segments", json=body)

    assert (refused.status_code, list(problems(refused))) == (422, [path])
    assert db.segments.count_documents({}) == 0


def test_segments_of_audiences_that_are_not_there_are_not_found(call: Caller) -> None:
    answers = [
        a_segment(call, "aud_none", "city is set"),
        count(call, "aud_none", "city is set"),
        call("GET", "/v1/audiences/aud_none/segments"),
        call("GET", "/v1/segments/seg_none"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 4


def test_a_day_is_counted_from_the_due_instant(call: Caller, db: Db) -> None:
    audience = an_audience(db, "ann", "bo")
    db.recipients.update_one(
        {"_id": {"a": audience, "k": "bo@example.org"}}, {"$set": {"joined_at": server_now(db) - timedelta(days=40)}}
    )

    assert count(call, audience, "joined in last 30 days").json["count"] == 1
    assert count(call, audience, "not joined in last 30 days").json["count"] == 1
