"""Pictures that a mail carries (`cid:`), seen where the mail is seen: a real browser."""

import struct
import zlib

import pytest
from playwright.sync_api import Page, expect

from mailroom.domain.ids import ScheduleId
from tests.support.living import run_now
from tests.support.pages import fill_in, look, sign_in
from tests.support.planned import expand_all, hold
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
WIDTH, HEIGHT = 320, 80


def a_png() -> bytes:
    """A blue rectangle (PNG, second edition, section 5)."""
    rows = (b"\0" + bytes((0x1D, 0x4F, 0x91)) * WIDTH) * HEIGHT
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    whole = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


def expect_the_picture(page: Page) -> None:
    shown = page.frame_locator("iframe").get_by_alt_text("Shop")
    expect(shown).to_have_js_property("naturalWidth", WIDTH)


def test_a_picture_that_the_mail_carries_is_seen_before_it_is_saved_after_it_and_as_it_went(
    page: Page, system: System
) -> None:
    sign_in(page, system)
    page.goto(f"{system.web_url}/schedules/new")
    html = "<p>Hi {{ name }}</p><img src='cid:shop.png' alt='Shop'>"
    fill_in(page, Name="News", From="Ann <ann@mg.example.com>", Subject="Hello", HTML=html)
    page.get_by_label("Paste addresses or CSV").fill("address,name\nbo@example.org,Bo\n")
    page.get_by_label("Attachments").set_input_files([{"name": "shop.png", "mimeType": "image/png", "buffer": a_png()}])
    page.get_by_text("Daily", exact=True).click()
    fill_in(page, Time="09:00")

    page.get_by_role("button", name="Preview email").click()
    expect_the_picture(page)
    look(page, "draft-preview-with-picture")
    page.get_by_role("button", name="Save schedule").click()
    page.get_by_role("link", name="Preview").click()
    expect_the_picture(page)
    look(page, "preview-with-picture")
    page.get_by_role("link", name="← News").click()
    page.get_by_role("link", name="Edit").click()
    page.get_by_role("button", name="Preview email").click()
    expect_the_picture(page)

    schedule = ScheduleId(system.db.schedules.find_one({})["_id"])  # type: ignore[index]
    run = run_now(system.db, schedule)
    expand_all(system.db, hold(system.db, schedule))
    page.goto(f"{system.web_url}/runs/{run}/sent")
    expect_the_picture(page)
    look(page, "sent-mail-with-picture")
