"""What a recipient would get, seen before anything is sent; and a schedule copied."""

from typing import Any

import pytest

from mailroom.storage.database import Db
from tests.support.caller import Caller, problems
from tests.support.system import a_schedule_body
from tests.support.topics import LINKED, a_topic

PEOPLE = [
    {"address": "ann@example.org", "name": "Ann", "variables": {"city": "Rome"}},
    {"address": "bo@example.org", "name": "Bo <b>", "variables": {"city": "Oslo"}},
]


def stored(call: Caller, **changes: Any) -> str:
    answer = call("POST", "/v1/schedules", json=a_schedule_body(recipients=PEOPLE, **changes))
    assert answer.status_code == 201, answer.json
    return str(answer.json["id"])


def test_a_stored_schedule_is_rendered_for_the_first_recipient_or_the_one_that_is_named(call: Caller) -> None:
    id_ = stored(call, reply_to="help@mg.example.com")

    first = call("POST", f"/v1/schedules/{id_}/render", json={"contact": None})
    other = call("POST", f"/v1/schedules/{id_}/render", json={"contact": "BO@example.org"})
    nobody = call("POST", f"/v1/schedules/{id_}/render", json={"contact": "di@example.org"})

    assert (first.json["contact"], first.json["text"]) == ("ann@example.org", "Hello Ann in Rome")
    assert (other.json["subject"], other.json["text"]) == ("Hello Bo <b>", "Hello Bo <b> in Oslo")
    assert "Hello Bo &lt;b&gt;" in other.json["html"]
    assert other.json["headers"] == {"From": "Ann <ann@mg.example.com>", "Reply-To": "help@mg.example.com"}
    assert problems(nobody) == {"contact": "is not among the recipients"}


def test_a_body_is_rendered_before_it_is_saved_and_nothing_is_stored(call: Caller, db: Db) -> None:
    body = a_schedule_body(recipients=PEOPLE)

    shown = call("POST", "/v1/schedules/render", json=body | {"contact": "bo@example.org"})
    wrong = call("POST", "/v1/schedules/render", json=body | {"text": "{{ town }}", "subject": ""})

    assert shown.json["text"] == "Hello Bo <b> in Oslo"
    assert set(problems(wrong)) == {"text", "subject"}
    assert (
        db.schedules.count_documents({}) == db.recipients.count_documents({}) == db.audiences.count_documents({}) == 0
    )


def test_a_saved_audience_is_rendered_for_too(call: Caller) -> None:
    audience = call(
        "POST", "/v1/audiences", json={"name": "All", "recipients": PEOPLE}, headers={"Idempotency-Key": "a"}
    )
    body = {name: value for name, value in a_schedule_body().items() if name != "recipients"}

    shown = call(
        "POST", "/v1/schedules/render", json=body | {"audience": audience.json["id"], "contact": "bo@example.org"}
    )

    assert shown.json["text"] == "Hello Bo <b> in Oslo"


def test_what_a_recipient_lacks_is_said_of_the_field_that_was_written(call: Caller, db: Db) -> None:
    made = stored(call, text=None, html="", markdown="Hi {{ name }} in {{ city }}")
    db.recipients.update_many({}, {"$unset": {"variables.city": ""}})

    refused = call("POST", f"/v1/schedules/{made}/render", json={})

    assert problems(refused) == {"markdown": "'city' is undefined"}


def test_mail_of_a_topic_shows_an_example_link_that_unsubscribes_nobody(call: Caller, db: Db) -> None:
    a_topic(db, footer=True, postal_address="Shop Ltd, Rome")
    linked, footed = stored(call, topic="newsletter", **LINKED), stored(call, topic="newsletter")

    for id_ in (linked, footed):
        shown = call("POST", f"/v1/schedules/{id_}/render", json={}).json
        link = shown["headers"]["List-Unsubscribe"][1:-1]
        assert link in shown["text"]
        assert f'href="{link}"' in shown["html"]
        path = f"/u/{link.rpartition('/')[2]}"
        pages = [call.client.get(path), call.client.post(path, data={"List-Unsubscribe": "One-Click"})]
        assert [page.status_code for page in pages] == [200, 404]
        assert all("the link of a preview or of a test, and unsubscribes nobody" in page.text for page in pages)
    assert "Shop Ltd, Rome" in shown["text"]


