"""The form to subscribe and the page behind the link, over HTTP: open to anybody, and of no use against anybody."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pymongo
import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.settings import read_settings
from mailroom.assembly.api import ApiServices, build_api_services
from mailroom.domain.ids import RunId
from mailroom.domain.subscription_forms import TRAP
from mailroom.domain.suppressions import Entry
from mailroom.domain.unsubscribe_links import Membership
from mailroom.services.consent import membership
from mailroom.storage import suppressions
from mailroom.storage.database import Db, server_now
from scheduler_api import app as the_api
from scheduler_api import webhooks_in
from tests.support.caller import Caller, problems
from tests.support.subscribing import ADDRESS, CONFIRMED, a_confirmed_topic, journal, path_of, requests_stored
from tests.support.system import System
from tests.support.topics import a_topic

ASKED = {"topic": "newsletter", "address": ADDRESS}
MULTIPART = {"content_type": "multipart/form-data"}


@pytest.fixture
def services(system: System) -> ApiServices:
    return build_api_services(system.settings, app="tests")


@pytest.fixture
def visitor(services: ApiServices) -> FlaskClient:
    return the_api.create_app(services).test_client()


def with_settings(system: System, **changes: str) -> FlaskClient:
    settings = read_settings(system.environment | changes, dotenv=None)
    return the_api.create_app(build_api_services(settings, app="tests")).test_client()


@pytest.mark.parametrize("create_app", [the_api.create_app, webhooks_in.create_app])
def test_from_the_form_to_the_journal_on_every_application_that_takes_it(
    system: System, services: ApiServices, create_app: Callable[..., Flask]
) -> None:
    a_confirmed_topic(system.db)
    client = create_app(services).test_client()

    answers = [client.post("/v1/subscribe", data=ASKED | {"name": "Bo"}) for _ in range(3)]
    path = path_of(services.confirm_links, requests_stored(system.db)[0])
    shown = client.get(path)
    before = journal(system.db)
    confirmed = [client.post(path) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202] * 3
    assert "Check your inbox" in answers[0].text
    assert system.db.emails.count_documents({}) == 1
    assert (shown.status_code, before) == (200, [])
    assert f"Emails go to {ADDRESS}" in shown.text
    assert [answer.status_code for answer in confirmed] == [200, 200]
    assert f"{ADDRESS} is subscribed to Newsletter." in confirmed[1].text
    assert journal(system.db) == [("joined", "newsletter", "confirmation")]


def test_it_is_shown_on_the_contact(system: System, services: ApiServices, call: Caller) -> None:
    a_confirmed_topic(system.db)
    call.client.post("/v1/subscribe", json=ASKED | {"name": "Bo"})
    asked = requests_stored(system.db)[0]
    call.client.post(path_of(services.confirm_links, asked))

    (entry,) = call("GET", f"/v1/contacts/{ADDRESS}").json["consent"]

    assert (entry["act"], entry["scope"], entry["by"]) == ("joined", "newsletter", "confirmation")
    assert (entry["run"], entry["asked_at"], entry["name"]) == (asked.mail, asked.asked_at.isoformat(), "Bo")
    assert call("GET", f"/v1/emails/{asked.mail}").json["tags"] == ["confirmation"]


def test_json_and_both_kinds_of_forms_are_taken(visitor: FlaskClient, db: Db) -> None:
    a_confirmed_topic(db)

    by_json = visitor.post("/v1/subscribe", json=ASKED | {"name": None})
    by_form = visitor.post("/v1/subscribe", data=ASKED | {"address": "di@example.org", "submit": "Subscribe"})
    by_parts = visitor.post("/v1/subscribe", data=ASKED | {"address": "ed@example.org"}, **MULTIPART)

    assert (by_json.status_code, by_json.json) == (202, {"status": "accepted"})
    assert (by_form.status_code, by_parts.status_code) == (202, 202)
    assert by_form.content_type.startswith("text/html")
    assert db.emails.count_documents({}) == 3


@pytest.mark.parametrize("topic", [{}, CONFIRMED])
def test_no_answer_tells_anything_about_an_address(visitor: FlaskClient, db: Db, topic: dict[str, Any]) -> None:
    a_topic(db, **topic)
    now = server_now(db)
    suppressions.add(db, [("left@example.org", Entry("newsletter", "unsubscribed", now))])
    suppressions.add(db, [("gone@example.org", Entry("all", "bounced", now))])
    suppressions.add(db, [("angry@example.org", Entry("campaigns", "complained", now))])
    addresses = ["new@example.org", "left@example.org", "gone@example.org", "angry@example.org", "new@example.org"]

    answers = [visitor.post("/v1/subscribe", data=ASKED | {"address": address}) for address in addresses]
    in_json = [visitor.post("/v1/subscribe", json=ASKED | {"address": address}) for address in addresses]

    assert {(answer.status_code, answer.text) for answer in answers} == {(202, answers[0].text)}
    assert {(answer.status_code, answer.text) for answer in in_json} == {(202, in_json[0].text)}
    headers = [{name: value for name, value in answer.headers if name != "X-Request-Id"} for answer in answers]
    assert all(one == headers[0] for one in headers)


def test_a_program_that_fills_in_the_hidden_field_learns_nothing_and_does_nothing(visitor: FlaskClient, db: Db) -> None:
    a_confirmed_topic(db)

    person = visitor.post("/v1/subscribe", data=ASKED | {"address": "di@example.org", TRAP: ""})
    program = visitor.post("/v1/subscribe", data=ASKED | {TRAP: "https://evil.example"})

    assert (program.status_code, program.text) == (person.status_code, person.text)
    assert db.emails.distinct("recipients") == ["di@example.org"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"json": {"topic": "nothing", "address": ADDRESS}}, 404),
        ({"json": {"topic": "newsletter"}}, 422),
        ({"json": ASKED | {"colour": "red"}}, 422),
        ({"json": ASKED | {"address": "bo@example.org\nBcc: x@example.org"}}, 422),
        ({"json": [ASKED]}, 400),
        ({"data": b"", "content_type": "application/json"}, 400),
        ({"data": b'{"topic": "a", "topic": "b"}', "content_type": "application/json"}, 400),
        ({"data": b"x", "content_type": "text/plain"}, 415),
        ({"data": b"x", "headers": {"Content-Encoding": "gzip"}}, 415),
        ({"data": ASKED | {"topic": "nothing"}}, 404),
        ({"data": {"topic": "newsletter"}}, 422),
        ({"data": "topic=newsletter&address=a@example.org&address=b@example.org"}, 422),
        ({"data": ASKED | {"name": "a\r\nBcc: x@example.org"}}, 422),
        ({"data": ASKED | {"name": "x" * 5_000}}, 413),
        ({"data": ASKED | {"x" * 5_000: "x"}, **MULTIPART}, 413),
        ({"json": ASKED | {"name": "x" * 5_000}}, 413),
        ({"data": b"--b\r\n" + b"a" * 4_000, "content_type": "multipart/form-data; boundary=b"}, 422),
    ],
)
def test_bad_bodies_are_refused_and_store_nothing(
    visitor: FlaskClient, db: Db, body: dict[str, Any], status: int
) -> None:
    a_confirmed_topic(db)
    if isinstance(body.get("data"), str):
        body = body | {"content_type": "application/x-www-form-urlencoded"}

    answer = visitor.post("/v1/subscribe", **body)

    assert answer.status_code == status
    assert (db.emails.count_documents({}), db.subscription_requests.count_documents({})) == (0, 0)


def test_a_refused_form_says_what_is_wrong_on_a_page(visitor: FlaskClient, db: Db) -> None:
    a_confirmed_topic(db)

    answer = visitor.post("/v1/subscribe", data=ASKED | {"address": "bo", "name": "<script>\n"})

    assert answer.status_code == 422
    assert "Email address: an address has something before its @-sign" in answer.text
    assert "<script>" not in answer.text


def test_any_page_may_post_and_no_cookie_goes_along(visitor: FlaskClient, db: Db) -> None:
    a_confirmed_topic(db)
    origin = {"Origin": "https://shop.example.com", "Access-Control-Request-Method": "POST"}

    asks = visitor.options("/v1/subscribe", headers=origin)
    taken = visitor.post("/v1/subscribe", json=ASKED, headers=origin)

    for answer in (asks, taken):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Set-Cookie" not in answer.headers
    assert asks.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert "Access-Control-Allow-Origin" not in visitor.get("/v1/topics").headers


def test_one_client_may_post_only_so_often_and_behind_a_trusted_proxy_each_is_counted_apart(system: System) -> None:
    a_confirmed_topic(system.db)
    client = with_settings(
        system, MAILROOM_SUBSCRIPTIONS_PER_MINUTE="3", MAILROOM_TRUSTED_PROXIES="127.0.0.1,10.0.0.0/8"
    )

    def post(number: int, *, of: str) -> Any:
        asked = ASKED | {"address": f"{of.replace(':', '-')}-{number}@example.org"}
        return client.post("/v1/subscribe", data=asked, headers={"X-Forwarded-For": f"{of}, 10.1.1.1"})

    answers = [post(number, of="192.0.2.1") for number in range(4)]
    others = [post(number, of="192.0.2.2") for number in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert "too often" in answers[-1].text
    assert [answer.status_code for answer in others] == [202] * 3
    assert system.db.emails.count_documents({}) == 6


def test_one_address_is_asked_for_only_so_often_whoever_asks(system: System) -> None:
    a_confirmed_topic(system.db)
    client = with_settings(system, MAILROOM_TRUSTED_PROXIES="127.0.0.1")

    answers = [
        client.post("/v1/subscribe", json=ASKED, headers={"X-Forwarded-For": f"192.0.2.{number}"})
        for number in range(6)
    ]

    assert [answer.status_code for answer in answers] == [202] * 5 + [429]
    assert answers[-1].json["code"] == "too_many_requests"


def test_all_together_may_post_only_so_often(system: System) -> None:
    a_confirmed_topic(system.db)
    limits = {"MAILROOM_ALL_SUBSCRIPTIONS_PER_MINUTE": "4", "MAILROOM_SUBSCRIPTIONS_PER_MINUTE": "none"}
    client = with_settings(system, **limits)

    answers = [client.post("/v1/subscribe", json=ASKED | {"address": f"a{n}@example.org"}) for n in range(5)]

    assert [answer.status_code for answer in answers] == [202] * 4 + [429]


def test_a_huge_body_costs_nothing(visitor: FlaskClient) -> None:
    began = time.process_time()

    answer = visitor.post("/v1/subscribe", data=b"a=" + b"%" * 30_000_000, content_type="text/html")
    form = visitor.post("/v1/subscribe", data=b"&" * 30_000_000, content_type="application/x-www-form-urlencoded")

    assert (answer.status_code, form.status_code) == (413, 413)
    assert time.process_time() - began < 1


def test_tokens_of_unsubscribe_links_confirm_nothing_and_the_other_way_round(
    visitor: FlaskClient, services: ApiServices, db: Db
) -> None:
    a_confirmed_topic(db)
    visitor.post("/v1/subscribe", data=ASKED)
    confirm = path_of(services.confirm_links, requests_stored(db)[0])
    leave = services.links.url(Membership(ADDRESS, "newsletter", RunId("em_1"))).rpartition("/")[2]

    answers = [visitor.post(f"/c/{leave}"), visitor.post(confirm.replace("/c/", "/u/")), visitor.get(f"/c/{leave}")]

    assert [answer.status_code for answer in answers] == [404] * 3
    assert journal(db) == []
    assert suppressions.get(db, ADDRESS) is None


@pytest.mark.parametrize("token", ["AQ", "x" * 4_000, "..%2f", "%00", "AbC_-" * 30])
def test_a_link_that_is_cut_off_changes_nothing_and_says_so(visitor: FlaskClient, db: Db, token: str) -> None:
    for answer in (visitor.get(f"/c/{token}"), visitor.post(f"/c/{token}")):
        assert answer.status_code == 404
        assert "This link does not work" in answer.text or token == "..%2f"
    assert journal(db) == []


def test_a_link_joins_its_own_topic_alone(visitor: FlaskClient, services: ApiServices, db: Db) -> None:
    a_confirmed_topic(db)
    a_confirmed_topic(db, "offers")
    visitor.post("/v1/subscribe", data=ASKED)
    path = path_of(services.confirm_links, requests_stored(db)[0])

    answer = visitor.post(path, data={"topic": "offers", "join": "offers", "leave": "newsletter"})

    assert answer.status_code == 200
    assert journal(db) == [("joined", "newsletter", "confirmation")]


def test_a_link_that_has_ended_says_so_and_changes_nothing(visitor: FlaskClient, services: ApiServices, db: Db) -> None:
    a_confirmed_topic(db)
    visitor.post("/v1/subscribe", data=ASKED)
    asked = requests_stored(db)[0]
    ended = type(asked)(ADDRESS, "newsletter", "", asked.asked_at - timedelta(days=4), asked.asked_at)
    path = path_of(services.confirm_links, ended)

    answers = [visitor.get(path), visitor.post(path)]

    assert [answer.status_code for answer in answers] == [410, 410]
    assert "fill in the form again" in answers[1].text
    assert journal(db) == []


def test_a_link_brings_nobody_back_who_has_left_since(visitor: FlaskClient, services: ApiServices, db: Db) -> None:
    a_confirmed_topic(db)
    visitor.post("/v1/subscribe", data=ASKED)
    path = path_of(services.confirm_links, requests_stored(db)[0])
    visitor.post(path)
    membership.leave(db, Membership(ADDRESS, "newsletter", RunId("em_1")), "newsletter", by="one_click")

    answer = visitor.post(path)

    assert answer.status_code == 410
    assert "You have unsubscribed since" in answer.text
    assert membership.choices(db, ADDRESS)[0].reason == "unsubscribed"


def test_a_link_of_a_topic_that_is_not_known_any_more_does_not_work(
    visitor: FlaskClient, services: ApiServices, db: Db
) -> None:
    a_confirmed_topic(db)
    visitor.post("/v1/subscribe", data=ASKED)
    path = path_of(services.confirm_links, requests_stored(db)[0])
    db.topics.delete_many({})

    assert [visitor.get(path).status_code, visitor.post(path).status_code] == [404, 404]


def test_pages_behind_links_are_kept_by_nobody(visitor: FlaskClient, services: ApiServices, db: Db) -> None:
    a_confirmed_topic(db)
    posted = visitor.post("/v1/subscribe", data=ASKED)
    shown = visitor.get(path_of(services.confirm_links, requests_stored(db)[0]))

    for answer in (posted, shown):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "<script" not in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_while_mongodb_is_away_nothing_is_called_done(system: System) -> None:
    client = with_settings(system, MAILROOM_MONGO_URL="mongodb://127.0.0.1:9/none?serverSelectionTimeoutMS=100")
    a_confirmed_topic(system.db)
    services = build_api_services(system.settings, app="tests")
    client_of_a_whole = the_api.create_app(services).test_client()
    client_of_a_whole.post("/v1/subscribe", data=ASKED)
    path = path_of(services.confirm_links, requests_stored(system.db)[0])

    with pymongo.timeout(1):  # else each use waits for 15 s
        answers = [client.post("/v1/subscribe", data=ASKED), client.post(path), client.get(path)]
        in_json = client.post("/v1/subscribe", json=ASKED)

    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in answers] == [(503, "30")] * 3
    assert (in_json.status_code, in_json.json["code"]) == (503, "unavailable")


def test_a_topic_says_how_it_asks_and_gives_its_form(call: Caller, system: System) -> None:
    body = {"id": "newsletter", "name": "Weekly news", **CONFIRMED, "confirm_within_s": 86_400}

    made = call("POST", "/v1/topics", json=body)
    again = call("POST", "/v1/topics", json=body)
    other = call("POST", "/v1/topics", json=body | {"confirm_within_s": 90_000})
    renamed = call("PATCH", "/v1/topics/newsletter", json={"name": "News"})
    same = call("PATCH", "/v1/topics/newsletter", json={"name": "News"})
    off = call("PATCH", "/v1/topics/newsletter", json={"double_opt_in": False})
    on = call("PATCH", "/v1/topics/newsletter", json={"double_opt_in": True})

    assert (made.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert (made.json["double_opt_in"], made.json["confirm_from"]) == (True, CONFIRMED["confirm_from"])
    assert (made.json["confirm_within_s"], "{{ confirm_url }}" in made.json["confirm_text"]) == (86_400, True)
    assert (renamed.json["version"], same.json["version"]) == (2, 2)
    assert (off.json["double_opt_in"], off.json["confirm_from"]) == (False, CONFIRMED["confirm_from"])
    assert (on.json["double_opt_in"], on.json["confirm_text"]) == (True, made.json["confirm_text"])
    html = call("GET", "/v1/topics/newsletter/form").json["html"]
    assert f'action="{system.environment["MAILROOM_PUBLIC_URL"]}/v1/subscribe"' in html
    assert call("GET", "/v1/topics/nothing/form").status_code == 404


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"double_opt_in": True}, {"confirm_from"}),
        ({"double_opt_in": "yes"}, {"double_opt_in"}),
        ({"confirm_within_s": 1}, {"confirm_within_s"}),
        ({"confirm_within_s": 86_400.5}, {"confirm_within_s"}),
        ({**CONFIRMED, "confirm_text": "no link", "confirm_html": "<p>none</p>"}, {"confirm_text", "confirm_html"}),
        ({**CONFIRMED, "name": "", "confirm_subject": "x" * 10_001}, {"name", "confirm_subject"}),
    ],
)
def test_a_topic_that_could_not_ask_is_refused_with_every_fault(
    call: Caller, db: Db, changes: dict[str, Any], paths: set[str]
) -> None:
    answer = call("POST", "/v1/topics", json={"id": "newsletter", "name": "News"} | changes)

    assert answer.status_code == 422
    assert set(problems(answer)) == paths
    assert db.topics.count_documents({}) == 0


def test_a_topic_from_before_asks_for_no_confirmation(call: Caller, db: Db) -> None:
    now = server_now(db)
    old = {"name": "News", "postal_address": "", "footer": False, "version": 1, "created_at": now, "updated_at": now}
    db.topics.insert_one({"_id": "newsletter", **old})

    shown = call("GET", "/v1/topics/newsletter").json

    assert (shown["double_opt_in"], shown["confirm_text"]) == (False, "")
    assert call("PATCH", "/v1/topics/newsletter", json=CONFIRMED).json["double_opt_in"] is True
