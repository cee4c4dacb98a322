"""Values that a stored template declares as HTML: sanitized in mails and campaigns, and nowhere else unescaped."""

from typing import Any

import pytest

from mailroom.domain.ids import RunId
from mailroom.storage.database import Db
from tests.support.caller import Caller, problems
from tests.support.emails import an_email
from tests.support.planned import expand_all, hold
from tests.support.system import a_schedule_body
from tests.support.workers import checked_in

ARTICLE = {"subject": "News", "html": "<h1>{{ title }}</h1>{{ body|safe }}", "html_fields": ["body"]}
BODY = "<p>Tea & <b>pots</b></p><script>x</script>"
CLEAN = "<p>Tea &amp; <b>pots</b></p>"


def put(call: Caller, **changes: Any) -> None:
    answer = call("PUT", "/v1/templates/article", json=ARTICLE | changes)
    assert answer.status_code in (200, 201), answer.json


def a_mail(**variables: Any) -> dict[str, Any]:
    envelope = {name: value for name, value in an_email().items() if name in ("from", "to")}
    return envelope | {"template": "article", "variables": {"title": "<i>", "body": BODY} | variables}


def a_campaign(**changes: Any) -> dict[str, Any]:
    whole = {name: one for name, one in a_schedule_body().items() if name not in ("subject", "text", "html")}
    readers = [{"address": "bo@example.org", "name": "Bo", "variables": {"title": "<i>", "body": BODY}}]
    return whole | {"template": "article", "recipients": readers} | changes


def test_a_mail_has_the_value_sanitized_and_all_others_escaped_and_its_words_in_the_text(call: Caller, db: Db) -> None:
    put(call)

    taken = call("POST", "/v1/emails", json=a_mail())

    assert taken.status_code == 202, taken.json
    body = db.bodies.find_one({"_id": taken.json["id"]})
    assert body
    assert body["html"] == f"<h1>&lt;i&gt;</h1>{CLEAN}"
    assert "Tea & pots" in body["text"]
    assert "<" not in body["text"].replace("<i>", "")
    shown = call("GET", "/v1/templates/article").json
    assert (shown["html_fields"], shown["variables"]) == (["body"], ["body", "title"])


def test_each_recipient_of_a_campaign_has_their_own_value_sanitized(call: Caller, db: Db) -> None:
    put(call)
    schedule = call("POST", "/v1/schedules", json=a_campaign())
    assert schedule.status_code == 201, schedule.json

    rendered = call("POST", f"/v1/schedules/{schedule.json['id']}/render", json={}).json
    run = call("POST", f"/v1/schedules/{schedule.json['id']}/run-now", headers={"Idempotency-Key": "k"}).json
    expand_all(db, hold(db, schedule.json["id"]))

    assert rendered["html"] == f"<h1>&lt;i&gt;</h1>{CLEAN}"
    message = db.messages.find_one({"run_id": RunId(run["id"])})
    assert message
    assert CLEAN in message["parts"].values()


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"html_fields": []}, "html"),
        ({"html_fields": ["other"]}, "html"),
        ({"html_fields": ["not a name"]}, "html_fields[0]"),
        ({"html_fields": ["_x", 5]}, "html_fields[1]"),
        ({"html": "<a href='{{ body|safe }}'>"}, "html"),
        ({"subject": "{{ body|safe }}"}, "subject"),
    ],
)
def test_what_is_not_declared_or_stands_elsewhere_is_refused(call: Caller, changes: dict[str, Any], path: str) -> None:
    refused = call("PUT", "/v1/templates/article", json=ARTICLE | changes)

    assert path in problems(refused)


def test_only_stored_templates_have_html(call: Caller) -> None:
    mail = call("POST", "/v1/emails", json=an_email() | {"html": "{{ body|safe }}", "variables": {"body": BODY}})
    schedule = call("POST", "/v1/schedules", json=a_schedule_body(html="<p>{{ name|safe }}</p>"))

    assert "declares as HTML" in problems(mail)["html"]
    assert "declares as HTML" in problems(schedule)["html"]


def test_a_partial_declares_its_own(call: Caller) -> None:
    call("PUT", "/v1/templates/part", json={"kind": "partial", "html": "{{ note|safe }}", "html_fields": ["note"]})

    put(call, html='{% include "part" %}{{ body|safe }}')

    assert call("GET", "/v1/templates/article").json["html_fields"] == ["body", "note"]
    mail = call("POST", "/v1/emails", json=a_mail(note="<b>x</b>"))
    assert mail.status_code == 202, mail.json


def test_html_of_a_feed_may_be_declared_as_a_whole(call: Caller) -> None:
    put(call, html="{% for item in feed.items %}{{ item.content_html|safe }}{% endfor %}", html_fields=["feed"])

    made = call("POST", "/v1/schedules", json=a_campaign(feed={"url": "https://feeds.example.org/news.json"}))

    assert made.status_code == 201, made.json


def test_while_a_sender_may_run_that_has_no_such_filter_a_campaign_is_refused(call: Caller, db: Db) -> None:
    put(call)
    checked_in(db, protocol=4)

    refused = call("POST", "/v1/schedules", json=a_campaign())

    assert refused.json["code"] == "senders_too_old"
    assert call("POST", "/v1/emails", json=a_mail()).status_code == 202
