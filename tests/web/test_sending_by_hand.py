"""One email sent by hand: from a sample to the trail on its page; refused with what was typed; sent once."""

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from config.settings import read_settings
from mailroom.assembly.api import build_api_services
from mailroom.domain.events import EventKind
from mailroom.domain.limits import MAX_MAIL_BYTES
from mailroom.services.operations import tokens as token_service
from mailroom.storage.database import Db, server_now
from tests.support.forms import csrf_of, fields_of
from tests.support.forms import sign_in as sign_client_in
from tests.support.pages import look, sign_in
from tests.support.suppressions import take_in_event
from tests.support.system import System
from web.app import create_app

WHOLE = {
    "from": "Shop <shop@mg.example.com>",
    "to": "Bo <bo@example.org>, cy@example.org",
    "subject": "Hi",
    "text": "Hello",
}
SignedIn = Callable[..., FlaskClient]


@pytest.fixture
def signed_in(system: System) -> SignedIn:
    def client_of(scope: str = "mail", **settings: str) -> FlaskClient:
        changed = read_settings(system.environment | settings, dotenv=None)
        client = create_app(build_api_services(changed, app="tests")).test_client()
        token = token_service.create_token(system.db, name=scope, scopes=[scope], now=server_now(system.db))
        sign_client_in(client, token)
        return client

    return client_of


def send(client: FlaskClient, fields: dict[str, str], *files: tuple[str, bytes]) -> Any:
    """Send the form as a browser would, with what the page has hidden in it."""
    form: dict[str, Any] = fields_of(client.get("/emails/new").text) | fields
    form["attachments"] = [(io.BytesIO(content), name) for name, content in files]
    return client.post("/emails/new", data=form, content_type="multipart/form-data")


def message_of(page: str, field: str) -> str:
    found = re.search(rf'<div id="{field}-wrong">(.*?)</div>', page, re.DOTALL)
    return re.sub(r"<[^>]+>", " ", found[1]).strip() if found else ""


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_from_a_sample_to_the_trail_on_its_page(page: Page, system: System) -> None:
    system.start_simulator()
    system.start_api()
    system.start_senders(1)
    sign_in(page, system)
    page.get_by_role("link", name="Transactional").click()
    look(page, "emails-empty")

    page.get_by_role("link", name="New email").click()
    look(page, "email-form")
    page.get_by_role("link", name="Start from a sample").click()
    page.get_by_label("Subject").fill("Your invoice")
    page.get_by_label("Attachments").set_input_files(
        {"name": "invoice.txt", "mimeType": "text/plain", "buffer": b"7 euros"}
    )
    look(page, "email-form-sample")
    page.get_by_role("button", name="Send email").click()

    expect(page.get_by_text("Email accepted.")).to_be_visible()
    expect(page.get_by_role("heading", name="Your invoice")).to_be_visible()
    # The page reloads by itself until nothing more is to be expected soon.
    expect(page.locator(".state.delivered").first).to_be_visible(timeout=30_000)
    for step in ("claimed", "accepted", "delivered"):
        expect(page.locator("td strong").get_by_text(step, exact=True).first).to_be_visible()
    look(page, "email-by-hand")
    (mail,) = system.simulator.mails()
    assert mail["subject"] == "Your invoice"
    page.goto(f"{system.simulator.url}/inbox")
    page.get_by_role("link", name="Your invoice").click()
    expect(page.get_by_text("invoice.txt")).to_be_visible()


def test_a_form_is_sent_with_its_priority_and_files_to_everybody_named(signed_in: SignedIn, db: Db) -> None:
    fields = WHOLE | {
        "cc": "di@example.org",
        "bcc": '"Eve, E." <ed@example.org>',
        "priority": "high",
        "html": "<p>Hi</p>",
    }

    answer = send(signed_in(), fields, ("a.txt", b"A"), ("b.bin", b"\x00\xff"))

    stored, body = db.emails.find_one({}), db.bodies.find_one({})
    assert stored
    assert body
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/emails/{stored['_id']}")
    assert stored["recipients"] == ["bo@example.org", "cy@example.org", "di@example.org", "ed@example.org"]
    assert [to["place"] for to in stored["addressees"]] == ["to", "to", "cc", "bcc"]
    assert stored["priority"] == "high"
    assert [(one["filename"], bytes(one["content"])) for one in body["attachments"]] == [
        ("a.txt", b"A"),
        ("b.bin", b"\x00\xff"),
    ]


