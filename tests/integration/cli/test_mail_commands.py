"""Single mails and their templates at the terminal."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.caller import Caller
from tests.support.emails import an_email
from tests.support.system import System
from tests.support.terminal import Terminal, faults

LATER = (datetime.now(UTC) + timedelta(days=1)).isoformat()


def test_a_mail_of_a_file_is_handed_in_once_and_shown_as_the_api_shows_it(
    mailroom: Terminal, call: Caller, tmp_path: Path
) -> None:
    file = tmp_path / "mail.json"
    file.write_text(json.dumps(an_email(send_at=LATER, tags=["reset"])))

    made = mailroom("emails", "create", str(file), "--key", "k").id
    again = mailroom("emails", "create", "-", "--key", "k", "--json", stdin=file.read_bytes()).json

    assert again == {"id": made, "status": "queued"}
    assert mailroom("emails", "show", made, "--json").json == call("GET", f"/v1/emails/{made}").json
    assert mailroom("emails", "events", made, "--json").json == call("GET", f"/v1/emails/{made}/events").json
    for query, words in (("", ()), ("?tag=reset", ("--tag", "reset")), ("?status=queued", ("--status", "queued"))):
        assert mailroom("emails", "list", "--json", *words).json == call("GET", f"/v1/emails{query}").json
    assert "bo@example.org" in mailroom("emails", "show", made).out


def test_a_wrong_mail_of_a_batch_concerns_no_other(mailroom: Terminal, system: System) -> None:
    mails = json.dumps({"emails": [an_email(), an_email(to=["nobody"]), 7, an_email(subject="Hi")]})

    told = mailroom("emails", "batch", "-", "--key", "k", stdin=mails)
    again = mailroom("emails", "batch", "-", "--key", "k", "--json", stdin=mails)

    items = json.loads(again.out)["items"]
    assert (told.code, again.code) == (1, 1)
    assert told.out.split() == [items[0]["id"], items[3]["id"]]
    assert [item["code"] for item in items] == [202, 422, 422, 202]
    assert "emails[1]: to[0]: " in told.err
    assert "emails[2]: " in told.err
    assert system.db.emails.count_documents({}) == 2


def test_every_fault_of_a_mail_is_reported_and_nothing_is_stored(mailroom: Terminal, system: System) -> None:
    wrong = an_email(to=["nobody"], priority="soon", attachments=[{"filename": "a"}])

    told = faults(mailroom("emails", "create", "-", stdin=json.dumps(wrong)))
    both = faults(mailroom("emails", "list", "--status", "queued", "--tag", "x"))

    assert told.keys() == {"to[0]", "priority", "attachments[0].content"}
    assert system.db.emails.count_documents({}) == 0
    assert both.keys() == {"status"}


def test_a_mail_is_cancelled_after_a_question_and_sent_again(mailroom: Terminal) -> None:
    made = mailroom("emails", "create", "-", stdin=json.dumps(an_email(send_at=LATER))).id

    early = mailroom("emails", "send-again", made, "--yes")
    kept = mailroom("emails", "cancel", made)
    cancelled = mailroom("emails", "cancel", made, "--yes", "--json").json
    asked = mailroom("emails", "send-again", made)
    again = mailroom("emails", "send-again", made, "--yes", "--key", "k").id

    assert (early.code, "no recipient left" in early.err) == (1, True)
    assert (kept.code, "Cancel “Your new password” to 1 recipient?" in kept.err) == (2, True)
    assert cancelled["status"] == "cancelled"
    assert (asked.code, "Resend “Your new password” to 1 recipient?" in asked.err) == (2, True)
    assert mailroom("emails", "send-again", made, "--yes", "--key", "k").id == again


def test_send_hands_a_mail_in_without_a_question(mailroom: Terminal) -> None:
    words = ("send", "--from", "shop@mg.example.com", "--to", "bo@example.org", "--subject", "Hi", "--text", "-")

    made = mailroom(*words, "--json", stdin="Hello").json
    wrong = mailroom("send", "--from", "nobody", "--to", "none", "--subject", "Hi")

    assert made["status"] == "queued"
    assert faults(wrong).keys() >= {"from", "to[0]"}


def test_a_template_is_put_from_files_listed_changed_and_deleted(
    mailroom: Terminal, call: Caller, tmp_path: Path
) -> None:
    text = tmp_path / "welcome.txt"
    text.write_text("Hello {{ name }}")
    whole = json.dumps({"subject": "Welcome, {{ name }}", "text": "Hello"})

    new = mailroom("templates", "put", "welcome", "--subject", "Welcome", "--text", str(text))
    shown = mailroom("templates", "show", "welcome", "--json")
    changed = mailroom("templates", "put", "welcome", "-", "--if-version", "1", "--json", stdin=whole)
    stale = mailroom("templates", "put", "welcome", "-", "--if-version", "1", stdin=whole)

    assert new.out == "welcome: made, version 1\n"
    assert (shown.json["text"], shown.json["variables"]) == ("Hello {{ name }}", ["name"])
    assert changed.json == call("GET", "/v1/templates/welcome").json
    assert (stale.code, "at version 2" in stale.err) == (1, True)
    assert mailroom("templates", "list", "--json").json == call("GET", "/v1/templates").json
    assert mailroom("templates", "delete", "welcome").code == 2
    assert mailroom("templates", "delete", "welcome", "--yes").out == "welcome: deleted\n"
    assert mailroom("templates", "show", "welcome").err == "Error: there is no template welcome\n"


def test_every_fault_of_a_template_is_reported(mailroom: Terminal) -> None:
    wrong = {"subject": 7, "html": "{{ nonsense", "colour": "red"}

    told = faults(mailroom("templates", "put", "welcome", "-", stdin=json.dumps(wrong)))

    assert told.keys() == {"subject", "html", "colour"}
    assert mailroom("templates", "put", "welcome").code == 2


def test_versions_layouts_and_html_of_templates_are_put_and_seen(
    mailroom: Terminal, call: Caller, tmp_path: Path
) -> None:
    layout, article = tmp_path / "layout.html", tmp_path / "article.html"
    layout.write_text("<h1>Shop</h1>{% block content %}{% endblock %}")
    article.write_text('{% extends "base" %}{% block content %}{{ body|safe }}{% endblock %}')

    base = mailroom("templates", "put", "base", "--kind", "layout", "--html", str(layout))
    words = ("templates", "put", "news", "--html", str(article), "--html-field", "body", "--subject")
    made = [mailroom(*words, subject).out for subject in ("One", "Two", "Two")]

    assert base.out == "base: made, version 1\n"
    assert made == ["news: made, version 1\n", "news: changed, version 2\n", "news: changed, version 2\n"]
    listed = mailroom("templates", "versions", "news", "--json").json
    assert listed == call("GET", "/v1/templates/news/versions").json
    assert [one["version"] for one in listed["items"]] == [2, 1]
    first = mailroom("templates", "show", "news", "--version", "1", "--json").json
    assert first == call("GET", "/v1/templates/news/versions/1").json
    assert (first["subject"], first["html_fields"], first["uses"]) == (
        "One",
        ["body"],
        [{"name": "base", "version": 1}],
    )
    assert mailroom("templates", "show", "news", "--version", "9").err == (
        "Error: there is no version 9 of template news\n"
    )


def test_a_template_in_markdown_is_put_into_a_layout_and_found_by_a_word_of_its_name(
    mailroom: Terminal, call: Caller, tmp_path: Path
) -> None:
    layout, article, page = (tmp_path / name for name in ("layout.html", "article.md", "page.mjml"))
    layout.write_text("<h1>Shop</h1>{% block content %}{% endblock %}")
    article.write_text("Hello **{{ name }}**")
    page.write_text("<mjml><mj-body></mj-body></mjml>")

    mailroom("templates", "put", "base", "--kind", "layout", "--html", str(layout))
    words = ("templates", "put", "weekly-news", "--subject", "News", "--markdown", str(article))
    made = mailroom(*words, "--layout", "base", "--preheader", "For {{ name }}", "--json").json
    refused = faults(mailroom(*words, "--mjml", str(page)))
    found = mailroom("templates", "list", "--name", "news", "--json").json

    assert made == call("GET", "/v1/templates/weekly-news").json
    assert (made["markdown"], made["layout"], made["preheader"]) == ("Hello **{{ name }}**", "base", "For {{ name }}")
    assert refused == {"mjml": "give one of html, markdown and mjml"}
    assert found == call("GET", "/v1/templates?name=news").json
    assert [one["name"] for one in found["items"]] == ["weekly-news"]
