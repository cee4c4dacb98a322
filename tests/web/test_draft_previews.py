"""The email of a form that is not saved, seen as one recipient after another; and the form as it was typed: a real
browser without scripts."""

import re
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from mailroom.services.audiences import contacts
from tests.support.builders import stored_schedule
from tests.support.living import an_audience, put
from tests.support.pages import fill_in, look, sign_in
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
HTML = (
    "<style>h1 { background: #1d4f91; color: #ffffff; padding: 20px }</style><h1>Hello {{ name }}</h1>\n"
    "<p>Boots in {{ city }}. <a href='/boots'>See</a></p><img src='https://shop.example/a.png'>"
)


def test_a_form_is_previewed_before_it_is_saved_and_comes_back_as_it_was(page: Page, system: System) -> None:
    audience = an_audience(system.db, "ann", "bo", "cy")
    out = an_audience(system.db, "di", key="2")
    put(system.db, audience, "bo", city="Oslo")
    contacts.put(system.db, audience, {"address": "eve@example.org", "name": "Eve", "variables": {}}, source="tests")
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/new")
    fill_in(page, From="Ann <ann@elsewhere.com>", Subject="For {{ name }} & co", HTML=HTML, Tags="a, b")
    page.get_by_label("Audience").select_option(value=audience)
    page.locator("summary", has_text="Leave out").click()
    page.get_by_label("Leave out").select_option(value=[out])
    page.get_by_text("Weekly", exact=True).click()
    page.get_by_label("Tuesday").check()
    page.get_by_label("Thursday").check()
    page.get_by_role("button", name="Preview email").click()

    expect(page.get_by_text("For Ann & co")).to_be_visible()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Hello Ann")).to_have_css("background-color", "rgb(29, 79, 145)")
    expect(page.get_by_text("“city” is missing for 1 of 4 contacts, for example eve@example.org")).to_be_visible()
    for words in ("1 link without a whole address", "1 image without a text", "No provider is set up to send"):
        expect(page.get_by_text(words)).to_be_visible()
    expect(page.get_by_text("There is no link to unsubscribe")).to_be_visible()
    look(page, "draft-preview")

    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("For Bo & co")).to_be_visible()
    expect(frame.get_by_text("Boots in Oslo.")).to_be_visible()
    page.get_by_role("button", name="Phone").click()
    expect(page.get_by_text("For Bo & co")).to_be_visible()
    expect(page.locator("iframe.phone")).to_be_visible()
    look(page, "draft-preview-phone")
    page.get_by_label("Recipient").fill("EVE@example.org")
    page.get_by_label("Recipient").press("Enter")
    expect(page.get_by_text("HTML: this recipient has no “city”.")).to_be_visible()
    look(page, "draft-preview-of-who-lacks-a-field")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("That is the last one in this direction.")).to_be_visible()
    page.get_by_role("button", name="Previous").click()
    expect(page.get_by_text("For Cy & co")).to_be_visible()
    expect(page.locator("iframe.phone")).to_be_visible()
    page.get_by_label("Recipient").fill("nobody@example.org")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("Is not among the recipients.")).to_be_visible()
    assert system.db.schedules.count_documents({}) == system.db.contents.count_documents({}) == 0

    page.get_by_role("button", name="Back to the form").click()
    expect(page.get_by_label("HTML", exact=True)).to_have_value(HTML)
    expect(page.get_by_label("Tags")).to_have_value("a, b")
    expect(page.get_by_label("Audience")).to_have_value(audience)
    expect(page.get_by_label("Leave out")).to_have_values([out])
    expect(page.get_by_label("Tuesday")).to_be_checked()
    expect(page.get_by_label("Wednesday")).not_to_be_checked()
    expect(page.get_by_label("Inline CSS")).to_be_checked()
    assert system.db.schedules.count_documents({}) == 0


@pytest.mark.parametrize("stored", [True, False])
def test_nothing_in_an_email_acts_on_the_page_where_scripts_run(browser: Browser, system: System, stored: bool) -> None:
    system.start_web()
    hostile = (
        "<h1>Hello</h1><script>parent.document.title = 'taken'; document.body.innerHTML = 'taken over'</script>"
        "<img src=x onerror=\"document.body.innerHTML = 'taken over'\"><a href='/' target='_top'>Leave</a>"
    )
    page = browser.new_page()
    sign_in(page, system)
    if stored:
        page.goto(f"{system.web_url}/schedules/{stored_schedule(system.db, html=hostile).id}/preview")
    else:
        page.goto(f"{system.web_url}/schedules/new")
        fill_in(page, From="Ann <ann@mg.example.com>", Subject="Hello", HTML=hostile)
        page.get_by_label("Paste addresses or CSV").fill("bo@example.org")
        page.get_by_role("button", name="Preview email").click()
    address = page.url
    frame = page.frame_locator("iframe")

    frame.get_by_role("link", name="Leave").click()
    page.wait_for_timeout(500)

    expect(frame.get_by_role("heading", name="Hello")).to_be_visible()
    expect(frame.get_by_text("taken over")).to_have_count(0)
    assert page.url == address
    assert page.title().startswith("Preview of")
    page.close()


