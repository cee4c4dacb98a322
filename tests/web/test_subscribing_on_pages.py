"""A topic that has subscriptions confirmed, its form on a page of somebody's, and a reader who fills it in: a real
browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mailroom.assembly.links import build_confirm_links
from mailroom.domain.subscription_forms import form_html
from mailroom.services.consent import topics
from tests.support.pages import fill_in, look, sign_in
from tests.support.subscribing import path_of, requests_stored
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_a_topic_asks_for_confirmation_and_shows_its_form(page: Page, system: System) -> None:
    system.start_web()
    sign_in(page, system)
    page.get_by_role("link", name="Topics").click()
    fill_in(page, Name="Weekly news", Id="weekly")
    page.get_by_label("Ask subscribers to confirm").check()
    page.get_by_role("button", name="Save topic").click()
    expect(page.get_by_text("the confirmation email needs a sender", exact=False)).to_be_visible()
    fill_in(page, From="Shop <news@mg.example.com>")
    page.get_by_label("Link works for (hours)").fill("soon")
    page.get_by_role("button", name="Save topic").click()
    expect(page.get_by_text("from an hour")).to_be_visible()
    look(page, "topic-confirmation-refused")
    page.get_by_label("Link works for (hours)").fill("36")
    page.get_by_role("button", name="Save topic").click()
    expect(page.get_by_role("status")).to_contain_text("is saved")
    look(page, "topics-confirmed")

    page.get_by_role("link", name="Weekly news").click()
    expect(page.get_by_label("Subject", exact=True)).to_have_value("Confirm your subscription to {{ topic }}")
    expect(page.get_by_label("Link works for (hours)")).to_have_value("36")
    html = form_html(topics.get(system.db, "weekly"), system.environment["MAILROOM_PUBLIC_URL"])
    expect(page.locator("#form-html")).to_have_value(html)
    look(page, "topic-form")
    assert topics.get(system.db, "weekly").confirmation.within_s == 36 * 3_600


def test_a_reader_fills_in_the_form_of_somebodys_page_and_confirms(page: Page, system: System, tmp_path: Path) -> None:
    system.start_api(webhooks=False)
    topic, _ = topics.create(
        system.db,
        {"id": "weekly", "name": "Weekly news", "double_opt_in": True, "confirm_from": "news@mg.example.com"},
        by="tests",
    )
    theirs = tmp_path / "theirs.html"
    theirs.write_text(
        f"<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><title>Shop</title>"
        f"<body style='font-family:sans-serif;color-scheme:light dark'><h1>Shop</h1>{form_html(topic, system.api_url)}"
    )

    page.goto(theirs.as_uri())
    look(page, "embedded-form")
    expect(page.get_by_label("Leave this field empty")).not_to_be_in_viewport()
    page.get_by_label("Email address").fill("bo@example.org")
    page.get_by_label("Name (optional)").fill("Bo")
    page.get_by_role("button", name="Subscribe to Weekly news").click()
    expect(page.get_by_role("heading", name="Check your inbox")).to_be_visible()
    look(page, "subscribed-by-form")

    (asked,) = requests_stored(system.db)
    path = path_of(build_confirm_links(system.settings.web), asked)
    page.goto(f"{system.api_url}{path}")
    look(page, "confirm")
    page.get_by_role("button", name="Confirm subscription").click()
    expect(page.get_by_role("heading", name="You are subscribed")).to_be_visible()
    look(page, "confirmed")
    page.goto(f"{system.api_url}{path[:-8]}")
    expect(page.get_by_role("alert")).to_contain_text("This link does not work")
    look(page, "confirm-cut-off")

    system.start_web()
    sign_in(page, system)
    page.goto(f"{system.web_url}/contacts/bo@example.org")
    expect(page.get_by_text("Subscribed to weekly")).to_be_visible()
    expect(page.get_by_text("form, confirmed by email")).to_be_visible()
    look(page, "contact-confirmed")


def test_a_form_with_a_fault_says_so(page: Page, system: System) -> None:
    system.start_api(webhooks=False)
    topics.create(system.db, {"id": "weekly", "name": "Weekly news"}, by="tests")
    page.set_content(
        f"<form method=post action='{system.api_url}/v1/subscribe'><input name=topic value=weekly>"
        "<input name=address value=bo><button>Go</button></form>"
    )

    page.get_by_role("button", name="Go").click()

    expect(page.get_by_role("alert")).to_contain_text("Email address: an address has something before its @-sign")
    look(page, "subscribe-refused")
