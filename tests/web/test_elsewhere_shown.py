"""The page of a mail that went by two providers says so, and leads from one request to the other."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.emails import hand_in, shown
from tests.support.pages import look, sign_in
from tests.support.system import System, wait_for
from tests.support.vendors import SendGrid

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_a_mail_that_went_twice_says_so(page: Page, system: System) -> None:
    second = SendGrid()
    system.start_simulator()
    system.simulator.turn(event_lag_s=5)
    system.simulator.fail_next("500_after")
    system.environment |= {"MAILROOM_PROVIDERS": "mailgun,sendgrid", **second.settings}
    system.start_api(webhooks=False)
    system.start_senders(1)
    mail = hand_in(system, on_doubt="elsewhere")
    sign_in(page, system)

    wait_for(lambda: shown(system, mail)["went_twice"] == "maybe", within_s=20, what="the second provider has it")
    page.goto(f"{system.web_url}/emails/{mail}")
    expect(page.locator("p.note")).to_contain_text("This email may have gone twice.")
    look(page, "email-may-have-gone-twice")
    wait_for(lambda: shown(system, mail)["went_twice"] == "yes", within_s=20, what="the first call is found")
    page.reload()
    expect(page.locator("p.note")).to_contain_text("This email went twice")

    page.get_by_role("link", name="request", exact=True).first.click()
    look(page, "request-that-went-elsewhere")
    page.locator("dt", has_text="Went elsewhere as").locator("+ dd a").click()
    expect(page.locator("dt", has_text="Instead of")).to_have_count(1)
    second.stop()