def test_an_uploaded_list_is_previewed_and_saved_from_the_preview(page: Page, system: System, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("address,name,city\nbo@example.org,Bo,Oslo\nann@example.org,Ann,Rome\n")
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/new")
    fill_in(
        page, Name="News", From="Ann <ann@mg.example.com>", Subject="{{ name }} in {{ city }}", Text="\n One\n\nTwo"
    )
    page.get_by_label("Or a CSV file").set_input_files(file)
    page.get_by_label("Attachments").set_input_files(
        [{"name": name, "mimeType": "text/plain", "buffer": name.encode()} for name in ("boots.txt", "hats.txt")]
    )
    page.get_by_text("Daily", exact=True).click()
    fill_in(page, Time="09:00")
    page.get_by_role("button", name="Preview email").click()
    expect(page.get_by_text("Ann in Rome")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Bo in Oslo")).to_be_visible()
    page.get_by_role("button", name="Back to the form").click()
    expect(page.get_by_label("Merge field of column city")).to_have_value("city")
    expect(page.get_by_text("Chosen: boots.txt, hats.txt")).to_be_visible()
    more = [{"name": "socks.txt", "mimeType": "text/plain", "buffer": b"socks"}]
    page.get_by_label("Attachments").set_input_files(more)
    look(page, "form-with-files-that-were-chosen")
    page.get_by_role("button", name="Preview email").click()
    page.get_by_role("button", name="Save schedule").click()

    expect(page.get_by_role("heading", name="News")).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("2 recipients")
    content = system.db.contents.find_one({})
    assert content
    assert content["text"].strip() == "One\n\nTwo"
    expect(page.get_by_text("boots.txt (9 bytes)")).to_be_visible()
    expect(page.get_by_text("hats.txt (8 bytes)")).to_be_visible()
    expect(page.get_by_text("socks.txt (5 bytes)")).to_be_visible()
    assert system.db.schedules.count_documents({}) == 1


def test_what_no_email_can_be_made_of_is_told_beside_the_field(page: Page, system: System) -> None:
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/new")
    fill_in(page, Subject="Hello {{ name", Text="Hello", URL="http://169.254.169.254/")
    page.get_by_label("Paste addresses or CSV").fill("bo@example.org")
    page.get_by_role("button", name="Preview email").click()

    expect(page.get_by_text("MAILROOM_FEED_HTTP allows http://")).to_be_visible()
    fill_in(page, URL="")
    page.get_by_role("button", name="Preview email").click()
    expect(page.locator(".field:has(#subject) .message")).to_contain_text("write }} after it")
    expect(page.locator(".field:has([name=from]) .message")).to_be_visible()
    expect(page.locator(".field:has(#name) .message")).to_have_count(0)
    look(page, "draft-not-previewed")
    assert page.goto(f"{system.web_url}/schedules/new/preview")
    expect(page.get_by_role("heading", name="New schedule")).to_be_visible()


def test_an_edit_is_previewed_with_the_feed_as_it_is_now_and_the_schedule_stays(page: Page, system: System) -> None:
    system.start_simulator()
    feed = f"{system.simulator.url}/simulator/feeds/news"
    requests.post(feed, json=[{"title": "Boots"}], timeout=10).raise_for_status()
    schedule = stored_schedule(system.db, text="Old")
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/{schedule.id}/edit")
    page.get_by_label("Deliver", exact=True).select_option(index=1)
    fill_in(page, Name="", Text="{% for item in feed.items %}{{ item.title }} for {{ name }}{% endfor %}", URL=feed)
    page.get_by_role("button", name="Preview email").click()

    expect(page.get_by_text("Boots for Bo")).to_be_visible()
    look(page, "edit-preview")
    requests.post(feed, json=[{"title": "Hats"}], timeout=10).raise_for_status()
    page.get_by_role("button", name="Preview", exact=True).last.click()
    expect(page.get_by_text(re.compile("Hats for Bo"))).to_be_visible()
    page.get_by_role("button", name="Back to the form").click()
    expect(page.get_by_role("heading", name="Edit schedule")).to_be_visible()
    expect(page.get_by_label("URL", exact=True)).to_have_value(feed)
    stored = system.db.contents.find_one({"_id.schedule": schedule.id})
    assert stored
    assert stored["text"] == "Old"
    assert system.db.contents.count_documents({}) == 1


def test_a_preview_after_the_session_has_ended_comes_back_to_the_form(page: Page, system: System) -> None:
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/new")
    fill_in(page, Name="News", From="Ann <ann@mg.example.com>", Subject="Hello", Text="Hello")
    page.get_by_label("Paste addresses or CSV").fill("bo@example.org")
    page.get_by_role("button", name="Preview email").click()
    system.db.sessions.delete_many({})

    page.get_by_role("button", name="Next").click()
    page.get_by_label("Token").fill(system.token)
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_label("Name", exact=True)).to_have_value("News")
    expect(page.get_by_label("Paste addresses or CSV")).to_have_value("bo@example.org")


def test_the_checks_of_a_schedule_stand_on_its_page(page: Page, system: System) -> None:
    audience = an_audience(system.db, "ann", "bo")
    schedule = stored_schedule(
        system.db, recipients=(), audience=audience, text="{{ city }}", html="<a href='/x'>x</a>"
    )
    contacts.put(system.db, audience, {"address": "eve@example.org", "name": "Eve", "variables": {}}, source="tests")
    sign_in(page, system)

    page.goto(f"{system.web_url}/schedules/{schedule.id}")

    checks = page.locator("section", has=page.get_by_role("heading", name="Checks"))
    expect(checks).to_contain_text("“city” is missing for 1 of 3 contacts, for example eve@example.org")
    expect(checks).to_contain_text("1 link without a whole address")
    look(page, "schedule-checks")
