"""Data feeds on the pages: named in the form, refused with the reason beside the field, and seen on a run."""

import pytest
import requests
from playwright.sync_api import Page, expect

from mailroom.domain.ids import ScheduleId
from mailroom.services.planning import asked_runs
from mailroom.storage.schedules import runs
from tests.support.pages import fill_in, look, sign_in
from tests.support.system import System, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_a_feed_is_named_in_the_form_and_seen_on_the_run(page: Page, system: System) -> None:
    system.start_simulator()
    system.start_web()
    feed = f"{system.simulator.url}/simulator/feeds/news"
    item = {"title": "Coats & hats", "link": "https://shop.example/coats"}
    requests.post(feed, json=[item, {"title": "No link", "link": "javascript:alert(1)"}], timeout=10).raise_for_status()
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/new")
    fill_in(page, Name="Digest", From="Ann <ann@mg.example.com>", Subject="News", Text="Hello")
    page.get_by_label("Paste addresses or CSV").fill("bo@example.org")
    page.get_by_text("Weekdays", exact=True).click()
    fill_in(page, Time="09:00", URL="http://169.254.169.254/latest/")
    page.get_by_text("If it is empty or away, headers").click()
    page.get_by_label("Headers").fill("Authorization: nothing")
    page.get_by_role("button", name="Save schedule").last.click()
    expect(page.get_by_text("MAILROOM_FEED_HTTP allows http://")).to_be_visible()
    expect(page.get_by_text('MAILROOM_FEED_SECRETS has no "nothing"')).to_be_visible()
    look(page, "feed-refused")

    fill_in(page, URL=f"{feed}?key=secret")
    page.get_by_label("Headers").fill("")
    page.get_by_label("If it does not come").select_option(label="Send without it")
    page.get_by_role("button", name="Save schedule").last.click()
    expect(page.get_by_role("heading", name="Digest")).to_be_visible()
    expect(page.get_by_text(feed, exact=True)).to_be_visible()
    expect(page.get_by_text("key=secret")).to_have_count(0)
    look(page, "schedule-with-feed")

    schedule = page.url.rpartition("/")[2]
    page.goto(f"{page.url}/edit")
    expect(page.get_by_label("URL", exact=True)).to_have_value(f"{feed}?key=secret")
    page.get_by_role("button", name="Save schedule").last.click()
    stored = system.db.contents.find_one({"_id.schedule": schedule})
    assert stored
    assert (stored["feed"]["when_away"], stored["feed"]["timeout_s"]) == ("send", 20)

    run, _ = asked_runs.run_now(system.db, ScheduleId(schedule), owner="tests", key="k")
    page.goto(f"{system.web_url}/runs/{run.id}")
    expect(page.get_by_text("Waits for its data feed")).to_be_visible()
    look(page, "run-that-waits-for-its-feed")
    system.start_senders(1)
    wait_for(lambda: runs.get(system.db, run.id).planned_at, within_s=20, what="the run has its feed")
    page.reload()
    expect(page.get_by_role("heading", name="Data feed")).to_be_visible()
    expect(page.get_by_role("link", name="Coats & hats")).to_have_attribute("href", item["link"])
    expect(page.get_by_text("No link")).to_be_visible()
    expect(page.get_by_role("link", name="No link")).to_have_count(0)
    look(page, "run-with-feed")
