"""Lists that are searched, sorted and counted, and the search for a person, as a caller of the API meets them."""

from datetime import timedelta

import pytest

from mailroom.domain.ids import DispatchId
from mailroom.services.planning import asked_runs
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from mailroom.storage.database import server_now
from tests.support.builders import recipients, stored_schedule
from tests.support.caller import Caller, problems
from tests.support.lines import Line, a_run


@pytest.mark.parametrize("sort", ["name", "-name", "next_run_at", "-next_run_at", "created_at", "-created_at"])
def test_schedules_are_searched_sorted_counted_and_paged(call: Caller, line: Line, sort: str) -> None:
    for number in range(7):
        every = {"kind": "every", "seconds": 3600 + number, "time_zone": "UTC"}
        schedule = stored_schedule(line.db, name=f"Digest {number % 3}", recurrence=every)
        if number == 3:
            line.db.schedules.update_one({"_id": schedule.id}, {"$unset": {"next_run_at": ""}})
    schedule_lifecycle.archive(line.db, stored_schedule(line.db, name="Digest of old").id)
    stored_schedule(line.db, name="Offer")

    for where in ("", "name=DIG&"):
        ids: list[str] = []
        url = f"/v1/schedules?{where}sort={sort}&limit=3"
        page = call("GET", f"{url}&total=true").json
        first = page
        while True:
            ids += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            page = call("GET", f"{url}&cursor={page['next_cursor']}").json
        wanted = 7 if where else 8

        assert len(ids) == len({*ids}) == wanted
        assert (first["total"], first["total_is_exact"], "total" in page) == (wanted, True, False)


def test_what_no_list_of_schedules_can_be_asked_is_refused_by_name(call: Caller, line: Line) -> None:
    stored_schedule(line.db)
    by_name = call("GET", "/v1/schedules?sort=name&limit=1").json["next_cursor"]

    odd = call("GET", "/v1/schedules?sort=colour&total=yes&status=lost")
    no_letter = call("GET", "/v1/schedules?name=%3F")
    foreign = call("GET", f"/v1/schedules?cursor={by_name}")

    assert set(problems(odd)) == {"sort", "total", "status"}
    assert problems(no_letter) == {"name": "holds no letter and no digit"}
    assert set(problems(foreign)) == {"cursor"}


def test_runs_of_all_schedules_are_listed_with_the_names_of_their_schedules(call: Caller, line: Line) -> None:
    run_id, schedule_id = a_run(line, 3)
    other = stored_schedule(line.db, name="Offer")
    asked_runs.run_now(line.db, other.id, owner="tests", key="k")
    until = (server_now(line.db) - timedelta(hours=1)).isoformat().replace("+", "%2B")

    every = call("GET", "/v1/runs?total=true").json
    named = call("GET", "/v1/runs?schedule=weekday&status=planned").json
    pages = [call("GET", f"/v1/runs?limit=1&sort={sort}").json for sort in ("due_at", "-due_at")]
    following = call("GET", f"/v1/runs?limit=1&sort=due_at&cursor={pages[0]['next_cursor']}").json

    assert [item["schedule_name"] for item in every["items"]] == ["Offer", "Weekday digest"]
    assert (every["total"], every["total_is_exact"]) == (2, True)
    assert [item["id"] for item in named["items"]] == [run_id]
    assert [page["items"][0]["schedule_name"] for page in pages] == ["Weekday digest", "Offer"]
    assert following["items"] == pages[1]["items"]
    assert call("GET", f"/v1/runs?until={until}&schedule_id={schedule_id}").json["items"] == []
    assert set(problems(call("GET", "/v1/runs?status=lost&since=soon"))) == {"status", "since"}


def test_single_mails_are_counted_where_that_is_asked(call: Caller) -> None:
    mail = {"from": "a@mg.example.com", "to": ["bo@example.org"], "subject": "Hi", "text": "Hello"}
    for _ in range(2):
        call("POST", "/v1/emails", json=mail)

    counted = call("GET", "/v1/emails?recipient=bo@example.org&total=true").json

    assert (counted["total"], counted["total_is_exact"], len(counted["items"])) == (2, True, 2)
    assert "total" not in call("GET", "/v1/emails").json


def test_a_person_is_found_in_campaigns_and_single_mails(call: Caller, line: Line) -> None:
    run_id, schedule_id = a_run(line, 3)
    mail = {"from": "a@mg.example.com", "to": ["reader-1@example.org"], "subject": "Hi", "text": "Hello"}
    email_id = call("POST", "/v1/emails", json=mail).json["id"]

    whole = call("GET", "/v1/messages?recipient=reader-1@example.org").json
    start = call("GET", "/v1/messages?recipient=READER&limit=1").json
    rest = call("GET", f"/v1/messages?recipient=READER&limit=1&cursor={start['next_cursor']}").json

    assert [item["kind"] for item in whole["items"]] == ["mail", "campaign"]
    assert [(item["email_id"], item["run_id"]) for item in whole["items"]] == [(email_id, None), (None, run_id)]
    assert whole["items"][1] | {"at": "", "dispatch_id": ""} == {
        "id": whole["items"][1]["id"],
        "at": "",
        "kind": "campaign",
        "address": "reader-1@example.org",
        "status": "queued",
        "subject": "Hello {{ name }}",
        "schedule_name": "Weekday digest",
        "schedule_id": schedule_id,
        "run_id": run_id,
        "email_id": None,
        "dispatch_id": "",
    }
    assert (start["addresses"], start["all_addresses"]) == ([f"reader-{n}@example.org" for n in range(3)], True)
    assert [item["run_id"] for item in rest["items"]] == [run_id] * 3
    assert problems(call("GET", "/v1/messages?recipient=re")) == {
        "recipient": "type at least 3 characters of an address"
    }
    assert call("GET", "/v1/messages").status_code == 422


def test_dispatches_and_dead_letters_show_recipients_and_subject(call: Caller, line: Line) -> None:
    run_id, schedule_id = a_run(line, 5)
    (doc,) = line.db.dispatches.find({"run_id": run_id})
    line.db.dispatches.update_one({"_id": doc["_id"]}, {"$set": {"state": "unknown"}})

    (unknown,) = call("GET", "/v1/dispatches?state=unknown").json["items"]
    line.db.dispatches.update_one({"_id": doc["_id"]}, {"$set": {"state": "failed"}})
    (failed,) = call("GET", "/v1/dead-letters").json["items"]

    assert DispatchId(unknown["id"]) == doc["_id"]
    for shown in (unknown, failed):
        assert {*shown["recipients"]} < {person["address"] for person in recipients(5)}
        assert (len(shown["recipients"]), shown["recipients_count"], shown["subject"]) == (3, 5, "Hello {{ name }}")
        assert (shown["schedule_id"], shown["schedule_name"], shown["email_id"]) == (
            schedule_id,
            "Weekday digest",
            None,
        )