def test_the_same_form_sent_twice_is_one_email_and_a_changed_one_asks(signed_in: SignedIn, db: Db) -> None:
    client = signed_in()
    form = fields_of(client.get("/emails/new").text) | WHOLE

    first, again = (client.post("/emails/new", data=form) for _ in range(2))
    changed = client.post("/emails/new", data=form | {"subject": "Ho"})
    second = client.post("/emails/new", data=fields_of(changed.text))

    assert first.headers["Location"] == again.headers["Location"]
    assert changed.status_code == 409
    assert "sent before with other values" in message_of(changed.text, "subject")
    assert second.status_code == 303
    assert db.emails.count_documents({}) == 2


def test_a_refused_form_says_everything_at_once_beside_its_fields_and_keeps_what_was_typed(
    signed_in: SignedIn, db: Db
) -> None:
    fields = {"from": "nobody", "to": "bo@example.org, bad", "cc": '"open', "subject": "", "text": "<b>Hello</b>"}

    answer = send(signed_in(), fields, ("a.txt", b"A"))

    assert answer.status_code == 422
    assert all(message_of(answer.text, name) for name in ("from", "to", "cc"))
    assert message_of(answer.text, "subject") == "Required."
    assert "Choose the 1 file again" in message_of(answer.text, "attachments")
    assert "5 fields need attention" in answer.text
    kept = fields_of(answer.text)
    assert {name: kept[name].strip() for name in fields} == fields
    assert db.emails.count_documents({}) == 0


def test_files_that_are_too_large_together_are_refused_by_their_size(signed_in: SignedIn, db: Db) -> None:
    half = b"x" * (MAX_MAIL_BYTES // 2 + 1)

    answer = send(signed_in(), WHOLE, ("a", half), ("b", half))

    assert answer.status_code == 422
    assert "bytes together" in message_of(answer.text, "attachments")
    assert db.emails.count_documents({}) == 0
    assert db["bodies.files"].count_documents({}) == 0


def test_the_sample_can_be_sent_as_it_is(signed_in: SignedIn, db: Db) -> None:
    client = signed_in()

    answer = client.post("/emails/new", data=fields_of(client.get("/emails/new?sample=1").text))

    assert answer.status_code == 303
    stored = db.emails.find_one({})
    assert stored
    assert (stored["sender"], stored["priority"]) == ("Shop <shop@mg.example.com>", "high")


def test_an_email_to_somebody_suppressed_says_that_nobody_gets_it(signed_in: SignedIn, db: Db) -> None:
    take_in_event(db, EventKind.BOUNCED, hard=True)
    client = signed_in()

    answer = send(client, WHOLE | {"to": "bo@example.org"})

    assert "Nobody gets this email" in client.get(answer.headers["Location"]).text


def test_the_cap_of_a_day_holds_for_emails_by_hand_too(signed_in: SignedIn, db: Db) -> None:
    client = signed_in(MAILROOM_MAILS_PER_DAY="1")

    refused_for_itself = send(client, WHOLE | {"to": ""})
    first, second = send(client, WHOLE), send(client, WHOLE)

    assert [refused_for_itself.status_code, first.status_code, second.status_code] == [422, 303, 429]
    assert int(second.headers["Retry-After"]) > 0
    assert "at most 1 mails a day" in second.text.lower()
    assert fields_of(second.text)["subject"] == "Hi"
    assert db.emails.count_documents({}) == 1


def test_only_who_may_send_mails_finds_the_form(signed_in: SignedIn) -> None:
    for scope, may in (("mail", True), ("admin", True), ("read", False), ("schedules", False)):
        client = signed_in(scope)
        assert ("New email" in client.get("/emails").text) is may
        assert client.get("/emails/new").status_code == (200 if may else 403)
        form = WHOLE | {"csrf_token": csrf_of(client.get("/").text)}
        assert (client.post("/emails/new", data=form).status_code == 403) is not may


def test_after_the_session_has_ended_the_form_is_there_again_as_it_was_typed(
    signed_in: SignedIn, system: System, db: Db
) -> None:
    client = signed_in()
    form = fields_of(client.get("/emails/new").text) | WHOLE
    db.sessions.delete_many({})

    expired = client.post("/emails/new", data=form)
    again = client.post("/sign-in", data=fields_of(expired.text) | {"token": system.token})

    assert expired.status_code == 401
    # HTML drops the line end with which a text area begins.
    assert {name: fields_of(again.text)[name].strip() for name in WHOLE} == WHOLE
    assert db.emails.count_documents({}) == 0
