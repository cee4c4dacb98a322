"""A stored template and attachments in the schedule form, and on the pages of schedule and run: a real browser."""

import pytest
from playwright.sync_api import Page, expect

from mailroom.domain.ids import ScheduleId
from mailroom.domain.principals import Principal
from mailroom.domain.templates import TemplateDraft
from mailroom.services.mails import templates
from mailroom.services.planning import asked_runs
from tests.support.pages import fill_in, look, sign_in
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

ADMIN = Principal(id="t", name="tests", scopes=frozenset({"admin"}), owner="tests")
LAYOUT = '<style>p{color:#1d4f91}</style><img src="cid:logo.png" alt="Shop">{% block content %}{% endblock %}'


def stored(system: System, body: str) -> None:
    html = f'{{% extends "base" %}}{{% block content %}}<p>{body}</p>{{% endblock %}}'
    for name, draft in (
        ("base", TemplateDraft(kind="layout", html=LAYOUT)),
        ("digest", TemplateDraft(subject="News for {{ name }}", html=html)),
    ):
        templates.put(system.db, name, draft, seen_version=None, actor=ADMIN)


def test_a_schedule_takes_a_template_and_files_in_the_form_and_tells_the_version(page: Page, system: System) -> None:
    stored(system, "Hello {{ nam }}")
    system.start_web()
    sign_in(page, system)
    page.goto(f"{system.web_url}/templates/digest")
    expect(page.get_by_text("logo.png. Attach it to the schedule or email, under this name.")).to_be_visible()
    look(page, "template-with-pictures")
    page.goto(f"{system.web_url}/schedules/new")
    fill_in(page, Name="Digest", From="Ann <ann@mg.example.com>")
    page.get_by_label("Template").select_option("digest")
    page.get_by_label("Attachments").set_input_files(
        [
            {"name": "logo.png", "mimeType": "image/png", "buffer": b"\x89PNG"},
            {"name": "terms.pdf", "mimeType": "application/pdf", "buffer": b"%PDF"},
        ]
    )
    page.get_by_label("Paste addresses or CSV").fill("address,name\nbo@example.org,Bo")
    page.get_by_text("Weekdays", exact=True).click()
    fill_in(page, Time="09:00")
    page.get_by_role("button", name="Save schedule").last.click()
    expect(page.get_by_text('Did you mean "name"?')).to_be_visible()
    expect(page.get_by_text("Chosen: logo.png, terms.pdf")).to_be_visible()
    look(page, "template-refused")

    stored(system, "Hello {{ name }}")
    files = [{"name": "logo.png", "mimeType": "image/png", "buffer": b"\x89PNG"}]
    page.get_by_label("Attachments").set_input_files(files)
    page.get_by_role("button", name="Save schedule").last.click()

    expect(page.get_by_text("digest, version 2")).to_be_visible()
    expect(page.get_by_text("logo.png (4 bytes, in the HTML)")).to_be_visible()
    look(page, "schedule-with-template")
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Template")).to_have_value("digest")
    expect(page.get_by_label("Subject")).to_have_value("")
    expect(page.get_by_text("Attached now: logo.png, terms.pdf. Files chosen here replace them.")).to_be_visible()
    look(page, "schedule-with-template-form")
    page.get_by_label("Remove the attachments").check()
    page.get_by_role("button", name="Save schedule").last.click()
    expect(page.get_by_text("logo.png (4 bytes")).to_be_hidden()
    schedule = ScheduleId(page.url.rpartition("/")[2])
    run, _ = asked_runs.run_now(system.db, schedule, owner="tests", key="k")
    page.goto(f"{system.web_url}/runs/{run.id}")
    expect(page.get_by_text("digest, version 2")).to_be_visible()
    look(page, "run-with-template")
