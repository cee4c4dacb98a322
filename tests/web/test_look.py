"""The look of the pages in Chromium: dark and light, by keyboard, on a phone, in one time zone."""

import re

import pytest
from playwright.sync_api import Page, expect

from mailroom.domain.runs import RunState
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.audiences.lists import NewAudience
from tests.support import colours
from tests.support.builders import recipients, stored_schedule
from tests.support.dead_letters import failed_dispatches
from tests.support.lines import Line, a_run
from tests.support.pages import PHONE, look, sign_in, width_of
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
TEXT, EDGE = 4.5, 3.0  # the least contrasts of WCAG AA: of text, and of what shows the focus
LONG_NAME = "Weekend_edition_with_a_name_without_any_space_" * 4
BERLIN = {"kind": "cron", "expression": "0 9 * * 1-5", "time_zone": "Europe/Berlin"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_focus_can_be_seen_in_both_schemes(page: Page, system: System, line: Line, scheme: str) -> None:
    a_run(line, 3, of=stored_schedule(system.db))
    failed_dispatches(system.db, 1)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    sign_in(page, system)

    for path in ("/", "/dead-letters", "/providers", "/schedules/new"):
        page.goto(f"{system.web_url}{path}")
        dark = colours.luminance(colours.behind(page.locator("body"))) < 0.2
        assert dark is (scheme == "dark")
        for selector in ("h1", "main a", "main button", ".soft", ".hint", ".lead", ".state", ".bar a", "th", ".zone"):
            for element in page.locator(f"{selector}:visible").all()[:4]:
                ratio = colours.contrast(colours.of(element, "color"), colours.behind(element))
                assert ratio >= TEXT, (path, selector, element.inner_text(), ratio)
        for _ in range(16):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            if focused.count() and focused.evaluate("element => getComputedStyle(element).outlineStyle") == "solid":
                around = colours.behind(focused.locator("xpath=.."))
                ratio = colours.contrast(colours.of(focused, "outlineColor"), around)
                assert ratio >= EDGE, (path, focused.evaluate("element => element.outerHTML"), ratio)


def test_the_first_tab_leads_past_the_menu(page: Page, system: System) -> None:
    sign_in(page, system)
    expect(page.get_by_role("heading", level=1)).to_have_text("Schedules")  # a key that comes before the page is lost

    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to content")
    expect(page.locator(":focus")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")

    assert page.locator("main :focus").count() == 1


@pytest.mark.parametrize(
    ("path", "entry", "current"),
    [
        ("/", "Schedules", "page"),
        ("/schedules/new", "Schedules", "true"),
        ("/runs", "Runs", "page"),
        ("/emails", "Transactional", "page"),
        ("/people", "People", "page"),
        ("/dead-letters", "Failed", "page"),
        ("/workers", "Workers", "page"),
        ("/audiences/new", "Audiences", "true"),
        ("/templates", "Templates", "page"),
        ("/new-template", "Templates", "true"),
    ],
)
def test_the_menu_marks_where_one_is(page: Page, system: System, path: str, entry: str, current: str) -> None:
    sign_in(page, system)
    page.goto(f"{system.web_url}{path}")

    marked = page.get_by_role("navigation", name="Main").locator("[aria-current]")

    expect(marked).to_have_text([entry])
    expect(marked).to_have_attribute("aria-current", current)


def test_long_names_wrap_on_a_phone(page: Page, system: System) -> None:
    audience = audience_lists.create(system.db, NewAudience(LONG_NAME, recipients(3)), owner="tests", key="k").audience
    schedule = stored_schedule(
        system.db, name=LONG_NAME, subject=LONG_NAME, text="Hello", recipients=(), audience=audience.id
    )
    sign_in(page, system)
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]

    for path in (
        "/", f"/schedules/{schedule.id}", f"/schedules/{schedule.id}/edit", f"/schedules/{schedule.id}/archive",
        f"/schedules/{schedule.id}/report", "/audiences", f"/audiences/{audience.id}", "/schedules/new",
        "/suppressions?address=" + LONG_NAME, "/dead-letters", "/emails", "/runs", "/people?q=" + LONG_NAME,
        "/dispatches", "/refusals", "/providers", "/sending", "/workers",
        "/templates?name=" + LONG_NAME, "/new-template",
    ):  # fmt: skip
        page.goto(f"{system.web_url}{path}")
        assert width_of(page) <= PHONE["width"], path


def test_a_page_shows_one_zone_and_names_it(page: Page, system: System, line: Line) -> None:
    schedule = stored_schedule(system.db, recurrence=BERLIN)
    run_id, _ = a_run(line, 3, of=schedule)
    other = BERLIN | {"time_zone": "America/New_York"}
    sign_in(page, system)

    for path in ("/", f"/schedules/{schedule.id}", f"/runs/{run_id}", f"/schedules/{schedule.id}/edit"):
        page.goto(f"{system.web_url}{path}")
        expect(page.locator(".zone")).to_have_text("Times on this page are in Europe/Berlin.")
        assert "UTC" not in re.sub(r"\bUTC\b(?=[^<]*</option>)", "", page.locator("main").inner_text())
    stored_schedule(system.db, name="Elsewhere", recurrence=other)
    page.goto(system.web_url)

    expect(page.locator(".zone")).to_have_text("Times on this page are in UTC.")
    expect(page.get_by_role("row", name="Elsewhere")).to_contain_text("America/New_York")
    expect(page.get_by_role("row", name="Elsewhere")).to_contain_text("UTC")


def test_a_schedule_names_its_audience_with_its_size(page: Page, system: System) -> None:
    audience = audience_lists.create(
        system.db, NewAudience("Customers", recipients(1_204)), owner="tests", key="k"
    ).audience
    schedule = stored_schedule(system.db, recipients=(), audience=audience.id)
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/{schedule.id}")

    expect(page.locator(".facts")).to_contain_text("Customers, 1,204 recipients")
    page.get_by_role("link", name="Customers").click()

    expect(page.get_by_role("heading", name="Customers")).to_be_visible()


def test_a_run_that_sends_is_called_sending(page: Page, system: System, line: Line) -> None:
    run_id, schedule = a_run(line, 3)
    assert system.db.runs.find_one({"_id": run_id})["state"] == RunState.PLANNED
    sign_in(page, system)

    for path in (f"/schedules/{schedule}", f"/runs/{run_id}"):
        page.goto(f"{system.web_url}{path}")
        expect(page.locator(".state.planned")).to_have_text("Sending")
    look(page, "run-sending")


def test_a_weekly_schedule_is_chosen_by_its_days_and_comes_back_so(page: Page, system: System) -> None:
    schedule = stored_schedule(system.db, recurrence=BERLIN)
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/{schedule.id}/edit")
    expect(page.get_by_label("Weekdays")).to_be_checked()

    page.get_by_text("Weekly", exact=True).click()
    page.get_by_label("Monday", exact=True).check()
    page.get_by_label("Thursday", exact=True).check()
    page.get_by_label("Time", exact=True).fill("08:30")
    look(page, "schedule-form-weekly")
    page.get_by_role("button", name="Save schedule").click()

    expect(page.locator(".facts")).to_contain_text("Weekly on Monday, Thursday at 08:30 (Europe/Berlin)")
    stored = system.db.schedules.find_one({"_id": schedule.id})
    assert stored["recurrence"]["expression"] == "30 8 * * 1,4"
