"""Preheader, Markdown, CSS and a text that is made, on the form and the preview: a real browser."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.pages import fill_in, look, sign_in
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

MARKDOWN = """# Hello {{ name }}

Three pairs, **only today**:

- [Boots](https://shop.example.com/boots)
- Sandals

> "The best." A reader

| Pair | Price |
|---|--:|
| Boots | 49.00 |
"""
STYLED = """<html><head><style>
h1 { background: #1d4f91; color: #ffffff; padding: 20px }
.two td { width: 50%; padding: 8px; background: #eeeeee }
@media (max-width: 500px) { .two td { display: block; width: auto } }
</style></head><body><h1>Spring</h1><table class="two" width="100%"><tr><td>Left</td><td>Right</td></tr></table>
</body></html>
"""


def test_a_schedule_of_markdown_with_a_preheader_is_written_and_previewed(page: Page, system: System) -> None:
    system.start_web()
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/new")
    fill_in(page, Name="Digest", From="Ann <ann@mg.example.com>", Subject="News", Preheader="Boots for {{ nam }}")
    page.get_by_text("Markdown instead of HTML").click()
    fill_in(page, Markdown=MARKDOWN)
    page.get_by_label("Paste addresses or CSV").fill("address,name\nbo@example.org,Bo")
    page.get_by_text("Weekdays", exact=True).click()
    fill_in(page, Time="09:00")
    page.get_by_role("button", name="Save schedule").last.click()
    expect(page.get_by_text('Did you mean "name"?')).to_be_visible()
    look(page, "bodies-refused")
    fill_in(page, Preheader="Boots for {{ name }}")
    page.get_by_role("button", name="Save schedule").last.click()

    page.get_by_role("link", name="Preview").click()
    expect(page.get_by_text("Boots for Bo")).to_be_visible()
    expect(page.get_by_text("Made from the HTML.")).to_be_visible()
    expect(page.get_by_text("Boots (https://shop.example.com/boots)")).to_be_visible()
    expect(page.frame_locator("iframe").get_by_role("heading", name="Hello Bo")).to_be_visible()
    expect(page.frame_locator("iframe").get_by_text("Boots for Bo")).to_be_hidden()
    look(page, "markdown-preview")
    page.get_by_role("link", name="Phone").click()
    look(page, "markdown-preview-phone")
    page.get_by_role("link", name="← Digest").click()
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Markdown", exact=True)).to_have_value(MARKDOWN)
    expect(page.get_by_label("Text", exact=True)).to_have_value("")
    page.get_by_role("button", name="Save schedule").last.click()
    content = system.db.contents.find_one({})
    assert content
    assert system.db.contents.count_documents({}) == 1
    assert content["text"].startswith("Hello {{ name }}")


def test_css_in_the_elements_leaves_the_phone_its_media_query(page: Page, system: System) -> None:
    system.start_web()
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/new")
    fill_in(page, Name="Spring", From="Ann <ann@mg.example.com>", Subject="News", HTML=STYLED)
    page.get_by_label("Paste addresses or CSV").fill("bo@example.org")
    page.get_by_text("Weekdays", exact=True).click()
    fill_in(page, Time="09:00")
    page.get_by_role("button", name="Save schedule").last.click()
    page.get_by_role("link", name="Preview").click()
    cells = page.frame_locator("iframe").locator("td")

    expect(cells.first).to_have_css("padding-top", "8px")
    wide = [cells.nth(n).bounding_box() for n in (0, 1)]
    look(page, "css-preview")
    page.get_by_role("link", name="Phone").click()
    expect(cells.first).to_have_css("display", "block")
    narrow = [cells.nth(n).bounding_box() for n in (0, 1)]
    look(page, "css-preview-phone")

    assert all(wide) and all(narrow)
    assert wide[0]["y"] == wide[1]["y"]
    assert narrow[0]["y"] < narrow[1]["y"]
    assert cells.first.get_attribute("style").startswith("width: 50%")
