"""Bodies that are made when a schedule is saved or a mail is handed in, and what is kept of what was written."""

from typing import Any

import pytest

from mailroom.domain.ids import ScheduleId
from mailroom.storage.database import Db
from mailroom.storage.schedules import contents
from tests.support.caller import Caller, problems
from tests.support.emails import an_email
from tests.support.newsletters import STYLED
from tests.support.system import a_schedule_body
from tests.support.topics import a_topic

HTML = '<style>p{color:red}</style><p>Hello {{ name }}, <a href="https://x.org/{{ city }}">go</a></p>'
TEXT = "Hello {{ name }}, go (https://x.org/{{ city }})"
INLINED = HTML.replace("<p>", '<p style="color: red">')


def body(**changes: Any) -> dict[str, Any]:
    """A schedule without bodies but those given here."""
    fields = a_schedule_body(**changes)
    return {name: value for name, value in fields.items() if name not in ("text", "html") or name in changes}


def made(call: Caller, **changes: Any) -> Any:
    answer = call("POST", "/v1/schedules", json=body(**changes))
    assert answer.status_code == 201, answer.json
    return answer.json


def stored(db: Db, id_: str, revision: int = 1) -> Any:
    return contents.get(db, ScheduleId(id_), revision)


def test_text_and_styles_are_made_and_what_was_written_is_shown(call: Caller, db: Db) -> None:
    schedule = made(call, html=HTML)

    assert schedule["html"] == HTML
    assert (schedule["text"], schedule["text_made"]) == (TEXT, True)
    assert schedule["inline_css"] is True
    assert stored(db, schedule["id"]).text == TEXT
    assert (
        stored(db, schedule["id"]).html.replace("color:red", "color: red").replace("{color: red}", "{color:red}")
        == INLINED
    )


def test_an_empty_text_means_none_and_null_means_made(call: Caller, db: Db) -> None:
    none = made(call, html=HTML, text="")
    null = made(call, html=HTML, text=None)
    own = made(call, html=HTML, text="Mine")

    assert [(one["text"], one["text_made"]) for one in (none, null, own)] == [
        ("", False),
        (TEXT, True),
        ("Mine", False),
    ]


def test_what_get_answers_is_a_valid_edit_that_changes_nothing(call: Caller, db: Db) -> None:
    schedule = made(
        call,
        html=STYLED.replace("{{ points }}", "7")
        .replace("{% if points %}", "{% if city %}")
        .replace("unsubscribe_url", "city"),
        preheader="For {{ name }}",
    )

    again = call("PATCH", f"/v1/schedules/{schedule['id']}", json=schedule)

    assert again.status_code == 200, again.json
    assert (again.json["revision"], again.json["version"]) == (1, 1)


def test_a_text_that_was_made_is_made_anew_with_the_html(call: Caller) -> None:
    schedule = made(call, html=HTML)

    edited = call("PATCH", f"/v1/schedules/{schedule['id']}", json={"html": "<p>Bye {{ name }}</p>"})
    whole = call("PATCH", f"/v1/schedules/{schedule['id']}", json=edited.json | {"html": "<p>Ciao</p>"})
    own = call("PATCH", f"/v1/schedules/{schedule['id']}", json={"text": "Mine"})
    back = call("PATCH", f"/v1/schedules/{schedule['id']}", json={"text": None})

    texts = [(one.json["text"], one.json["text_made"]) for one in (edited, whole, own, back)]
    assert texts == [("Bye {{ name }}", True), ("Ciao", True), ("Mine", False), ("Ciao", True)]


def test_a_schedule_that_was_stored_before_keeps_what_it_has(call: Caller, db: Db) -> None:
    schedule = made(call, html=HTML)
    db.contents.update_one({}, {"$set": {"text": "", "html": HTML}, "$unset": {"written": 1}})

    shown = call("GET", f"/v1/schedules/{schedule['id']}").json
    edited = call("PATCH", f"/v1/schedules/{schedule['id']}", json={"subject": "New"}).json

    assert (shown["text"], shown["text_made"], shown["inline_css"]) == ("", False, False)
    assert (edited["text"], edited["html"], edited["revision"]) == ("", HTML, 2)
    assert stored(db, schedule["id"], 2).html == HTML


