"""Topics and contacts over the API; the links in mails on every application that answers them."""

from collections.abc import Callable
from typing import Any

import pymongo
import pytest
from flask import Flask

from config.settings import read_settings
from mailroom.assembly.api import build_api_services
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import RunId
from mailroom.domain.unsubscribe_links import Membership, UnsubscribeLinks
from mailroom.services.consent import membership
from mailroom.storage.database import Db, server_now
from scheduler_api import app as the_api
from scheduler_api import webhooks_in
from tests.support.caller import Caller, problems
from tests.support.system import System, a_schedule_body
from tests.support.topics import LINK, LINKED, a_topic

FOOTER = {"footer": True, "postal_address": "Shop Ltd, Via Roma 1, Rome"}
BO = Membership("bo@example.org", "newsletter", RunId("sch_1-20261201T090000Z"))


def test_a_topic_is_made_once_shown_listed_and_changed(call: Caller, db: Db) -> None:
    body = {"id": "newsletter", "name": "Weekly news"}

    made = call("POST", "/v1/topics", json=body)
    again = call("POST", "/v1/topics", json=body)
    other = call("POST", "/v1/topics", json=body | {"name": "Another"})
    changed = call("PATCH", "/v1/topics/newsletter", json=FOOTER, headers={"If-Match": made.headers["ETag"]})
    stale = call("PATCH", "/v1/topics/newsletter", json={"name": "X"}, headers={"If-Match": made.headers["ETag"]})

    assert (made.status_code, made.headers["Location"]) == (201, "/v1/topics/newsletter")
    assert (again.status_code, other.status_code, other.json["code"]) == (200, 409, "conflict")
    assert (changed.status_code, changed.json["footer"], changed.json["version"]) == (200, True, 2)
    assert stale.status_code == 412
    assert call("GET", "/v1/topics/newsletter").json == changed.json
    assert [one["id"] for one in call("GET", "/v1/topics").json["items"]] == ["newsletter"]
    assert call("GET", "/v1/topics/nothing").status_code == 404


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"id": "all"}, {"id"}),
        ({"id": "campaigns"}, {"id"}),
        ({"id": "News"}, {"id"}),
        ({"id": "-a"}, {"id"}),
        ({"id": "a" * 41}, {"id"}),
        ({"id": "a.b", "name": " "}, {"id", "name"}),
        ({"name": "a\nb"}, {"name"}),
        ({"footer": True}, {"postal_address"}),
        ({"postal_address": "{{ name }}"}, {"postal_address"}),
        ({"postal_address": "x" * 301}, {"postal_address"}),
        ({"footer": "yes"}, {"footer"}),
        ({"colour": "red"}, {"colour"}),
    ],
)
def test_a_bad_topic_is_refused_with_its_faults(call: Caller, db: Db, changes: dict[str, Any], paths: set[str]) -> None:
    answer = call("POST", "/v1/topics", json={"id": "newsletter", "name": "News"} | changes)

    assert answer.status_code == 422
    assert set(problems(answer)) == paths
    assert db.topics.count_documents({}) == 0


def test_a_schedule_takes_a_topic_keeps_it_and_gives_it_up(call: Caller, db: Db) -> None:
    a_topic(db)
    plain = a_schedule_body()
    linked = a_schedule_body(topic="newsletter", **LINKED)

    without_link = call("POST", "/v1/schedules", json=a_schedule_body(topic="newsletter"))
    unknown = call("POST", "/v1/schedules", json=linked | {"topic": "nothing"})
    made = call("POST", "/v1/schedules", json=linked)
    place = f"/v1/schedules/{made.json['id']}"
    same = call("PATCH", place, json={"topic": "newsletter"})
    cleared = call("PATCH", place, json={"topic": None, "text": plain["text"], "html": plain["html"]})

    assert set(problems(without_link)) == {"text", "html"}
    assert set(problems(unknown)) == {"topic"}
    assert (made.json["topic"], same.json["version"]) == ("newsletter", 1)
    assert (cleared.status_code, cleared.json["topic"], cleared.json["revision"]) == (200, None, 2)
    assert call("POST", "/v1/schedules", json=plain | {"topic": None}).json["topic"] is None


