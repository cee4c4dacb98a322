"""Stored templates by pages alone: made, mended, seen, changed, used and deleted, in a real browser without scripts."""

import re

import pytest
from playwright.sync_api import Page, expect

from mailroom.domain.principals import Principal
from mailroom.domain.templates import TemplateDraft
from mailroom.services.mails import templates
from mailroom.storage.database import Db
from tests.support.living import an_audience
from tests.support.pages import fill_in, look, sign_in
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

OTHER = Principal(id="t", name="Eve", scopes=frozenset({"admin"}), owner="eve")
HTML = (
    "<style>h1 { background: #1d4f91; color: #ffffff; padding: 20px }</style><h1>Hello {{ name }}</h1>\n"
    "<p>Boots have come to {{ cty }}.</p>"
)
MENDED = HTML.replace("cty", "city")
BASE = "<html><body><h1>Shop</h1>{% block content %}{% endblock %}<p>Shop Ltd, Rome</p></body></html>"


def stored(db: Db, name: str, **said: str) -> None:
    subject = {"subject": "Hello {{ name }}"} if said.get("kind", "template") == "template" else {}
    templates.put(db, name, TemplateDraft(**subject | said), seen_version=None, actor=OTHER)


def opened(page: Page, system: System, path: str) -> None:
    sign_in(page, system)
    page.goto(f"{system.web_url}{path}")


def save(page: Page) -> None:
    page.get_by_role("button", name="Save template").click()


