"""Stopping in a browser: one switch for all, a run by itself, and a paused schedule that asks before it sends."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.builders import recipients, stored_schedule
from tests.support.lines import Line, a_run
from tests.support.pages import look, sign_in
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_all_sending_is_stopped_and_every_page_says_so_until_it_is_started(page: Page, system: System) -> None:
    sign_in(page, system)
    page.get_by_role("link", name="Sending").click()
    look(page, "sending-on")

    page.get_by_role("button", name="Stop all sending").click()

    expect(page.get_by_text("All sending is stopped. No request is in flight.")).to_be_visible()
    look(page, "sending-stopped")
    for name in ("Schedules", "Transactional", "Providers"):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("All sending is stopped by test")
    page.get_by_role("alert").get_by_role("link", name="Start sending").click()
    page.get_by_role("button", name="Start sending").click()
    expect(page.get_by_text("Sending has started again.")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_run_is_paused_resumed_and_stopped_on_its_page(page: Page, system: System, line: Line) -> None:
    run_id, _ = a_run(line, 30)
    line.cross(line.claim()[:1])
    sign_in(page, system)
    page.goto(f"{system.web_url}/runs/{run_id}")

    page.get_by_role("button", name="Pause").click()

    still_goes = "0 emails sent, 20 emails waiting; 1 request in flight still goes: 10 emails."
    expect(page.get_by_role("status")).to_have_text(f"Paused. {still_goes}")
    expect(page.locator(".note")).to_contain_text(still_goes)
    look(page, "run-paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_contain_text("Resumed.")
    page.get_by_role("button", name="Stop sending").click()
    expect(page.get_by_role("heading", name="Stop sending “Weekday digest”?")).to_be_visible()
    expect(page.get_by_text("20 emails have not been sent yet.")).to_be_visible()
    look(page, "ask-stop-sending")
    page.get_by_role("button", name="Stop sending").click()
    expect(page.get_by_role("status")).to_contain_text("20 emails cancelled; 1 request in flight")


def test_a_paused_schedule_asks_before_it_sends_now(page: Page, system: System) -> None:
    schedule = stored_schedule(system.db, recipients=recipients(3))
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/{schedule.id}")
    page.get_by_role("button", name="Pause").click()

    page.get_by_role("button", name="Send now").click()

    expect(page.get_by_text("This schedule is paused. It stays paused; this one run is sent.")).to_be_visible()
    look(page, "ask-paused")
    assert system.db.runs.count_documents({}) == 0
    page.get_by_role("button", name="Send now").click()
    expect(page.get_by_text("planning").first).to_be_visible()
    assert system.db.runs.count_documents({}) == 1
