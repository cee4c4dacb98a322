"""Topics, previews and copies on the pages, and a reader who leaves a topic: a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.builders import recipients, stored_schedule
from tests.support.campaigns import a_campaign, finished
from tests.support.pages import fill_in, look, sign_in
from tests.support.system import System, wait_for
from tests.support.topics import LINKED, a_topic

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_a_topic_is_made_and_given_to_a_schedule(page: Page, system: System) -> None:
    system.start_web()
    sign_in(page, system)
    page.get_by_role("link", name="Topics").click()
    fill_in(page, Name="Weekly news", Id="Weekly")
    page.get_by_label("Add a footer").check()
    page.get_by_role("button", name="Save topic").click()
    expect(page.get_by_text("small letters, digits and -, with a letter")).to_be_visible()
    expect(page.get_by_text("it is needed")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("Weekly news")
    look(page, "topics-refused")
    fill_in(page, Id="weekly", Postal_address_of_the_sender="Shop Ltd\nVia Roma 1, Rome")
    page.get_by_role("button", name="Save topic").click()
    expect(page.get_by_role("status")).to_contain_text("Topic “Weekly news” is saved.")
    look(page, "topics")

    page.goto(f"{system.web_url}/schedules/new")
    look(page, "schedule-form-with-topic")
    fill_in(page, Name="Digest", From="Ann <ann@mg.example.com>", Subject="News", Text="Hello")
    page.get_by_label("Topic").select_option(label="Weekly news")
    page.get_by_label("Paste addresses or CSV").fill("bo@example.org")
    page.get_by_text("Weekdays", exact=True).click()
    fill_in(page, Time="09:00")
    page.get_by_role("button", name="Save schedule").last.click()
    expect(page.get_by_role("heading", name="Digest")).to_be_visible()
    expect(page.get_by_text("weekly", exact=True)).to_be_visible()

    page.goto(f"{system.web_url}/topics/weekly")
    page.get_by_label("Add a footer").uncheck()
    page.get_by_role("button", name="Save topic").click()
    expect(page.get_by_role("status")).to_contain_text("is saved")
    content = system.db.contents.find_one({})
    assert content
    assert (content["topic"], content["footer"]) == ("weekly", "Shop Ltd\nVia Roma 1, Rome")


def test_a_reader_leaves_by_the_link_and_it_is_seen_on_the_contact(page: Page, system: System) -> None:
    system.start_simulator()
    system.start_api()
    system.start_web()
    system.start_senders(1)
    for topic in ("newsletter", "product-news", "offers"):
        a_topic(system.db, topic)
    schedule = a_campaign(system, 1, topic="newsletter", **LINKED)
    wait_for(lambda: finished(system, schedule), within_s=30, what="the run is finished")
    (copy,) = system.simulator.copies()
    link = re.sub("[<>]", "", copy["headers"]["List-Unsubscribe"])

    page.goto(link)
    look(page, "unsubscribe")
    page.get_by_role("button", name="Unsubscribe from Newsletter").click()
    expect(page.get_by_role("status")).to_contain_text("You are unsubscribed from Newsletter.")
    look(page, "unsubscribed")
    page.get_by_role("listitem").filter(has_text="Offers").get_by_role("button", name="Unsubscribe").click()
    expect(page.get_by_role("status")).to_contain_text("You are unsubscribed from Offers.")
    page.goto(link[:-8])
    expect(page.get_by_role("alert")).to_contain_text("This link does not work")
    look(page, "unsubscribe-cut-off")

    sign_in(page, system)
    page.goto(f"{system.web_url}/people?q=reader-0@example.org")
    page.get_by_role("link", name="reader-0@example.org").first.click()
    expect(page.get_by_text("Unsubscribed from newsletter")).to_be_visible()
    expect(page.get_by_text("the page behind the link")).to_have_count(2)
    look(page, "contact")
    page.goto(f"{system.simulator.url}/inbox/{copy['id']}")
    expect(page.get_by_role("button", name="Unsubscribe by one click")).to_be_visible()
    look(page, "simulator-mail")


def test_a_schedule_is_previewed_for_a_recipient_and_duplicated(page: Page, system: System) -> None:
    html = (
        "<body style='margin:0'><h1 style='background:#1d4f91;color:#fff;padding:20px'>Spring</h1><p>Hello {{ name }}"
    )
    schedule = stored_schedule(system.db, recipients=recipients(3), subject="Spring for {{ name }}", html=html)
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/{schedule.id}")
    page.get_by_role("link", name="Preview").click()
    expect(page.get_by_text("Spring for Reader 0")).to_be_visible()
    look(page, "preview")
    page.get_by_label("Recipient").fill("reader-2@example.org")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Spring for Reader 2")).to_be_visible()
    expect(page.frame_locator("iframe").get_by_text("Hello Reader 2")).to_be_visible()
    page.get_by_label("To", exact=True).fill("me@example.com, you")
    page.get_by_role("button", name="Send test").click()
    expect(page.get_by_text("You: ")).to_be_visible()
    expect(page.get_by_label("To", exact=True)).to_have_value("me@example.com, you")
    page.get_by_label("To", exact=True).fill("me@example.com, you@example.com")
    page.get_by_role("button", name="Send test").click()
    expect(page.get_by_role("status")).to_contain_text("on its way to 2 addresses")
    assert system.db.emails.count_documents({"subject": "[Test] Spring for Reader 2"}) == 2
    page.get_by_role("link", name="Phone").click()
    look(page, "preview-phone-width")
    page.get_by_label("Recipient").fill("nobody@example.org")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Is not among the recipients.")).to_be_visible()

    page.goto(f"{system.web_url}/schedules/{schedule.id}")
    page.get_by_role("button", name="Duplicate").click()
    expect(page.get_by_role("heading", name="Copy of Weekday digest")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("It is paused")
    look(page, "duplicated")
