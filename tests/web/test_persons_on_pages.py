"""A person's data on the page of the contact: downloaded, and erased after one question. A real browser."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mailroom.domain.ids import address_digest_of, message_id
from mailroom.storage.database import Db
from tests.support.erasing import ANN, erase, handed_in, where, work
from tests.support.living import a_schedule_to, an_audience, plan_all, run_now
from tests.support.pages import look, sign_in
from tests.support.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_all_data_is_downloaded_and_erased_after_a_question_that_names_what_goes(
    page: Page, system: System, db: Db, tmp_path: Path
) -> None:
    an_audience(db, "ann", "bo")
    handed_in(db, ANN)
    sign_in(page, system)
    page.goto(f"{system.web_url}/contacts/{ANN}")
    look(page, "contact-of-a-person")

    with page.expect_download() as download:
        page.get_by_role("link", name="Download everything as JSON").click()
    download.value.save_as(tmp_path / "contact.json")
    page.get_by_role("link", name="Erase…").click()
    expect(page.get_by_role("heading", name=f"Erase all data of {ANN}?")).to_be_visible()
    expect(page.get_by_text("From every audience: the address, the name, all merge fields")).to_be_visible()
    look(page, "erase-question")
    page.get_by_role("link", name="Go back").click()
    assert db.erasures.count_documents({}) == 0
    page.get_by_role("link", name="Erase…").click()
    page.get_by_role("button", name="Erase").click()

    expect(page.get_by_role("status")).to_contain_text("The data is being erased.")
    expect(page.get_by_text("Running")).to_be_visible()
    work(db)
    page.reload()
    expect(page.get_by_text("Done")).to_be_visible()
    expect(page.get_by_text("In no saved audience.")).to_be_visible()
    look(page, "contact-erased")
    assert [len(json.loads((tmp_path / "contact.json").read_text())[name]) for name in ("audiences", "mails")] == [1, 1]
    assert where(db) == {"recipients"}


def test_a_mail_to_somebody_who_was_erased_is_shown_without_them(page: Page, system: System, db: Db) -> None:
    run = run_now(db, schedule := a_schedule_to(db, an_audience(db, "ann")))
    plan_all(db, schedule)
    db.dispatches.update_many({}, {"$set": {"state": "accepted"}})
    erase(db)
    sign_in(page, system)

    page.goto(f"{system.web_url}/runs/{run}/mails/{address_digest_of(message_id(run, ANN))}/content")

    expect(page.get_by_text("The recipient was erased, with what was written for them.")).to_be_visible()
    expect(page.get_by_text(ANN)).to_have_count(0)
