"""What a person does on the pages."""

import os
from pathlib import Path

from playwright.sync_api import Page

from tests.support.system import System

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


def sign_in(page: Page, system: System) -> None:
    page.goto(system.web_url)
    page.get_by_label("Token").fill(system.token)
    page.get_by_role("button", name="Sign in").click()


def look(page: Page, name: str) -> None:
    """The page at phone and desktop width: nothing sticks out sideways; a picture of each where one is wanted."""
    folder = os.environ.get("MAILROOM_SCREENSHOTS")
    for device, size in (("phone", PHONE), ("desktop", DESKTOP)):
        page.set_viewport_size(size)
        if folder:
            page.screenshot(path=Path(folder) / f"{name}-{device}.png", full_page=True)
        box = page.locator("main").bounding_box()
        assert box is not None
        assert box["width"] <= size["width"], f"{name} is wider than a {device}"


def fill_in(page: Page, **fields: str) -> None:
    for label, value in fields.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(value)
