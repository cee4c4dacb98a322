"""A person is found in campaigns and single mails; the page says how far it has looked."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from mailroom.services.reports import people
from mailroom.storage.database import server_now
from tests.support.builders import recipients, stored_schedule
from tests.support.emails import hand_in
from tests.support.lines import Line, a_run
from tests.support.pages import look, sign_in
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def mailed(system: System, line: Line) -> None:
    """A campaign to reader-0 to reader-11, then a single mail to two of them."""
    system.start_simulator()
    system.start_api()
    a_run(line, 12, of=stored_schedule(system.db, name="Spring catalogue", recipients=recipients(12)), batch=20)
    hand_in(system, to=["reader-1@example.org", "reader-2@example.org"], subject="Your invoice")


def find(page: Page, term: str) -> None:
    page.get_by_label("Email address").fill(term)
    page.get_by_role("button", name="Find").click()


@pytest.mark.usefixtures("mailed")
def test_an_address_is_found_in_both_kinds_and_each_row_leads_to_its_mail(page: Page, system: System) -> None:
    sign_in(page, system)
    page.get_by_role("link", name="People").click()
    look(page, "people")
    find(page, "Reader-1@example.org")

    links = page.locator("main tbody a")
    expect(links).to_have_text(["Your invoice", "Hello {{ name }}", "Spring catalogue"])
    expect(page.get_by_role("status")).to_have_text("All emails that Mailroom keeps were looked through.")
    expect(page.get_by_role("columnheader", name="Address")).to_have_count(0)
    look(page, "people-found")
    links.nth(1).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("reader-1@example.org")
    page.go_back()
    links.nth(0).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your invoice")


@pytest.mark.usefixtures("mailed")
def test_the_start_of_addresses_finds_each_of_them_and_says_if_there_are_more(page: Page, system: System) -> None:
    sign_in(page, system)
    page.goto(f"{system.web_url}/people")

    find(page, "reader-1")
    expect(page.get_by_role("row").filter(has_text="reader-11@example.org")).to_have_count(1)
    expect(page.get_by_role("row").filter(has_text="reader-1@example.org")).to_have_count(2)
    expect(page.get_by_text("More addresses begin with")).to_have_count(0)
    look(page, "people-by-start")
    find(page, "reader")

    expect(page.get_by_text("More addresses begin with “reader”: type more to find these.")).to_be_visible()


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ("nobody@example.org", "No email was found. All emails that Mailroom keeps were looked through."),
        ("nobody", "No address begins with “nobody”"),
        ("x", "Email address: type at least 3 characters of an address."),
    ],
)
def test_who_is_not_found_is_said(page: Page, system: System, term: str, said: str) -> None:
    sign_in(page, system)
    page.goto(f"{system.web_url}/people")

    find(page, term)

    expect(page.get_by_text(said)).to_be_visible()
    look(page, "people-not-found")


def test_the_page_says_how_far_it_has_looked_and_looks_further(page: Page, system: System, line: Line) -> None:
    run_id, _ = a_run(line, 3)
    system.db.runs.update_one({"_id": run_id}, {"$set": {"due_at": datetime(2026, 1, 1, tzinfo=UTC)}})
    run, now = system.db.runs.find_one({"_id": run_id}), server_now(system.db)
    assert run is not None
    later = [now - timedelta(minutes=number) for number in range(people.MOST_LOOKS)]
    system.db.runs.insert_many(run | {"_id": f"other-{at:%d%H%M}", "due_at": at} for at in later)
    sign_in(page, system)
    page.goto(f"{system.web_url}/people?q=reader-1@example.org")

    expect(page.get_by_role("status")).to_contain_text(f"Nothing found back to {later[-1]:%a %d %b %Y %H:%M:%S} UTC.")
    look(page, "people-so-far")
    page.get_by_role("link", name="Continue searching").click()

    expect(page.locator("main tbody tr")).to_have_count(1)
    expect(page.get_by_label("Email address")).to_have_value("reader-1@example.org")
    expect(page.get_by_role("status")).to_have_text("All emails that Mailroom keeps were looked through.")
