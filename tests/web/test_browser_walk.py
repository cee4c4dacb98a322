"""The whole way of somebody new, in a real browser without scripts: a list with faults, a newsletter written and seen,
a test sent, a weekday schedule, a reader who leaves, and what the contact's page says of it."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.pages import fill_in, look, sign_in
from tests.support.system import System, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
LIST = (
    "Email;First name;City\n"
    "ann@example.org;Ann;Rome\n"
    "bo@example.org;Bo;\n"
    "not an address;No;Nowhere\n"
    "cy@example.org;Cy;Bern\n"
    "ANN@example.org;Ann;Paris\n"
    "di@example;Di;Oslo\n"
)
HTML = """<html><head><style>
h1 { background: #1d4f91; color: #ffffff; padding: 24px; margin: 0 }
.button { background: #1d4f91; color: #ffffff; padding: 12px 24px; text-decoration: none }
@media (max-width: 480px) { .button { display: block; text-align: center } }
</style></head><body style="font-family: sans-serif">
<h1>Spring is here, {{ first_name }}</h1>
<p>New boots have come to {{ city|default('a shop near you') }}.</p>
<p><a class="button" href="https://shop.example.com/boots">See the boots</a></p>
<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p>
</body></html>"""
MENDED = HTML.replace("city", "City")


def test_somebody_new_sends_a_newsletter_and_a_reader_leaves_it(page: Page, system: System, tmp_path: Path) -> None:
    system.start_simulator()
    system.start_api()
    system.start_senders(1)
    sign_in(page, system)

    a_list_with_faults_is_imported(page, tmp_path)
    a_topic_is_made(page)
    a_newsletter_is_written_and_seen(page, system)
    it_is_scheduled_for_weekdays_at_nine(page)
    a_test_is_sent(page, system)
    a_run_goes_out(page, system)
    a_reader_leaves(page, system)
    it_is_seen_on_the_contact(page, system)


def a_list_with_faults_is_imported(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_text(LIST)
    page.get_by_role("link", name="Audiences").click()
    page.get_by_role("link", name="New audience").click()
    fill_in(page, Name="Customers")
    page.get_by_label("Or a CSV file").set_input_files(file)
    page.get_by_role("button", name="Save audience").click()
    expect(page.locator(".summary")).to_contain_text("3 recipients, 1 duplicate")
    expect(page.locator(".refused tbody tr")).to_have_count(2)
    look(page, "walk-1-list-with-faults")
    page.get_by_label("Skip these 2 lines").check()
    page.get_by_role("button", name="Save audience").click()
    expect(page.get_by_role("status")).to_contain_text("Audience saved. 2 lines were skipped.")
    look(page, "walk-2-audience")


def a_topic_is_made(page: Page) -> None:
    page.get_by_role("link", name="Topics").click()
    fill_in(page, Name="Newsletter", Id="newsletter", Postal_address_of_the_sender="Shop Ltd\nVia Roma 1, Rome")
    page.get_by_role("button", name="Save topic").click()
    expect(page.get_by_role("status")).to_contain_text("Topic “Newsletter” is saved.")


def a_template_is_made(system: System, html: str) -> None:
    body = {"subject": "Boots for {{ first_name }}", "html": html}
    assert system.call("PUT", "/v1/templates/spring", json=body).status_code in (200, 201)


def a_newsletter_is_written_and_seen(page: Page, system: System) -> None:
    a_template_is_made(system, HTML)
    page.get_by_role("link", name="Schedules").click()
    page.get_by_role("link", name="New schedule").click()
    fill_in(page, From="Shop <news@mg.example.com>")
    page.get_by_label("Template").select_option("spring")
    page.get_by_label("Topic").select_option(label="Newsletter")
    page.get_by_label("Audience").select_option(index=1)
    look(page, "walk-3-form")
    page.get_by_role("button", name="Preview email").click()
    hints = page.locator(".note")
    expect(hints).to_contain_text("“city” is missing or blank for all 3 contacts")
    expect(hints).to_contain_text("Did you mean “City”?")
    look(page, "walk-4-preview-with-a-wrong-field")
    page.get_by_role("button", name="Back to the form").click()

    a_template_is_made(system, MENDED)
    fill_in(page, Preheader="From {{ City|default('your town') }}, with 20 % off")
    page.get_by_role("button", name="Preview email").click()
    expect(page.get_by_text("Boots for Ann", exact=True)).to_be_visible()
    page.get_by_label("Recipient").fill("bo@example.org")
    page.get_by_role("button", name="Preview", exact=True).last.click()
    expect(page.get_by_text("From your town, with 20 % off")).to_be_visible()
    expect(page.frame_locator("iframe").get_by_text("New boots have come to a shop near you.")).to_be_visible()
    expect(hints).to_contain_text("“City” is missing or blank for 1 of 3 contacts, for example bo@example.org")
    look(page, "walk-5-preview")
    page.get_by_role("button", name="Phone").click()
    expect(page.frame_locator("iframe").locator(".button")).to_have_css("display", "block")
    look(page, "walk-6-preview-phone")
    page.get_by_role("button", name="Back to the form").click()
    expect(page.get_by_label("Template")).to_have_value("spring")


def it_is_scheduled_for_weekdays_at_nine(page: Page) -> None:
    fill_in(page, Name="Spring boots", Time_zone="Europe/Rome")
    page.get_by_text("Weekdays", exact=True).click()
    fill_in(page, Time="09:00")
    page.get_by_role("button", name="Preview schedule").click()
    expect(page.locator(".upcoming li")).to_have_count(5)
    expect(page.locator(".upcoming li").first).to_contain_text(re.compile("(Mon|Tue|Wed|Thu|Fri) .* 09:00:00 CES?T"))
    expect(page.get_by_text("Today it goes to 3 contacts")).to_be_visible()
    look(page, "walk-7-form-with-next-runs")
    page.get_by_role("button", name="Save schedule").last.click()
    expect(page.get_by_role("heading", name="Spring boots")).to_be_visible()
    expect(page.get_by_text("spring, version 2")).to_be_visible()
    look(page, "walk-8-schedule")


def a_test_is_sent(page: Page, system: System) -> None:
    page.get_by_role("link", name="Preview").click()
    page.get_by_label("Recipient").fill("cy@example.org")
    page.get_by_role("button", name="Preview").click()
    page.get_by_label("To", exact=True).fill("me@example.com")
    page.get_by_role("button", name="Send test").click()
    expect(page.get_by_role("status")).to_contain_text("The test is on its way to 1 address.")
    look(page, "walk-9-test-sent")
    wait_for(lambda: system.simulator.record()["mails"] == 1, within_s=30, what="the test went out")
    assert [mail["subject"] for mail in system.simulator.mails()] == ["[Test] Boots for Cy"]


def a_run_goes_out(page: Page, system: System) -> None:
    page.get_by_role("link", name="← Spring boots").click()
    page.get_by_role("button", name="Send now").click()
    look(page, "walk-10-ask-send-now")
    page.locator("main button").click()
    wait_for(lambda: system.simulator.record()["mails"] == 4, within_s=30, what="three mails went out")
    page.goto(f"{system.web_url}/runs")
    page.locator("tbody a").first.click()
    page.get_by_role("link", name="What it sent").click()
    page.get_by_label("Recipient").fill("ann@example.org")
    page.get_by_role("button", name="Show").click()
    expect(page.frame_locator("iframe").get_by_role("heading", name="Spring is here, Ann")).to_be_visible()
    look(page, "walk-11-what-it-sent")


def a_reader_leaves(page: Page, system: System) -> None:
    page.goto(f"{system.simulator.url}/inbox")
    look(page, "walk-12-inbox")
    page.get_by_role("link", name="Boots for Ann").click()
    look(page, "walk-13-mail")
    copy = next(one for one in system.simulator.copies() if one["recipient"] == "ann@example.org")
    page.goto(re.sub("[<>]", "", copy["headers"]["List-Unsubscribe"]))
    look(page, "walk-14-unsubscribe")
    page.get_by_role("button", name="Unsubscribe from Newsletter").click()
    expect(page.get_by_role("status")).to_contain_text("You are unsubscribed from Newsletter.")
    look(page, "walk-15-unsubscribed")


def it_is_seen_on_the_contact(page: Page, system: System) -> None:
    page.goto(f"{system.web_url}/people?q=ann@example.org")
    look(page, "walk-16-person")
    page.get_by_role("link", name="ann@example.org").first.click()
    expect(page.get_by_text("Unsubscribed from newsletter")).to_be_visible()
    look(page, "walk-17-contact")
