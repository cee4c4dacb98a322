"""An archived schedule is found in the list and restored at the press of a button."""

import pytest
from playwright.sync_api import Page, expect

from mailroom.services.schedules import lifecycle as schedule_lifecycle
from tests.support.builders import stored_schedule
from tests.support.pages import look, sign_in
from tests.support.system import System
from tests.support.tokens import a_token

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_an_archived_schedule_comes_back_paused_and_says_who_restored_it(page: Page, system: System) -> None:
    schedule = stored_schedule(system.db)
    schedule_lifecycle.archive(system.db, schedule.id)
    sign_in(page, system)
    expect(page.get_by_role("link", name="Weekday digest")).to_have_count(0)

    page.get_by_role("link", name="Archived", exact=True).click()
    page.get_by_role("link", name="Weekday digest").click()
    look(page, "schedule-in-the-archive")
    page.get_by_role("button", name="Restore").dblclick()

    expect(page.get_by_role("status")).to_contain_text("Restored.")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator(".head .state")).to_have_text("Paused")
    restored_at = system.db.schedules.find_one({"_id": schedule.id})["restored_at"]
    expect(page.locator(".note")).to_contain_text(
        f"Restored from the archive by tests, {restored_at:%a %d %b %Y %H:%M:%S} UTC."
    )
    look(page, "schedule-restored")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".note")).to_have_count(0)


def test_a_schedule_that_runs_again_is_not_paused_by_an_old_page(page: Page, system: System) -> None:
    schedule = stored_schedule(system.db)
    schedule_lifecycle.archive(system.db, schedule.id)
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/{schedule.id}")
    system.db.schedules.update_one({"_id": schedule.id}, {"$set": {"state": "active"}})

    page.get_by_role("button", name="Restore").click()

    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed: only an archived schedule can be restored")
    expect(page.locator(".head .state")).to_have_text("Active")


def test_a_reader_cannot_restore(page: Page, system: System) -> None:
    schedule = stored_schedule(system.db)
    schedule_lifecycle.archive(system.db, schedule.id)
    sign_in(page, system, a_token(system.db, "read"))
    page.goto(f"{system.web_url}/schedules/{schedule.id}")

    expect(page.get_by_role("heading", name="Weekday digest")).to_be_visible()
    expect(page.get_by_role("button", name="Restore")).to_have_count(0)