def test_somebody_makes_a_template_with_faults_mends_it_sees_it_and_uses_it(page: Page, system: System) -> None:
    an_audience(system.db, "ann", "bo")
    sign_in(page, system)
    page.get_by_role("link", name="Templates").click()
    expect(page.get_by_text("No templates yet.")).to_be_visible()
    look(page, "templates-1-none")
    page.get_by_role("link", name="New template").click()
    fill_in(page, Name="Spring Boots", Subject="Boots for {{ name", HTML=HTML, Preheader="Now in {{ city }}")
    look(page, "templates-2-form")
    save(page)

    expect(page.get_by_role("alert")).to_contain_text("Could not save: 2 fields need attention: Name, Subject")
    expect(page.locator(".field:has(#name) .message")).to_have_text("1 to 64 small letters, digits, - and _.")
    expect(page.locator(".field:has(#subject) .message")).to_contain_text("write }} after it")
    expect(page.get_by_label("HTML", exact=True)).to_have_value(HTML)
    expect(page.get_by_label("Preheader")).to_have_value("Now in {{ city }}")
    look(page, "templates-3-faults")
    assert system.db.templates.count_documents({}) == 0

    fill_in(page, Name="spring-boots", Subject="Boots for {{ name }}")
    save(page)
    expect(page.get_by_role("status")).to_have_text("“spring-boots” is saved.")
    expect(page.locator(".facts")).to_contain_text("city, cty, name")
    look(page, "templates-4-saved")
    page.get_by_role("link", name="Preview", exact=True).click()
    expect(page.frame_locator("iframe").get_by_text("Boots have come to [cty].")).to_be_visible()
    expect(page.get_by_text("Boots for Ann")).to_be_visible()
    look(page, "templates-5-example")
    page.get_by_label("Audience").select_option(index=1)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("this recipient has no “cty”.")).to_be_visible()
    expect(page.locator(".note")).to_contain_text("Did you mean “city”?")
    look(page, "templates-6-wrong-field")

    page.get_by_role("link", name="← spring-boots").click()
    page.get_by_role("link", name="Edit").click()
    fill_in(page, HTML=MENDED)
    save(page)
    expect(page.get_by_role("status")).to_contain_text("Version 2 is saved.")
    page.get_by_role("link", name="Preview", exact=True).click()
    page.get_by_label("Audience").select_option(index=1)
    page.get_by_role("button", name="Preview").click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Hello Ann")).to_have_css("background-color", "rgb(29, 79, 145)")
    expect(frame.get_by_text("Boots have come to Rome.")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Boots for Bo")).to_be_visible()
    look(page, "templates-7-preview")
    page.get_by_role("link", name="Phone").click()
    expect(page.locator("iframe.phone")).to_be_visible()
    expect(page.get_by_text("Boots for Bo")).to_be_visible()
    expect(page.get_by_text("Now in Rome", exact=True)).to_be_visible()
    expect(frame.get_by_text("Boots have come to Rome.")).to_be_visible()
    look(page, "templates-8-preview-phone")

    page.get_by_role("link", name="← spring-boots").click()
    page.get_by_role("link", name="Use in a schedule").click()
    expect(page.get_by_label("Template")).to_have_value("spring-boots")
    fill_in(page, Name="Spring", From="Shop <news@mg.example.com>")
    page.get_by_label("Audience").select_option(index=1)
    page.get_by_text("Weekdays", exact=True).click()
    page.get_by_role("button", name="Save schedule").last.click()
    page.get_by_role("link", name="spring-boots, version 2").click()
    expect(page.locator(".facts")).to_contain_text("1 schedule")
    look(page, "templates-9-used")
    page.get_by_role("link", name="← Templates").click()
    expect(page.get_by_role("row", name="spring-boots")).to_contain_text("1")
    look(page, "templates-10-list")


def test_a_stale_edit_is_told_and_what_was_typed_is_still_there(page: Page, system: System) -> None:
    stored(system.db, "digest", text="One")
    opened(page, system, "/templates/digest/edit")
    fill_in(page, Text="Mine")
    stored(system.db, "digest", text="Two")
    save(page)

    expect(page.get_by_role("alert")).to_contain_text("Somebody else has changed this template since you opened it.")
    expect(page.get_by_label("Text", exact=True)).to_have_value("Mine")
    look(page, "template-stale")
    save(page)
    expect(page.get_by_role("alert")).to_contain_text("Somebody else has changed this template")
    assert templates.get(system.db, "digest").text == "Two"


def test_a_name_that_is_taken_is_told_beside_it(page: Page, system: System) -> None:
    stored(system.db, "digest", text="One")
    opened(page, system, "/new-template")
    fill_in(page, Name="digest", Subject="Hi", Text="Mine")
    save(page)

    expect(page.locator(".field:has(#name) .message")).to_contain_text("There is a template of this name already.")
    expect(page.get_by_label("Text", exact=True)).to_have_value("Mine")
    assert templates.get(system.db, "digest").version == 1


def test_a_double_click_saves_once_and_tells_of_no_fault(page: Page, system: System) -> None:
    opened(page, system, "/new-template")
    fill_in(page, Name="digest", Subject="Hi", Text="One")
    page.get_by_role("button", name="Save template").dblclick()

    expect(page.get_by_role("heading", name="digest")).to_be_visible()
    page.get_by_role("link", name="Edit").click()
    fill_in(page, Text="Two")
    page.get_by_role("button", name="Save template").dblclick()
    expect(page.get_by_role("heading", name="digest")).to_be_visible()

    assert templates.get(system.db, "digest").version == 2


def test_markdown_stands_in_a_layout_and_a_changed_layout_is_told(page: Page, system: System) -> None:
    stored(system.db, "base", kind="layout", html=BASE)
    opened(page, system, "/new-template")
    fill_in(page, Name="digest", Subject="News")
    page.get_by_label("Layout", exact=True).select_option("base")
    page.locator("summary", has_text="Markdown instead of HTML").click()
    fill_in(page, Markdown="# Hello {{ name }}\n\n- boots\n- hats")
    look(page, "template-form-markdown")
    save(page)
    expect(page.locator(".facts")).to_contain_text("base, version 1")
    look(page, "template-of-markdown")
    page.get_by_role("link", name="Preview", exact=True).click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Hello Ann")).to_be_visible()
    expect(frame.get_by_text("Shop Ltd, Rome")).to_be_visible()
    expect(page.get_by_text("Made from the HTML.")).to_be_visible()

    stored(system.db, "base", kind="layout", html=BASE.replace("Rome", "Oslo"))
    page.goto(f"{system.web_url}/templates/digest")
    expect(page.locator(".note")).to_contain_text(
        "Changed since: base, version 2. Save this template again to take it."
    )
    look(page, "template-of-changed-layout")
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Layout", exact=True)).to_have_value("base")
    expect(page.get_by_label("Markdown", exact=True)).to_have_value("# Hello {{ name }}\n\n- boots\n- hats")
    save(page)
    expect(page.get_by_role("status")).to_contain_text("Version 2 is saved.")
    expect(page.locator(".note")).to_have_count(0)
    assert "Oslo" in templates.get(system.db, "digest").html
    page.goto(f"{system.web_url}/templates/base/preview")
    expect(page.frame_locator("iframe").get_by_text("Shop Ltd, Oslo")).to_be_visible()


def test_an_earlier_version_is_shown_and_made_the_newest(page: Page, system: System) -> None:
    for text in ("One", "Two", "Two"):
        stored(system.db, "digest", text=text)
    opened(page, system, "/templates/digest")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="1", exact=True).click()
    expect(page.get_by_text("This is an earlier version.")).to_be_visible()
    expect(page.locator("pre")).to_have_text("One")
    look(page, "template-earlier-version")
    page.get_by_role("link", name="Make it the newest").click()
    save(page)

    expect(page.get_by_role("status")).to_contain_text("Version 3 is saved.")
    expect(page.locator("pre")).to_have_text("One")
    page.get_by_role("link", name="Edit").click()
    save(page)
    expect(page.get_by_role("status")).to_contain_text("Version 3 is the newest, and says the same.")


