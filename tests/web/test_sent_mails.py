"""What a run really sent, on its pages: a real browser."""

import pytest
from playwright.sync_api import Page, expect

from mailroom.services.audiences import contacts
from mailroom.services.schedules import edit as edit_schedule
from mailroom.storage import suppressions
from mailroom.storage.database import server_now
from tests.support.living import a_schedule_to, an_audience, put, run_now
from tests.support.pages import look, sign_in
from tests.support.planned import expand_all, hold
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_the_emails_of_a_run_are_seen_as_they_were_whatever_has_changed_since(page: Page, system: System) -> None:
    db = system.db
    audience = an_audience(db, "ann", "bo", "cy")
    suppressions.add_bounced(db, ["cy@example.org"], at=server_now(db))
    schedule = a_schedule_to(db, audience, subject="Boots for {{ name }}", html="<h1>Hello {{ name }}, {{ city }}</h1>")
    run = run_now(db, schedule)
    expand_all(db, hold(db, schedule))
    put(db, audience, "bo", city="Oslo")
    contacts.remove(db, audience, "ann@example.org")
    edit_schedule.edit(db, schedule, {"subject": "Changed", "html": "Changed"}, seen_version=None)
    sign_in(page, system)

    page.goto(f"{system.web_url}/runs/{run}")
    page.get_by_role("link", name="What it sent").click()
    page.get_by_label("Recipient").fill("BO@example.org")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("Boots for Bo")).to_be_visible()
    expect(page.frame_locator("iframe").get_by_role("heading", name="Hello Bo, Rome")).to_be_visible()
    look(page, "sent-mail")
    page.get_by_role("link", name="Phone").click()
    look(page, "sent-mail-phone")
    expect(page.get_by_text("Boots for Bo")).to_be_visible()
    page.get_by_role("link", name="Activity").click()
    expect(page.get_by_role("heading", name="bo@example.org")).to_be_visible()
    page.get_by_role("link", name="What was sent").click()
    expect(page.get_by_text("Boots for Bo")).to_be_visible()

    page.get_by_label("Recipient").fill("cy@example.org")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("Nothing is sent to this recipient.")).to_be_visible()
    look(page, "sent-mail-of-nobody")
    page.get_by_label("Recipient").fill("nobody@example.org")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_contain_text("nobody@example.org is not among the recipients of this run.")


def test_next_and_previous_go_through_the_emails_of_the_run_alone(page: Page, system: System) -> None:
    db = system.db
    for key, names in (("1", ("ann", "bo", "cy")), ("2", ("di", "el"))):
        schedule = a_schedule_to(db, an_audience(db, *names, key=key), subject="For {{ name }}", text="Hello")
        run = run_now(db, schedule, key)
        expand_all(db, hold(db, schedule))
    sign_in(page, system)

    page.goto(f"{system.web_url}/runs/{run}/sent")
    seen = [page.locator(".facts strong").inner_text()]
    expect(page.get_by_role("link", name="Previous")).to_have_count(0)
    page.get_by_role("link", name="Next").click()
    seen.append(page.locator(".facts strong").inner_text())
    expect(page.get_by_role("link", name="Next")).to_have_count(0)
    page.get_by_role("link", name="Previous").click()

    assert sorted(seen) == ["For Di", "For El"]
    expect(page.get_by_text(seen[0])).to_be_visible()