def test_a_copy_has_the_same_content_and_audience_and_is_paused(call: Caller, db: Db) -> None:
    a_topic(db)
    id_, key = stored(call, topic="newsletter", **LINKED), {"Idempotency-Key": "copy-1"}

    made = call("POST", f"/v1/schedules/{id_}/duplicate", headers=key)
    again = call("POST", f"/v1/schedules/{id_}/duplicate", headers=key)

    source = call("GET", f"/v1/schedules/{id_}").json
    assert (made.status_code, again.status_code, again.json["id"]) == (201, 200, made.json["id"])
    assert (made.json["name"], made.json["status"], made.json["revision"]) == ("Copy of Weekday digest", "paused", 1)
    same = ("from", "subject", "text", "html", "topic", "audience", "recipients_count", "recurrence", "misfire", "tags")
    assert {name: made.json[name] for name in same} == {name: source[name] for name in same}
    resumed = call("POST", f"/v1/schedules/{made.json['id']}/resume")
    assert (resumed.status_code, resumed.json["status"]) == (200, "active")
    assert resumed.json["next_run_at"] == source["next_run_at"]
    assert call("POST", "/v1/schedules/sch_nothing/duplicate", headers=key).status_code == 404


@pytest.mark.parametrize("times", [1, 3])
def test_a_copy_of_a_copy_is_not_named_longer_each_time(call: Caller, times: int) -> None:
    id_ = stored(call)

    for number in range(times):
        copy = call("POST", f"/v1/schedules/{id_}/duplicate", headers={"Idempotency-Key": str(number)})
        id_ = copy.json["id"]

    assert copy.json["name"] == "Copy of Weekday digest"


def test_a_test_goes_to_the_named_addresses_once_and_counts_on_no_report(call: Caller, db: Db) -> None:
    a_topic(db)
    id_, key = stored(call, topic="newsletter", reply_to="help@mg.example.com", **LINKED), {"Idempotency-Key": "test-1"}
    body = {"to": ["me@example.com", "Me@example.com", "you@example.com"], "contact": "bo@example.org"}

    sent = call("POST", f"/v1/schedules/{id_}/test", json=body, headers=key)
    again = call("POST", f"/v1/schedules/{id_}/test", json=body, headers=key)

    assert sent.status_code == 202
    assert [one["address"] for one in sent.json["items"]] == ["me@example.com", "you@example.com"]
    assert [one["id"] for one in again.json["items"]] == [one["id"] for one in sent.json["items"]]
    assert db.emails.count_documents({}) == 2
    mail = call("GET", f"/v1/emails/{sent.json['items'][0]['id']}?include=body").json
    assert (mail["subject"], mail["tags"], mail["reply_to"]) == ("[Test] Hello Bo <b>", ["test"], "help@mg.example.com")
    assert mail["text"].startswith("Hello Bo <b>. Leave: http")
    assert mail["metadata"] == {"test_of": id_}
    assert call("GET", f"/v1/schedules/{id_}/runs").json["items"] == []


def test_a_test_asks_for_no_consent_but_not_to_a_mailbox_that_does_not_exist(call: Caller, db: Db) -> None:
    id_ = stored(call)
    for address, reason in (("left@example.com", "unsubscribed"), ("gone@example.com", "bounced")):
        call("POST", "/v1/suppressions", json={"address": address, "reason": reason})

    sent = call(
        "POST",
        f"/v1/schedules/{id_}/test",
        json={"to": ["left@example.com", "gone@example.com"]},
        headers={"Idempotency-Key": "t"},
    )

    assert [one["status"] for one in sent.json["items"]] == ["queued", "suppressed"]


@pytest.mark.parametrize(
    ("to", "paths"),
    [
        ([], {"to"}),
        (["a@example.com"] * 11, {"to"}),
        (["a@example.com", "nobody"], {"to[1]"}),
        (["@"] * 2, {"to[0]", "to[1]"}),
    ],
)
def test_a_test_to_wrong_addresses_goes_to_nobody(call: Caller, db: Db, to: list[str], paths: set[str]) -> None:
    id_ = stored(call)

    refused = call("POST", f"/v1/schedules/{id_}/test", json={"to": to}, headers={"Idempotency-Key": "t"})

    assert set(problems(refused)) == paths
    assert db.emails.count_documents({}) == 0


def test_hints_come_with_what_is_rendered(call: Caller) -> None:
    id_ = stored(call, html="<img src=a.png><a href='/x'>x</a>")

    hints = call("POST", f"/v1/schedules/{id_}/render", json={}).json["hints"]

    assert [hint["code"] for hint in hints] == ["no_unsubscribe", "broken_links", "no_alt", "broken_images"]
