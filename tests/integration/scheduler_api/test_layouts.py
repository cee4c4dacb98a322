"""Layouts and partials over the API: put together and pinned when a template is saved."""

from typing import Any

import pytest

from mailroom.storage.database import Db
from tests.support.caller import Caller, problems
from tests.support.emails import an_email
from tests.support.system import a_schedule_body

BASE = {
    "kind": "layout",
    "text": "Shop\n{% block content %}{% endblock %}\n-- \nShop Ltd",
    "html": "<style>p{color:red}</style><h1>Shop</h1>{% block content %}{% endblock %}",
}
SIGNATURE = {"kind": "partial", "text": "Yours, {{ agent }}", "html": "<p>Yours, {{ agent }}</p>"}
BODY = '{% extends "base" %}{% block content %}Hello {{ name }}. {% include "signature" %}{% endblock %}'
WELCOME = {"subject": "Welcome", "text": BODY, "html": BODY}


@pytest.fixture
def stored(call: Caller) -> Caller:
    for name, template in (("base", BASE), ("signature", SIGNATURE), ("welcome", WELCOME)):
        answer = call("PUT", f"/v1/templates/{name}", json=template)
        assert answer.status_code == 201, answer.json
    return call


def a_mail(**changes: Any) -> dict[str, Any]:
    envelope = {name: value for name, value in an_email().items() if name in ("from", "to")}
    return envelope | {"template": "welcome", "variables": {"name": "Bo", "agent": "Ann"}} | changes


def test_a_template_is_shown_as_it_was_written_with_what_is_in_it(stored: Caller) -> None:
    shown = stored("GET", "/v1/templates/welcome").json
    listed = {one["name"]: one["kind"] for one in stored("GET", "/v1/templates").json["items"]}

    assert {name: shown[name] for name in WELCOME} == WELCOME
    assert shown["uses"] == [{"name": "base", "version": 1}, {"name": "signature", "version": 1}]
    assert shown["variables"] == ["agent", "name"]
    assert listed == {"base": "layout", "signature": "partial", "welcome": "template"}


def test_a_mail_says_what_the_template_is_with_its_layout_and_partials(stored: Caller, db: Db) -> None:
    taken = stored("POST", "/v1/emails", json=a_mail())

    assert taken.status_code == 202, taken.json
    body = db.bodies.find_one({"_id": taken.json["id"]})
    assert body
    assert body["text"] == "Shop\nHello Bo. Yours, Ann\n-- \nShop Ltd"
    assert body["html"] == "<style>p{color:red}</style><h1>Shop</h1>Hello Bo. <p>Yours, Ann</p>"


def test_a_layout_that_changes_changes_only_what_is_saved_after_it(stored: Caller, db: Db) -> None:
    stored("PUT", "/v1/templates/base", json=BASE | {"text": "New\n{% block content %}{% endblock %}"})

    before = stored("POST", "/v1/emails", json=a_mail()).json["id"]
    again = stored("PUT", "/v1/templates/welcome", json=WELCOME)
    after = stored("POST", "/v1/emails", json=a_mail()).json["id"]

    texts = [doc["text"] for id_ in (before, after) if (doc := db.bodies.find_one({"_id": id_}))]
    assert [text.splitlines()[0] for text in texts] == ["Shop", "New"]
    assert (again.status_code, again.json["version"]) == (200, 2)
    assert again.json["uses"] == [{"name": "base", "version": 2}, {"name": "signature", "version": 1}]
    old = stored("GET", "/v1/templates/welcome/versions/1").json
    assert old["uses"] == [{"name": "base", "version": 1}, {"name": "signature", "version": 1}]


def test_a_campaign_of_a_layout_has_its_css_in_the_elements_and_sends_what_it_was_saved_with(stored: Caller) -> None:
    whole = {name: one for name, one in a_schedule_body().items() if name not in ("subject", "text", "html")}
    readers = [{"address": "bo@example.org", "name": "Bo", "variables": {"agent": "Ann"}}]

    made = stored("POST", "/v1/schedules", json=whole | {"template": "welcome", "recipients": readers})
    stored("PUT", "/v1/templates/base", json=BASE | {"html": "{% block content %}{% endblock %}"})
    stored("PUT", "/v1/templates/welcome", json=WELCOME)

    assert made.status_code == 201, made.json
    rendered = stored("POST", f"/v1/schedules/{made.json['id']}/render", json={}).json
    assert "<h1>Shop</h1>Hello Bo." in rendered["html"]
    assert 'style="color' in rendered["html"]


@pytest.mark.parametrize("name", ["base", "signature"])
def test_layouts_and_partials_are_no_mails(stored: Caller, name: str) -> None:
    whole = {field: one for field, one in a_schedule_body().items() if field not in ("subject", "text", "html")}

    mail = stored("POST", "/v1/emails", json=a_mail(template=name))
    schedule = stored("POST", "/v1/schedules", json=whole | {"template": name})

    assert set(problems(mail)) == {"template"}
    assert set(problems(schedule)) == {"template"}


def test_what_is_not_stored_in_a_template_includes_nothing(stored: Caller) -> None:
    text = 'Hi {% include "signature" %}'

    mail = stored("POST", "/v1/emails", json=an_email() | {"text": text, "variables": {}})
    schedule = stored("POST", "/v1/schedules", json=a_schedule_body(text=text))

    assert "include" in problems(mail)["text"]
    assert "include" in problems(schedule)["text"]


def test_a_wrong_body_is_answered_with_every_fault_those_of_layouts_too(stored: Caller) -> None:
    wrong = {"subject": 5, "text": '{% extends "none" %}', "html": "{% block a %}{% endblock %}", "nope": 1}

    refused = stored("PUT", "/v1/templates/Wrong", json=wrong)

    assert set(problems(refused)) == {"name", "subject", "text", "html", "nope"}
