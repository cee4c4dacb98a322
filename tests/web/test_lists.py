"""Lists of schedules, runs and single mails: searched, sorted by their heads, counted, and turned page by page."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from mailroom.services.schedules import lifecycle as schedule_lifecycle
from tests.support.builders import stored_schedule
from tests.support.emails import hand_in
from tests.support.lines import Line, a_run
from tests.support.pages import look, sign_in
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def open_list(page: Page, system: System, path: str) -> None:
    sign_in(page, system)
    page.goto(f"{system.web_url}{path}")


def column(page: Page, place: int) -> list[str]:
    return page.locator(f"main tbody td:nth-child({place})").all_inner_texts()


def sorted_by(page: Page) -> list[tuple[str, str]]:
    """The heads that say so, each with its direction."""
    heads = page.locator("th[aria-sort]").all()
    return [(head.get_by_role("link").inner_text().split()[0], head.get_attribute("aria-sort") or "") for head in heads]


def test_schedules_are_found_by_a_word_of_their_name_and_sorted_by_their_head(page: Page, system: System) -> None:
    for name in ("Digest for Rome", "Spring news", "Weekly digest", "Digest for Bern"):
        stored_schedule(system.db, name=name)
    open_list(page, system, "/")
    assert sorted_by(page) == [("Created", "descending")]
    expect(page.locator(".count")).to_have_text("4 schedules")

    page.get_by_label("Name").fill("DIG")
    page.get_by_role("button", name="Find").click()
    expect(page.locator(".count")).to_have_text("3 schedules")
    page.get_by_role("link", name="Name", exact=True).click()

    assert column(page, 1) == ["Digest for Bern", "Digest for Rome", "Weekly digest"]
    assert sorted_by(page) == [("Name", "ascending")]
    look(page, "schedules-found")
    page.get_by_role("link", name="Name").click()
    assert column(page, 1) == ["Weekly digest", "Digest for Rome", "Digest for Bern"]
    assert sorted_by(page) == [("Name", "descending")]
    expect(page.get_by_label("Name")).to_have_value("DIG")


@pytest.mark.parametrize("order", ["name", "-name", "next_run_at", "-next_run_at", "created_at", "-created_at"])
def test_the_next_page_keeps_search_state_and_order(page: Page, system: System, order: str) -> None:
    for number in range(53):
        schedule = stored_schedule(system.db, name=f"Digest {number % 7}")
        if number % 3:  # a paused one has no next run
            schedule_lifecycle.pause(system.db, schedule.id)
    stored_schedule(system.db, name="Spring news")
    system.db.schedules.update_many({}, {"$set": {"state": "paused"}})
    open_list(page, system, f"/?name=digest&status=paused&sort={order}")
    links = page.locator("main tbody a")

    first = {link.get_attribute("href") for link in links.all()}
    page.get_by_role("link", name="Next page").click()
    second = {link.get_attribute("href") for link in links.all()}

    assert (len(first), len(second), len(first | second)) == (50, 3, 53)
    expect(page.get_by_label("Name")).to_have_value("digest")
    expect(page.locator(".links [aria-current]")).to_have_text("Paused")
    expect(page.locator(".count")).to_have_text("53 schedules")


def test_another_state_keeps_the_search_and_the_order(page: Page, system: System) -> None:
    stored_schedule(system.db, name="Digest")
    open_list(page, system, "/?name=digest&sort=-name")

    page.get_by_role("link", name="Paused").click()

    expect(page.get_by_text("No matching paused schedules.")).to_be_visible()
    page.get_by_role("link", name="Active", exact=True).click()
    assert column(page, 1) == ["Digest"]
    assert sorted_by(page) == [("Name", "descending")]


def test_a_search_that_finds_nothing_leads_to_the_archive(page: Page, system: System) -> None:
    schedule = stored_schedule(system.db, name="Old digest")
    schedule_lifecycle.archive(system.db, schedule.id)
    open_list(page, system, "/?name=digest")

    page.get_by_role("link", name="Search the archive").click()

    assert column(page, 1) == ["Old digest"]
    expect(page.locator(".links [aria-current]")).to_have_text("Archived")


@pytest.mark.parametrize(
    ("path", "label", "message"),
    [
        ("/?name=!!", "Name", "Name: holds no letter and no digit."),
        ("/runs?schedule=!!", "Schedule", "Schedule: holds no letter and no digit."),
        ("/runs?since=yesterday", "Due from", "Due from: Enter a date, such as 2026-11-30."),
        ("/runs?until=9999-12-31", "Due to", "Due to: Enter a date, such as 2026-11-30."),
    ],
)
def test_a_search_that_cannot_be_made_says_why_beside_what_was_typed(
    page: Page, system: System, path: str, label: str, message: str
) -> None:
    open_list(page, system, path)

    expect(page.get_by_role("alert")).to_have_text(message)
    expect(page.get_by_label(label)).to_have_attribute("aria-invalid", "true")
    look(page, "search-refused")


def test_a_phone_has_the_orders_in_the_search_form(page: Page, system: System) -> None:
    for name in ("Bern", "Rome"):
        stored_schedule(system.db, name=name)
    open_list(page, system, "/")
    expect(page.get_by_label("Sort by")).to_be_hidden()

    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_label("Sort by").select_option("Name")
    page.get_by_role("button", name="Find").click()

    assert [name.split()[-1] for name in column(page, 1)] == ["Bern", "Rome"]


def test_runs_of_all_schedules_are_listed_searched_and_sorted(page: Page, system: System, line: Line) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    for days, name in enumerate(("Digest for Rome", "Spring news", "Weekly digest")):
        run, _ = a_run(line, 3, of=stored_schedule(system.db, name=name), key=name)
        system.db.runs.update_one({"_id": run}, {"$set": {"due_at": now - timedelta(days=days)}})
    sign_in(page, system)

    page.get_by_role("link", name="Runs").click()
    assert column(page, 2) == ["Digest for Rome", "Spring news", "Weekly digest"]
    assert sorted_by(page) == [("Due", "descending")]
    expect(page.locator(".count")).to_have_text("3 runs")
    look(page, "runs")
    page.get_by_label("Schedule").fill("digest")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Due", exact=False).first.click()
    assert column(page, 2) == ["Weekly digest", "Digest for Rome"]
    assert sorted_by(page) == [("Due", "ascending")]
    page.get_by_label("Due from").fill(f"{now - timedelta(days=1):%Y-%m-%d}")
    page.get_by_label("Due to").fill(f"{now:%Y-%m-%d}")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Sending", exact=True).last.click()

    assert column(page, 2) == ["Digest for Rome"]
    page.get_by_role("link", name="Cancelled").click()
    expect(page.get_by_text("No matching runs.")).to_be_visible()


def test_single_mails_are_counted_sorted_and_searched(page: Page, system: System) -> None:
    system.start_simulator()
    system.start_api()
    for number in range(52):
        hand_in(system, to=["ann@example.org"], subject=f"Invoice {number}", tags=["invoice"])
    hand_in(system, to=["bo@example.org", "cy@example.org"], subject="Your new password")
    open_list(page, system, "/emails")
    expect(page.locator(".count")).to_have_text("53 emails")
    assert column(page, 2)[:2] == ["Your new password", "Invoice 51"]
    assert column(page, 3)[0] == "bo@example.org and cy@example.org"

    page.get_by_label("Recipient").fill("ann@example.org")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Accepted").click()
    assert sorted_by(page) == [("Accepted", "ascending")]
    assert column(page, 2)[0] == "Invoice 0"
    look(page, "emails-found")
    page.get_by_role("link", name="Next page").click()

    assert column(page, 2) == ["Invoice 50", "Invoice 51"]
    expect(page.get_by_label("Recipient")).to_have_value("ann@example.org")
    expect(page.locator(".count")).to_have_text("52 emails")