def test_a_topic_with_a_footer_takes_content_without_a_link(call: Caller, db: Db) -> None:
    a_topic(db, **FOOTER)

    made = call("POST", "/v1/schedules", json=a_schedule_body(topic="newsletter"))

    assert made.status_code == 201
    assert LINK not in made.json["text"]  # it is added as the mail is sent
    content = db.contents.find_one({})
    assert content
    assert content["footer"] == FOOTER["postal_address"]


def test_no_topic_is_taken_while_a_sender_runs_that_does_not_know_it(call: Caller, db: Db) -> None:
    a_topic(db)
    old = {"_id": "old-1", "kind": "sender", "protocol": 1, "lanes": [], "checked_in_at": server_now(db)}
    db.workers.insert_one(old)

    refused = call("POST", "/v1/schedules", json=a_schedule_body(topic="newsletter", **LINKED))

    assert (refused.status_code, refused.json["code"]) == (409, "senders_too_old")
    assert db.schedules.count_documents({}) == 0
    assert call("POST", "/v1/schedules", json=a_schedule_body()).status_code == 201


def test_a_suppression_may_have_a_topic_as_its_scope_and_is_journaled(call: Caller, db: Db) -> None:
    a_topic(db)
    entry = {"address": "bo@example.org", "scope": "newsletter", "reason": "asked by phone"}

    added = call("POST", "/v1/suppressions", json=entry)
    wrong = call("POST", "/v1/suppressions", json=entry | {"scope": "nothing"})
    gets_not = call("GET", "/v1/contacts/bo@example.org").json["topics"]
    removed = call("DELETE", "/v1/suppressions/bo@example.org?scope=newsletter")

    assert (added.status_code, wrong.status_code, removed.status_code) == (201, 422, 204)
    assert gets_not == [{"id": "newsletter", "name": "Newsletter", "subscribed": False, "reason": "asked by phone"}]
    contact = call("GET", "/v1/contacts/BO@example.org").json
    assert contact["topics"][0]["subscribed"] is True
    assert [(one["act"], one["scope"]) for one in contact["consent"]] == [
        ("joined", "newsletter"),
        ("left", "newsletter"),
    ]
    assert contact["suppressions"] == []


def test_a_contact_shows_the_audiences_that_hold_it(call: Caller, db: Db) -> None:
    rows = [{"address": "Bo@example.org"}, {"address": "di@example.org"}]
    for name, recipients in (("Both", rows), ("Other", rows[1:])):
        body, key = {"name": name, "recipients": recipients}, {"Idempotency-Key": name}
        assert call("POST", "/v1/audiences", json=body, headers=key).status_code == 201

    assert [one["name"] for one in call("GET", "/v1/contacts/bo@example.org").json["audiences"]] == ["Both"]
    assert call("GET", "/v1/contacts/nobody@example.org").json["audiences"] == []


@pytest.mark.parametrize("create_app", [the_api.create_app, webhooks_in.create_app])
def test_every_application_that_takes_webhooks_answers_links(system: System, create_app: Callable[..., Flask]) -> None:
    a_topic(system.db)
    services = build_api_services(system.settings, app="tests")
    client = create_app(services).test_client()
    path = services.links.url(BO).removeprefix(system.environment["MAILROOM_PUBLIC_URL"])

    assert client.get(path).status_code == 200
    assert system.db.suppressions.count_documents({}) == 0
    assert client.post(path, data="List-Unsubscribe=One-Click").status_code == 200
    stored = system.db.suppressions.find_one({"_id": "bo@example.org"})
    assert stored
    assert [entry["scope"] for entry in stored["scopes"]] == ["newsletter"]