def test_a_preheader_is_in_the_html_alone(call: Caller, db: Db) -> None:
    schedule = made(call, html="<body><p>Hi</p>", preheader="For {{ name }} & all")

    shown = call("POST", f"/v1/schedules/{schedule['id']}/render", json={}).json

    assert schedule["preheader"] == "For {{ name }} & all"
    assert shown["preheader"] == "For Bo & all"
    assert "For Bo &amp; all" in shown["html"].partition("<p>Hi")[0]
    assert shown["text"] == "Hi"


def test_markdown_makes_both_bodies(call: Caller) -> None:
    schedule = made(call, markdown="# Hello {{ name }}\n\n[Go](https://x.org)")

    shown = call("POST", f"/v1/schedules/{schedule['id']}/render", json={}).json

    assert (schedule["html"], schedule["text_made"]) == ("", True)
    assert shown["text"] == "Hello Bo\n\nGo (https://x.org)"
    assert "Hello Bo</h1>" in shown["html"]


def test_all_faults_come_at_once_each_at_what_was_written(call: Caller) -> None:
    wrong = body(html="<p>{{ town }}", markdown="{{ village }}", preheader="{{ place }}", subject="")
    neither = body(preheader="x", text="Hi")
    lost = body(markdown="[a]: {{ name }}")
    unshaped = body(html="<p>{{ town }}", markdown=7, preheader="x" * 501, text=["x"])

    answers = [call("POST", "/v1/schedules", json=one) for one in (wrong, neither, lost, unshaped)]

    assert set(problems(answers[0])) == {"html", "markdown", "preheader", "subject"}
    assert problems(answers[1]) == {"preheader": "stands in the HTML: write html, markdown or mjml too"}
    assert "{{ name }} has no place" in problems(answers[2])["markdown"]
    assert set(problems(answers[3])) >= {"html", "markdown", "preheader", "text"}


def test_a_made_text_has_the_link_that_a_topic_needs(call: Caller, db: Db) -> None:
    a_topic(db)
    link = '<p>Hi</p><a href="{{ unsubscribe_url }}">Leave</a>'

    good = call("POST", "/v1/schedules", json=body(html=link, topic="newsletter"))
    hidden = body(html="<p>Hi</p>", preheader="{{ unsubscribe_url }}", topic="newsletter")
    refused = call("POST", "/v1/schedules", json=hidden)

    assert good.status_code == 201, good.json
    assert good.json["text"] == "Hi\n\nLeave ({{ unsubscribe_url }})"
    assert set(problems(refused)) == {"html", "text"}


def test_css_that_cannot_go_into_the_elements_is_told_as_a_hint(call: Caller) -> None:
    torn = "<style>.x{color:red}</style>{% if city == 'Rome' %}<div class=x>{% else %}<div>{% endif %}Hi</div>"
    schedule = made(call, html=torn)

    hints = call("POST", f"/v1/schedules/{schedule['id']}/render", json={}).json["hints"]

    assert [hint["code"] for hint in hints] == ["no_unsubscribe", "css_not_inlined"]


