"""A session that ends under a form loses nothing: after signing in, the same form is there, as it was typed."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.builders import stored_schedule
from tests.support.pages import fill_in, look, sign_in
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def sign_in_again(page: Page, system: System) -> None:
    expect(page.get_by_text("Your session has expired.")).to_be_visible()
    page.get_by_label("Token").fill(system.token)
    page.get_by_role("button", name="Sign in").click()


def test_an_edited_schedule_comes_back_as_it_was_typed_and_is_saved_once(page: Page, system: System) -> None:
    schedule = stored_schedule(system.db)
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/{schedule.id}/edit")
    fill_in(page, Name='The "new" <name>', Subject="Hello\t{{ name }}")
    page.get_by_label("Text", exact=True).fill("First line\n\nThird line")
    page.get_by_text("Weekly", exact=True).click()
    page.get_by_label("Monday", exact=True).uncheck()
    page.get_by_label("Tuesday", exact=True).check()
    page.get_by_label("Thursday", exact=True).check()
    system.db.sessions.delete_many({})

    page.get_by_role("button", name="Save schedule").click()
    sign_in_again(page, system)

    expect(page.get_by_text("Your form was not sent yet")).to_be_visible()
    expect(page.get_by_role("heading", name="Edit schedule")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value('The "new" <name>')
    expect(page.get_by_label("Text", exact=True)).to_have_value("First line\n\nThird line")
    expect(page.get_by_label("Weekly")).to_be_checked()
    expect(page.get_by_label("Thursday", exact=True)).to_be_checked()
    expect(page.get_by_label("Monday", exact=True)).not_to_be_checked()
    look(page, "schedule-form-signed-in-again")
    assert system.db.schedules.find_one({"_id": schedule.id})["name"] == schedule.name
    page.get_by_role("button", name="Save schedule").click()
    expect(page.get_by_role("heading", name='The "new" <name>')).to_be_visible()
    assert system.db.schedules.find_one({"_id": schedule.id})["recurrence"]["expression"] == "0 9 * * 2,4"


def test_a_suppression_comes_back_as_it_was_typed(page: Page, system: System) -> None:
    sign_in(page, system)
    page.goto(f"{system.web_url}/suppressions")
    add = page.locator("section", has_text="Add an address")
    add.get_by_label("Address").fill("bo@example.org")
    add.get_by_label("Reason").fill("asked by phone")
    system.db.sessions.delete_many({})

    add.get_by_role("button", name="Add").click()
    sign_in_again(page, system)

    expect(add.get_by_label("Address")).to_have_value("bo@example.org")
    expect(add.get_by_label("Reason")).to_have_value("asked by phone")
    assert system.db.suppressions.count_documents({}) == 0
    add.get_by_role("button", name="Add").click()
    expect(page.get_by_role("status")).to_have_text("bo@example.org is suppressed.")


def test_an_act_is_not_done_by_signing_in_and_can_still_be_sent(page: Page, system: System) -> None:
    schedule = stored_schedule(system.db)
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/{schedule.id}/archive")
    system.db.sessions.delete_many({})

    page.get_by_role("button", name="Archive").click()
    sign_in_again(page, system)

    expect(page.get_by_text("Your form was not sent yet")).to_be_visible()
    assert system.db.schedules.find_one({"_id": schedule.id})["state"] == "active"
    page.get_by_role("button", name="Send the form").click()
    expect(page.get_by_role("status")).to_contain_text("Archived.")


def test_a_question_that_was_open_when_the_session_ended_is_asked_again(page: Page, system: System) -> None:
    schedule = stored_schedule(system.db)
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/{schedule.id}")
    system.db.sessions.delete_many({})

    page.get_by_role("button", name="Send now").click()
    sign_in_again(page, system)

    expect(page.get_by_role("heading", name="Send now to 1 recipient?")).to_be_visible()
