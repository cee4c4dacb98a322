"""Lists of provider requests, and the page of each, name people, subject and campaign before any id."""

import pytest
from playwright.sync_api import Locator, Page, expect

from mailroom.domain.dispatches.states import DispatchState
from tests.support.builders import recipients, stored_schedule
from tests.support.emails import hand_in
from tests.support.lines import Line, a_run
from tests.support.pages import look, sign_in
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def requests_of_both_kinds(system: System, line: Line, state: DispatchState) -> tuple[str, str]:
    """One of a campaign with 999 recipients, one of a single mail with two; both in this state. Returns their ids."""
    system.start_simulator()
    system.start_api()
    schedule = stored_schedule(
        system.db, name="Spring catalogue", subject="Our spring offers", recipients=recipients(999)
    )
    run_id, _ = a_run(line, 999, batch=1000, of=schedule)
    email = hand_in(system, to=["ann@example.org", "bo@example.org"], subject="Your invoice")
    system.db.dispatches.update_many({}, {"$set": {"state": state, "reason": "550 no such user", "code": 550}})
    return f"{run_id}-d00000", f"{email}-d00000"


def row_of(page: Page, request: str) -> Locator:
    return page.get_by_role("row").filter(has_text=request)


@pytest.mark.parametrize(
    ("state", "path"),
    [
        (DispatchState.UNKNOWN, "/dispatches?state=unknown"),
        (DispatchState.IN_DOUBT, "/dispatches"),
        (DispatchState.FAILED, "/dead-letters"),
    ],
)
def test_a_list_names_people_subject_and_campaign_and_the_id_last(
    page: Page, system: System, line: Line, state: DispatchState, path: str
) -> None:
    of_campaign, of_email = requests_of_both_kinds(system, line, state)
    sign_in(page, system)
    page.goto(f"{system.web_url}{path}")

    campaign, email = row_of(page, of_campaign), row_of(page, of_email)
    expect(campaign.get_by_role("link").nth(0)).to_have_text("reader-0@example.org and 998 more")
    expect(campaign.get_by_role("link").nth(1)).to_have_text("Our spring offers")
    expect(campaign.get_by_role("link").nth(2)).to_have_text("Spring catalogue")
    expect(campaign.get_by_role("cell").last).to_have_text(of_campaign)
    expect(email.get_by_role("link").nth(0)).to_have_text("ann@example.org and bo@example.org")
    expect(email).to_contain_text("Transactional")
    look(page, f"requests-{state}")
    email.get_by_role("link", name="Your invoice").click()

    expect(page.get_by_role("heading", name="Your invoice")).to_be_visible()


def test_the_page_of_a_request_leads_to_its_campaign_and_to_the_run(page: Page, system: System, line: Line) -> None:
    request, _ = requests_of_both_kinds(system, line, DispatchState.UNKNOWN)
    sign_in(page, system)
    page.goto(f"{system.web_url}/dispatches/{request}")

    expect(page.get_by_role("heading", level=1)).to_have_text("To reader-0@example.org and 998 more")
    expect(page.locator(".facts dd").last).to_have_text(request)
    look(page, "request-unknown")
    page.get_by_role("link", name="Spring catalogue").click()
    expect(page.get_by_role("heading", name="Spring catalogue")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="Our spring offers").click()
    expect(page.get_by_role("heading", name="Progress")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Mark as sent").click()

    expect(page.get_by_text("To reader-0@example.org and 998 more: Our spring offers")).to_be_visible()


def test_the_box_of_a_failed_request_is_named_by_people_and_subject(page: Page, system: System, line: Line) -> None:
    _, of_email = requests_of_both_kinds(system, line, DispatchState.FAILED)
    sign_in(page, system)
    page.goto(f"{system.web_url}/dead-letters")

    box = page.get_by_label("Select ann@example.org and bo@example.org: Your invoice")

    expect(box).to_have_value(of_email)