def test_a_template_is_deleted_after_one_question_and_its_versions_stay(page: Page, system: System) -> None:
    stored(system.db, "digest", text="One")
    opened(page, system, "/templates/digest")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete template “digest”?")).to_be_visible()
    expect(page.get_by_text("No schedule uses it.")).to_be_visible()
    look(page, "ask-delete-template")
    page.locator("main form button").dblclick()

    expect(page.get_by_role("status").first).to_contain_text("“digest” is deleted.")
    assert system.db.templates.count_documents({}) == 0
    page.goto(f"{system.web_url}/templates/digest")
    expect(page.get_by_text("This template is deleted.")).to_be_visible()
    look(page, "template-deleted")
    page.get_by_role("link", name="Restore").click()
    save(page)
    expect(page.get_by_role("status")).to_contain_text("Version 2 is saved.")


def test_a_template_comes_back_as_it_was_typed_after_its_session_ended(page: Page, system: System) -> None:
    opened(page, system, "/new-template")
    page.get_by_text("Partial: a piece that templates include").click()
    expect(page.get_by_label("Subject")).to_be_hidden()
    look(page, "template-form-partial")
    fill_in(page, Name="signature", Text="Yours,\n\nAnn")
    system.db.sessions.delete_many({})
    save(page)
    page.get_by_label("Token").fill(system.token)
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_label("Text", exact=True)).to_have_value("Yours,\n\nAnn")
    expect(page.get_by_label("Partial")).to_be_checked()
    assert system.db.templates.count_documents({}) == 0
    save(page)
    expect(page.get_by_text("Partial, version 1, the newest")).to_be_visible()


def test_templates_are_found_by_a_word_of_their_names(page: Page, system: System) -> None:
    for name in ("weekly-digest", "welcome", "digest_of_the_year"):
        stored(system.db, name, text="One")
    opened(page, system, "/templates")
    expect(page.get_by_text("3 templates")).to_be_visible()
    page.get_by_label("Name").fill("Dig")
    page.get_by_role("button", name="Find").click()

    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr td:first-child a")).to_have_text(["digest_of_the_year", "weekly-digest"])
    look(page, "templates-found")
    page.get_by_label("Name").fill("nothing")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text("No matching templates.")).to_be_visible()
    page.get_by_label("Name").fill("--")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text(re.compile("holds no letter and no digit"))).to_be_visible()
