"""What a person does on the pages."""

import os
from pathlib import Path
from typing import Final

from playwright.sync_api import Page

from tests.support.system import System, wait_for

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
_SCHEMES: Final = ("dark", "light")


def sign_in(page: Page, system: System, token: str = "") -> None:
    page.goto(system.web_url)
    page.get_by_label("Token").fill(token or system.token)
    page.get_by_role("button", name="Sign in").click()


def look(page: Page, name: str) -> None:
    """The page at phone and desktop width: nothing sticks out sideways. With MAILROOM_SCREENSHOTS, a picture of each,
    light and dark."""
    folder = os.environ.get("MAILROOM_SCREENSHOTS")
    for device, size in (("phone", PHONE), ("desktop", DESKTOP)):
        page.set_viewport_size(size)
        # A page that a click has just led to has no style before its sheet is there.
        laid_out = f"document.readyState === 'complete' && innerWidth === {size['width']}"
        wait_for(lambda laid_out=laid_out: page.evaluate(laid_out), within_s=10, what="it is laid out anew")
        for scheme in _SCHEMES if folder else ():
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=Path(folder or "") / f"{name}-{device}-{scheme}.png", full_page=True)
        assert width_of(page) <= size["width"], f"{name} is wider than a {device}: {_too_wide(page)}"


def width_of(page: Page) -> int:
    """How wide the page is, in pixels, with what sticks out."""
    return int(page.evaluate("document.documentElement.scrollWidth"))


def _too_wide(page: Page) -> list[str]:
    """The elements that stick out."""
    beyond = "[...document.querySelectorAll('*')].filter(one => one.getBoundingClientRect().right > innerWidth)"
    return [str(html) for html in page.evaluate(f"{beyond}.map(one => one.outerHTML.slice(0, 120))")][-3:]


def fill_in(page: Page, **fields: str) -> None:
    for label, value in fields.items():
        page.get_by_label(label.replace("_", " "), exact=True).fill(value)