def test_a_copy_and_a_repeated_request_have_the_same_bodies(call: Caller, db: Db) -> None:
    keyed = {"Idempotency-Key": "once"}
    asked = body(html=HTML, preheader="For {{ name }}")
    first = call("POST", "/v1/schedules", json=asked, headers=keyed)
    again = call("POST", "/v1/schedules", json=asked, headers=keyed)
    copy = call("POST", f"/v1/schedules/{first.json['id']}/duplicate", headers={"Idempotency-Key": "copy"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert stored(db, copy.json["id"]) == stored(db, first.json["id"])


def mail(call: Caller, **changes: Any) -> Any:
    fields = {"from": "Ann <ann@mg.example.com>", "to": ["bo@example.org"], "subject": "Hi"}
    answer = call("POST", "/v1/emails", json=fields | changes)
    if answer.status_code != 202:
        return answer
    return call("GET", f"/v1/emails/{answer.json['id']}?include=body").json


def test_a_single_mail_has_a_text_made_from_its_html_unless_it_says_none(call: Caller) -> None:
    plain = mail(call, html="<p>Price: {{ 5 }} &amp; more</p>")
    filled = mail(call, html="<p>Hello {{ name }}</p>", variables={"name": "Bo & <Co>"})
    none = mail(call, html="<p>Hi</p>", text="")

    assert plain["text"] == "Price: {{ 5 }} & more"
    assert (filled["text"], filled["html"]) == ("Hello Bo & <Co>", "<p>Hello Bo &amp; &lt;Co&gt;</p>")
    assert none["text"] == ""


def test_a_single_mail_of_markdown_with_a_preheader_and_css_on_request(call: Caller) -> None:
    written = mail(call, markdown="Hello **{{ name }}**", preheader="For {{ name }}", variables={"name": "Bo"})
    styled = mail(call, html="<style>p{color:red}</style><p>Hi", inline_css=True)
    unstyled = mail(call, html="<style>p{color:red}</style><p>Hi")

    assert written["text"] == "Hello Bo"
    assert "<strong>Bo</strong>" in written["html"]
    assert "For Bo" in written["html"]
    assert "<p style=" in styled["html"]
    assert unstyled["html"].endswith("<p>Hi")


def test_a_single_mail_of_a_stored_template_has_a_text_too(call: Caller) -> None:
    call("PUT", "/v1/templates/welcome", json={"subject": "Hi {{ name }}", "html": "<p>Hello {{ name }}</p>"})

    shown = mail_of_template(call, preheader="For {{ name }}")
    none = mail_of_template(call, text="")

    assert (shown["text"], none["text"]) == ("Hello Bo", "")
    assert "For Bo" in shown["html"]


def mail_of_template(call: Caller, **changes: Any) -> Any:
    fields = {
        "from": "ann@mg.example.com",
        "to": ["bo@example.org"],
        "template": "welcome",
        "variables": {"name": "Bo"},
    }
    answer = call("POST", "/v1/emails", json=fields | changes)
    assert answer.status_code == 202, answer.json
    return call("GET", f"/v1/emails/{answer.json['id']}?include=body").json


@pytest.mark.parametrize("variables", [{}, {"variables": {"name": "Bo"}}])
def test_every_fault_of_a_single_mail_comes_at_once(call: Caller, variables: dict[str, Any]) -> None:
    wrong = mail(call, html="<p>", markdown="x", preheader="x" * 501, subject="", **variables)
    faulty = mail(call, html="<p>{{ town }}{% if %}", preheader="{{ name", subject="{{ x", variables={"name": "Bo"})

    assert set(problems(wrong)) >= {"markdown", "preheader"}
    assert set(problems(faulty)) == {"html", "preheader", "subject"}


MJML = """<mjml><mj-body><mj-section><mj-column><mj-text>Hello {{ name }}</mj-text></mj-column></mj-section></mj-body>
</mjml>"""


def test_mjml_is_made_html_and_shown_as_it_was_written(call: Caller) -> None:
    made = call("POST", "/v1/schedules", json=a_schedule_body(mjml=MJML, html="", text=None))
    assert made.status_code == 201, made.json

    rendered = call("POST", f"/v1/schedules/{made.json['id']}/render", json={}).json
    edited = call("PATCH", f"/v1/schedules/{made.json['id']}", json=made.json | {"name": "Other"})
    mail = call("POST", "/v1/emails", json=an_email() | {"mjml": MJML, "text": None, "variables": {"name": "Bo"}})

    assert (made.json["mjml"], made.json["html"]) == (MJML, "")
    assert rendered["text"] == "Hello Bo"
    assert "mj-column-per-100" in rendered["html"]
    assert (edited.status_code, edited.json["revision"]) == (200, 1)
    assert mail.status_code == 202, mail.json


def test_mjml_that_cannot_be_read_is_refused_by_its_field(call: Caller) -> None:
    broken = call("POST", "/v1/schedules", json=a_schedule_body(mjml="<mjml>", html="", text=None))
    both = call("POST", "/v1/schedules", json=a_schedule_body(mjml=MJML))
    mail = call("POST", "/v1/emails", json=an_email() | {"mjml": "<mjml>{{ x }}", "variables": {"x": 1}})

    assert set(problems(broken)) == {"mjml"}
    assert set(problems(both)) == {"mjml"}
    assert set(problems(mail)) == {"mjml"}
