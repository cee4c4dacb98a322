"""Stored templates in Markdown or MJML, within a layout and with a preheader; found by name; and who uses them."""

from typing import Any

import pytest

from mailroom.domain.searches import BoundedCount
from mailroom.services.mails import templates
from mailroom.storage import migrations
from mailroom.storage.database import Db
from mailroom.storage.mails import templates as stored_templates
from mailroom.storage.schedules import template_users
from tests.support.caller import Caller, problems
from tests.support.emails import an_email
from tests.support.explaining import work_of
from tests.support.system import a_schedule_body

BASE = {"kind": "layout", "html": "<html><body><h1>Shop</h1>{% block content %}{% endblock %}</body></html>"}
NEWS = {"subject": "News", "markdown": "Hello **{{ name }}**", "layout": "base", "preheader": "For {{ name }}"}


def put(call: Caller, name: str, body: dict[str, Any]) -> None:
    answer = call("PUT", f"/v1/templates/{name}", json=body)
    assert answer.status_code in (200, 201), answer.json


def schedule(call: Caller, **more: Any) -> Any:
    whole = {name: one for name, one in a_schedule_body().items() if name not in ("subject", "text", "html")}
    return call("POST", "/v1/schedules", json=whole | more)


@pytest.fixture
def news(call: Caller) -> Caller:
    put(call, "base", BASE)
    put(call, "news", NEWS)
    return call


def test_a_template_is_shown_as_it_was_written_and_given_back_makes_no_version(news: Caller) -> None:
    shown = news("GET", "/v1/templates/news").json
    written = {name: shown[name] for name in ("kind", "subject", "text", "html", *NEWS)}

    again = news("PUT", "/v1/templates/news", json=written)

    assert {name: shown[name] for name in NEWS} == NEWS
    assert (shown["html"], shown["mjml"], shown["variables"]) == ("", "", ["name"])
    assert (again.status_code, again.json["version"]) == (200, 1)


def test_a_campaign_and_a_mail_say_what_was_made_of_it(news: Caller, db: Db) -> None:
    made = schedule(news, template="news")
    envelope = {name: one for name, one in an_email().items() if name in ("from", "to")}
    mail = news("POST", "/v1/emails", json=envelope | {"template": "news", "variables": {"name": "Bo"}})

    assert (made.status_code, mail.status_code) == (201, 202)
    rendered = news("POST", f"/v1/schedules/{made.json['id']}/render", json={}).json
    body = db.bodies.find_one({"_id": mail.json["id"]})
    assert body
    for html in (rendered["html"], body["html"]):
        assert html.index("For Bo") < html.index("<h1>Shop</h1>") < html.index("<strong>Bo</strong>")
    assert rendered["text"] == "Shop\n\nHello Bo"


def test_who_gives_another_preheader_is_told_that_the_template_says_it(news: Caller) -> None:
    envelope = {name: one for name, one in an_email().items() if name in ("from", "to")}
    mail = envelope | {"template": "news", "variables": {"name": "Bo"}, "preheader": "Mine"}

    answers = [schedule(news, template="news", preheader="Mine"), news("POST", "/v1/emails", json=mail)]
    put(news, "news", {name: one for name, one in NEWS.items() if name != "preheader"})
    later = [schedule(news, template="news", preheader="Mine"), news("POST", "/v1/emails", json=mail)]

    assert [problems(answer) for answer in answers] == [{"preheader": "the template says this"}] * 2
    assert [answer.status_code for answer in later] == [201, 202]


@pytest.mark.parametrize("wrong", [{"markdown": 5}, {"mjml": ["x"]}, {"layout": 7}, {"preheader": {}}])
def test_what_is_no_text_is_told_with_the_other_faults_and_no_others(call: Caller, wrong: dict[str, Any]) -> None:
    body = {"subject": "{{ a", "html": "<p></p>"} if set(wrong) & {"layout", "preheader"} else {"subject": "{{ a"}

    refused = call("PUT", "/v1/templates/news", json=body | wrong)

    assert problems(refused).keys() == {"subject", *wrong}


def test_templates_are_found_by_the_beginning_of_a_word(call: Caller) -> None:
    for name in ("weekly-digest", "welcome", "digest_of_may"):
        put(call, name, {"subject": "Hi", "text": "x"})

    def found(**query: str) -> list[str]:
        return [one["name"] for one in call("GET", "/v1/templates", query_string=query).json["items"]]

    first = call("GET", "/v1/templates", query_string={"name": "dig", "limit": "1"}).json
    assert found(name="Dig") == ["digest_of_may", "weekly-digest"]
    assert found(name="dig", cursor=first["next_cursor"]) == ["weekly-digest"]
    assert found(name="we") == ["weekly-digest", "welcome"]
    assert found(name="gest") == []
    assert problems(call("GET", "/v1/templates?name=--")) == {"name": "holds no letter and no digit"}


def test_a_template_of_an_earlier_version_is_found_once_it_is_migrated(call: Caller, db: Db) -> None:
    put(call, "digest", {"subject": "Hi", "text": "x"})
    db.templates.update_many({}, {"$unset": {"name_starts": ""}})

    before = templates.search(db, "dig", after="", limit=5)
    filled = migrations.migrate(db, within_s=30)

    assert (before, filled) == ([], {"template_names_filled_in": 1})
    assert [one.name for one in templates.search(db, "dig", after="", limit=5)] == ["digest"]


def test_schedules_count_as_users_while_their_newest_content_names_the_template(news: Caller, db: Db) -> None:
    put(news, "other", {"subject": "Hi", "text": "x"})
    uses, left, gone = (schedule(news, template="news", name=name).json["id"] for name in "abc")
    schedule(news, template="other", name="d")
    news("PATCH", f"/v1/schedules/{uses}", json={"name": "Renamed"}, headers={"If-Match": '"v1"'})
    news("PATCH", f"/v1/schedules/{left}", json={"template": "other"}, headers={"If-Match": '"v1"'})
    news("DELETE", f"/v1/schedules/{gone}")

    counted = templates.users(db, ["news", "other", "none"])

    exact = {"news": 1, "other": 2, "none": 0}
    assert counted == {name: BoundedCount(rows, True) for name, rows in exact.items()}
    assert not template_users.count_users(db, ["news"], most=1)["news"].is_exact


def test_the_lists_of_templates_are_read_off_indexes(news: Caller, db: Db) -> None:
    for name in range(20):
        put(news, f"other-{name}", {"subject": "Hi", "text": "x"})
        schedule(news, template=f"other-{name}", name=str(name))
    schedule(news, template="news")

    named = work_of(db, lambda db: stored_templates.page_named(db, "new", after="", limit=5))
    layouts = work_of(db, lambda db: templates.names(db, kind=templates.get(db, "base").kind, limit=5))
    users = work_of(db, lambda db: template_users.count_users(db, ["news"]))

    assert not any(work.walks_a_collection for work in (named, layouts, users))
    assert named.keys + named.documents <= 6
    assert layouts.documents <= 2
    assert users.keys <= 4
    assert users.documents <= 1  # the schedule, and no content