def test_a_click_while_mongodb_is_away_is_not_called_done(system: System) -> None:
    away = system.environment | {"MAILROOM_MONGO_URL": "mongodb://127.0.0.1:9/none?serverSelectionTimeoutMS=100"}
    services = build_api_services(read_settings(away, dotenv=None), app="tests")
    client = webhooks_in.create_app(services).test_client()
    path = services.links.url(BO).removeprefix(away["MAILROOM_PUBLIC_URL"])

    with pymongo.timeout(1):  # else each use waits for 15 s
        answers = [client.post(path, data="List-Unsubscribe=One-Click"), client.get(path)]
    for answer in answers:
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
        assert "nothing was changed" in answer.text


def test_a_link_made_with_a_retired_key_still_works(system: System) -> None:
    a_topic(system.db)
    settings = read_settings(
        system.environment | {"MAILROOM_RETIRED_KEYS": "a-key-of-last-year-0123456789"}, dotenv=None
    )
    old = UnsubscribeLinks("", ["a-key-of-last-year-0123456789"]).url(BO)
    client = webhooks_in.create_app(build_api_services(settings, app="tests")).test_client()

    assert client.post(old, data="List-Unsubscribe=One-Click").status_code == 200
    assert system.db.consents.count_documents({"scope": "newsletter"}) == 1


def test_an_earlier_api_that_may_run_holds_topics_back_too(call: Caller, db: Db) -> None:
    a_topic(db)
    old = {"_id": "old-api", "kind": "api", "protocol": 1, "lanes": [], "checked_in_at": server_now(db)}
    db.workers.insert_one(old)

    refused = call("POST", "/v1/schedules", json=a_schedule_body(topic="newsletter", **LINKED))

    assert refused.json["code"] == "senders_too_old"
    assert "old-api" in refused.json["detail"]
    db.workers.delete_one({"_id": "old-api"})
    assert call("POST", "/v1/schedules", json=a_schedule_body(topic="newsletter", **LINKED)).status_code == 201


@pytest.mark.parametrize("changes", [{"topic": "newsletter"}, {"topic": "newsletter", "subject": "Hello {{ name }}"}])
def test_a_schedule_that_is_saved_again_gets_its_topics_new_footer(
    call: Caller, db: Db, changes: dict[str, str]
) -> None:
    a_topic(db, **FOOTER)
    made = call("POST", "/v1/schedules", json=a_schedule_body(topic="newsletter"))
    call("PATCH", "/v1/topics/newsletter", json={"postal_address": "Shop Ltd, Via Nuova 2, Rome"})

    saved = call("PATCH", f"/v1/schedules/{made.json['id']}", json=changes)
    again = call("PATCH", f"/v1/schedules/{made.json['id']}", json=changes)

    assert (saved.json["revision"], again.json["revision"], again.json["version"]) == (2, 2, saved.json["version"])
    newest = db.contents.find_one({"_id.revision": 2})
    assert newest
    assert newest["footer"] == "Shop Ltd, Via Nuova 2, Rome"


def test_a_link_changes_things_only_so_often_a_minute(system: System) -> None:
    a_topic(system.db)
    services = build_api_services(system.settings, app="tests")
    client = the_api.create_app(services).test_client()
    path = services.links.url(BO).removeprefix(system.environment["MAILROOM_PUBLIC_URL"])

    answers = [client.post(path, data={["leave", "join"][n % 2]: "newsletter"}) for n in range(22)]

    assert [answer.status_code for answer in answers] == [200] * 20 + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert client.get(path).status_code == 200
    assert system.db.consents.count_documents({}) == 20


def test_what_was_done_is_said_though_mongodb_goes_away_before_the_page_is_shown(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_topic(system.db)
    services = build_api_services(system.settings, app="tests")
    client = the_api.create_app(services).test_client()
    path = services.links.url(BO).removeprefix(system.environment["MAILROOM_PUBLIC_URL"])

    def away(*_: object, **__: object) -> None:
        raise Unavailable("MongoDB did not answer")

    monkeypatch.setattr(membership, "choices", away)
    answer = client.post(path, data="List-Unsubscribe=One-Click")

    assert answer.status_code == 200
    assert "You are unsubscribed." in answer.text
    assert "Unsubscribe from" not in answer.text
