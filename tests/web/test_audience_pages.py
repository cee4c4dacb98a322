"""Lists in a browser without scripts: pasted or uploaded, their columns chosen, what is refused told and left out."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.pages import fill_in, look, sign_in
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
MAILCHIMP = (
    "Email Address,First Name,Last Name,Größe,Address\n"
    'bo@example.org,Bo,Smith,XL,"1 Main St\nSpringfield"\n'
    "nobody,No,Body,S,\n"
    "eve@example.org,Eve,Jones,M,\n"
    "BO@example.org,Bo,Again,M,\n"
)


def new_audience(page: Page, system: System) -> None:
    sign_in(page, system)
    page.get_by_role("link", name="Audiences").click()
    page.get_by_role("link", name="New audience").click()


def test_a_list_is_saved_once_and_a_schedule_is_made_for_it(page: Page, system: System) -> None:
    sign_in(page, system)
    page.get_by_role("link", name="Audiences").click()
    expect(page.get_by_text("No audiences yet.")).to_be_visible()
    look(page, "audiences-empty")
    page.get_by_role("link", name="New audience").click()
    page.get_by_label("Paste addresses or CSV").fill(
        "good@example.org\nBo <bo@example.org>, Eve <eve@example.org>\nbad"
    )
    page.get_by_role("button", name="Save audience").click()
    expect(page.locator(".field:has(#name) .message")).to_contain_text("characters")
    expect(page.locator(".field:has(#recipients) .message")).to_contain_text("1 line cannot be imported")
    expect(page.get_by_role("alert")).to_contain_text("Could not save: 2 fields need attention: Name, Paste")
    look(page, "audience-refused")

    fill_in(page, Name="Customers")
    page.get_by_label("Skip this line and import the other 3 recipients").check()
    page.get_by_role("button", name="Save audience").click()
    expect(page.get_by_role("status")).to_contain_text("Audience saved. 1 line was skipped.")
    expect(page.get_by_role("cell", name="Eve", exact=True)).to_be_visible()
    assert sorted(doc["address"].partition("@")[0] for doc in system.db.recipients.find()) == ["bo", "eve", "good"]
    look(page, "audience")
    page.get_by_role("link", name="Audiences", exact=True).click()
    look(page, "audiences")
    page.get_by_role("link", name="Customers").click()
    page.get_by_role("link", name="New schedule").click()
    fill_in(page, Name="News", From="Ann <ann@mg.example.com>", Subject="To {{ name }}", Text="Hello {{ name }}")
    page.get_by_label("Date and time").fill((datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S"))
    look(page, "schedule-form-audience")
    page.get_by_role("button", name="Save schedule").click()
    expect(page.locator(".facts")).to_contain_text("Customers, 3 recipients")
    page.get_by_role("link", name="Customers", exact=True).click()
    page.get_by_role("button", name="Delete audience").click()
    expect(page.get_by_role("heading", name="Delete audience “Customers”?")).to_be_visible()
    look(page, "ask-delete-audience")
    page.get_by_role("button", name="Delete audience").click()
    expect(page.get_by_text("No audiences yet.")).to_be_visible()
    assert system.db.schedules.count_documents({}) == 1


def test_an_uploaded_file_is_shown_with_its_columns_and_read_as_a_person_says(
    page: Page, system: System, tmp_path: Path
) -> None:
    file = tmp_path / "subscribers.csv"
    file.write_bytes(MAILCHIMP.encode("cp1252"))
    new_audience(page, system)
    fill_in(page, Name="Subscribers")
    page.get_by_label("Or a CSV file").set_input_files(file)
    page.get_by_role("button", name="Save audience").click()

    expect(page.get_by_text("Not saved yet. Check the columns")).to_be_visible()
    expect(page.get_by_label("Read column Email Address as")).to_have_value("address")
    expect(page.get_by_label("Merge field of column Größe")).to_have_value("grosse")
    expect(page.get_by_label("Encoding")).to_have_value("cp1252")
    expect(page.locator(".summary")).to_contain_text("2 recipients, 1 duplicate")
    expect(page.locator(".refused tbody tr")).to_contain_text("4")
    look(page, "audience-columns")
    page.get_by_label("Merge field of column Größe").fill("name")
    page.get_by_role("button", name="Save audience").click()
    expect(page.locator(".columns .message")).to_contain_text("'name' is taken")
    look(page, "audience-columns-refused")

    page.get_by_label("Merge field of column Größe").fill("size")
    page.get_by_label("Read column Address as").select_option("Do not import")
    page.get_by_role("button", name="Check again").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the refused line").click()
    report = download.value.path().read_text("utf-8-sig").splitlines()
    assert report[0] == "line,address,problem"
    assert report[1].startswith("4,nobody,")
    page.get_by_label("Skip this line").check()
    page.get_by_role("button", name="Save audience").click()

    expect(page.get_by_role("status")).to_contain_text("Audience saved. 1 line was skipped.")
    bo = system.db.recipients.find_one({"address": "bo@example.org"})
    assert bo is not None
    assert (bo["name"], bo["variables"]) == ("Bo Smith", {"first_name": "Bo", "last_name": "Smith", "size": "XL"})
    assert system.db.uploads.count_documents({}) == 0


def test_a_schedule_asks_what_columns_are_for_only_where_their_headings_leave_a_doubt(
    page: Page, system: System
) -> None:
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/new")
    fill_in(page, Name="News", From="Ann <ann@mg.example.com>", Subject="For {{ dog }}", Text="Hello {{ name }}")
    page.get_by_label("Date and time").fill((datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S"))
    page.get_by_label("Paste addresses or CSV").fill("sep=;\nE-mail;Name;Name of dog\nbo@example.org;Bo;Rex\nbad;x;y")
    page.get_by_role("button", name="Save schedule").click()

    expect(page.locator(".field:has(#recipients) .message").first).to_contain_text(
        "Check how the columns below are read"
    )
    page.get_by_label("Merge field of column Name of dog").fill("dog")
    page.get_by_label("Skip this line and import the other recipient").check()
    look(page, "schedule-form-columns")
    page.get_by_role("button", name="Save schedule").click()

    expect(page.get_by_text("Schedule saved.")).to_be_visible()
    (recipient,) = system.db.recipients.find()
    assert (recipient["address"], recipient["variables"]) == ("bo@example.org", {"dog": "Rex"})
