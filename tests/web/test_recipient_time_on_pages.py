"""In each recipient's own time on the pages: chosen in the form, refused beside the field, and seen on the run."""

import pytest
from playwright.sync_api import Page, expect

from mailroom.domain.ids import ScheduleId
from mailroom.services.schedules import view as schedule_view
from tests.support.pages import fill_in, look, sign_in
from tests.support.system import System
from tests.support.zoned import TOKYO, a_zoned_schedule, people_in, plan_at

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_the_delivery_is_chosen_in_the_form_and_kept_by_an_edit(page: Page, system: System) -> None:
    system.start_web()
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/new")
    fill_in(page, Name="Digest", From="Ann <ann@mg.example.com>", Subject="News", Text="Hello")
    page.get_by_label("Paste addresses or CSV").fill("bo@example.org")
    page.get_by_text("Interval", exact=True).click()
    page.get_by_label("Deliver", exact=True).select_option(label="In each recipient's own time zone")
    page.get_by_text("Contacts without a time zone").click()
    page.get_by_label("Time zone of contacts without one").fill("Europe/Londn")
    page.get_by_role("button", name="Save schedule").last.click()
    expect(page.get_by_text("names hours and minutes")).to_be_visible()
    expect(page.get_by_text("Did you mean Europe/London?")).to_be_visible()
    look(page, "recipient-time-refused")

    page.get_by_text("Weekdays", exact=True).click()
    fill_in(page, Time="09:00")
    page.get_by_label("Time zone of contacts without one").fill("Europe/London")
    page.get_by_role("button", name="Save schedule").last.click()
    expect(page.get_by_role("heading", name="Digest")).to_be_visible()
    expect(page.get_by_text("In each recipient's own time zone; without one, in Europe/London")).to_be_visible()
    look(page, "schedule-in-recipient-time")

    schedule = ScheduleId(page.url.rpartition("/")[2])
    page.goto(f"{page.url}/edit")
    fill_in(page, Name="Another name")
    page.get_by_role("button", name="Save schedule").last.click()
    expect(page.get_by_role("heading", name="Another name")).to_be_visible()
    stored = schedule_view.get(system.db, schedule).schedule
    assert (stored.delivery, stored.default_time_zone) == ("recipient_time", "Europe/London")


def test_a_run_shows_when_how_many_get_it_and_how_many_were_late(page: Page, system: System) -> None:
    system.start_web()
    zones = {"ann": "Asia/Tokyo", "kim": "Asia/Kolkata", "bo": "Europe/Berlin", "cy": "America/New_York", "dee": ""}
    schedule = a_zoned_schedule(system.db, people_in(system.db, zones))
    run = plan_at(system.db, schedule, TOKYO.replace(hour=3, minute=30))
    sign_in(page, system)

    page.goto(f"{system.web_url}/runs/{run.id}")

    times = page.locator("section", has=page.get_by_role("heading", name="Times"))
    expect(times).to_contain_text(
        "Mon 01 Feb 2027 09:00 in each recipient's own time zone; without one, in Europe/Berlin"
    )
    expect(times).to_contain_text("Not sent to 1 recipient: the time had passed")
    expect(times.get_by_role("row")).to_have_count(4)
    expect(times).to_contain_text("15:00:00")
    look(page, "run-in-slices")
