"""The contacts and segments of an audience, on its pages in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from mailroom.services.audiences import contacts
from mailroom.storage.database import Db
from tests.support.living import an_audience
from tests.support.pages import PHONE, look, sign_in, width_of
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_contacts_are_pasted_changed_and_removed(page: Page, system: System, db: Db) -> None:
    audience = an_audience(db, "ann", "bo")
    sign_in(page, system)
    page.goto(f"{system.web_url}/audiences/{audience}")
    page.get_by_role("link", name="Add contacts").click()

    page.get_by_label("Paste addresses or CSV").fill("address,name,plan\nbo@example.org,,pro\ncy@example.org,Cy,free\n")
    page.get_by_role("button", name="Add contacts").last.click()
    expect(page.get_by_role("status")).to_contain_text("Not saved yet")
    look(page, "audience-add")
    page.get_by_role("button", name="Add contacts").last.click()

    expect(page.get_by_text("1 contact added, 1 changed, 0 were there already.")).to_be_visible()
    page.get_by_role("link", name="bo@example.org").click()
    expect(page.get_by_label("Merge fields")).to_have_value("city: Rome\nplan: pro")
    look(page, "audience-contact")
    page.get_by_label("Merge fields").fill("city: Oslo")
    page.get_by_label("Time zone").fill("Nowhere")
    page.get_by_role("button", name="Save contact").click()
    expect(page.get_by_text("Not an IANA time zone such as Europe/Berlin.")).to_be_visible()
    page.get_by_label("Time zone").fill("Europe/Oslo")
    page.get_by_role("button", name="Save contact").click()

    expect(page.get_by_text("bo@example.org is saved.")).to_be_visible()
    stored = contacts.get(db, audience, "bo@example.org").recipient
    assert (stored.name, stored.variables, stored.time_zone) == ("Bo", {"city": "Oslo"}, "Europe/Oslo")
    page.get_by_role("link", name="ann@example.org").click()
    page.get_by_role("button", name="Remove from audience").click()
    expect(page.get_by_role("link", name="ann@example.org")).to_have_count(0)
    look(page, "audience")


def test_a_segment_is_counted_saved_and_chosen_for_a_schedule(page: Page, system: System, db: Db) -> None:
    audience = an_audience(db, "ann", "bo", "cy")
    contacts.patch(db, audience, "bo@example.org", {"variables": {"city": "Oslo"}}, source="tests")
    db.suppressions.insert_one({"_id": "ann@example.org", "reason": "complained"})
    sign_in(page, system)
    page.goto(f"{system.web_url}/audiences/{audience}/segments")

    page.get_by_label("Name").fill("Romans")
    page.get_by_label("Filter").fill('town = "Rome"')
    page.get_by_role("button", name="Count contacts").click()
    expect(page.get_by_text(re.compile("no contact has the merge field", re.IGNORECASE))).to_be_visible()
    page.get_by_label("Filter").fill('city = "Rome"')
    page.get_by_role("button", name="Count contacts").click()
    expect(page.get_by_role("status")).to_have_text("2 contacts today, 1 of them suppressed: they get nothing.")
    page.get_by_role("button", name="Save segment").click()
    expect(page.get_by_role("cell", name="Romans", exact=True)).to_be_visible()
    look(page, "segments")

    page.goto(f"{system.web_url}/schedules/new")
    page.get_by_label("Audience").select_option(label="Audience k: Romans")
    page.get_by_role("button", name="Preview schedule").click()
    expect(page.get_by_text("Today it goes to 2 contacts, 1 of them suppressed")).to_be_visible()


@pytest.mark.parametrize("path", ["", "/add", "/segments", "/contacts/bo@example.org"])
def test_the_pages_of_an_audience_fit_a_phone(page: Page, system: System, db: Db, path: str) -> None:
    audience = an_audience(db, "ann", "bo")
    sign_in(page, system)
    page.set_viewport_size(PHONE)
    page.goto(f"{system.web_url}/audiences/{audience}{path}")

    assert width_of(page) <= PHONE["width"]
