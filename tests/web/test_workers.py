"""Who works here, on the pages."""

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from mailroom.domain.ids import Lane
from mailroom.domain.workers import WorkerKind
from tests.support.claims import a_claimed_mail
from tests.support.emails import hand_in
from tests.support.lines import Line, a_run
from tests.support.pages import look, sign_in
from tests.support.system import System
from tests.support.workers import checked_in, checked_in_by_an_earlier_version

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
HOST = "mailroom-sender-7c9d5b8f4-x2k8q"


def test_the_page_tells_who_works_here_and_who_is_silent(page: Page, system: System) -> None:
    checked_in(system.db, f"{HOST}-7-a1b2c3", [Lane(f"mail/{n:02}") for n in range(16)], in_flight=128, host=HOST)
    checked_in(system.db, "gone-12-d4e5f6", ago=timedelta(minutes=4), host="gone", pid=12)
    checked_in(system.db, "api-9-0a1b2c", kind=WorkerKind.API, host="api", pid=9, in_flight=2)
    checked_in_by_an_earlier_version(system.db, "old-3-112233", [Lane("schedule/s1")])
    sign_in(page, system)

    page.get_by_role("link", name="Workers").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Workers")
    ours = page.get_by_role("row").filter(has_text=f"{HOST}-7-a1b2c3")
    expect(ours).to_contain_text("Sender")
    expect(ours).to_contain_text("At work")
    expect(ours).to_contain_text("192.0.2.7, pid 4711")
    expect(ours).to_contain_text("version 1.2.3")
    gone = page.get_by_role("row").filter(has_text="gone-12-d4e5f6")
    expect(gone.locator(".state")).to_have_text("Silent")
    expect(gone).to_contain_text("last check-in 4 min ago")
    expect(page.get_by_role("alert")).to_have_text("1 worker stopped checking in: gone-12-d4e5f6.")
    expect(page.get_by_role("row").filter(has_text="old-3-112233")).to_contain_text("an earlier version")
    expect(page.get_by_role("row").filter(has_text="api-9-0a1b2c").locator("td").last).to_have_text("2")
    # The pages themselves are served by a process that has checked in.
    expect(page.get_by_role("row").filter(has_text="Pages")).to_have_count(1)
    look(page, "workers")
    ours.locator("summary").click()
    expect(ours).to_contain_text("mail/15")
    look(page, "workers-lanes")


def test_an_email_names_the_worker_that_has_it_and_leads_to_it(page: Page, system: System) -> None:
    system.start_api(webhooks=False)
    email = hand_in(system)
    worker = a_claimed_mail(system.db, by=f"{HOST}-7-a1b2c3").claim.sender
    checked_in(system.db, worker)
    sign_in(page, system)
    page.goto(f"{system.web_url}/emails/{email}")

    look(page, "email-with-worker")
    page.get_by_role("link", name=worker, exact=True).click()

    expect(page).to_have_url(f"{system.web_url}/workers#{worker}")


def test_an_email_of_a_campaign_names_it_too(page: Page, system: System, line: Line) -> None:
    run_id, _ = a_run(line, 1)
    line.claim()
    sign_in(page, system)
    page.goto(f"{system.web_url}/runs/{run_id}")

    page.get_by_role("link", name="reader-0@example.org").first.click()

    expect(page.locator(".facts")).to_contain_text(line.name)
