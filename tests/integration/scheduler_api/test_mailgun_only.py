"""What only Mailgun can carry goes by nobody else, and whether webhooks come to the very address that was pushed."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from config.settings import read_settings
from mailroom.assembly.api import build_api_services
from mailroom.domain.errors import InvalidInput
from mailroom.domain.mailgun_substitutions import of_mailgun
from mailroom.services.dispatching.requests import Preparing
from mailroom.services.feedback import webhook_targets
from mailroom.services.operations import providers
from mailroom.storage.database import Db
from scheduler_api.app import create_app
from tests.support.builders import stored_schedule
from tests.support.caller import Caller
from tests.support.claims import a_claim, a_claimed_mail
from tests.support.system import System
from tests.support.webhooks import OPENED, webhook

LEAVE = "Leave: %unsubscribe_url%"
MAIL = {"from": "a@mg.example.com", "subject": "Hi", "to": ["bo@example.org"], "text": LEAVE}
BOTH = ("mailgun", "smtp")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("%unsubscribe_url%", "%unsubscribe_url%"),
        ("a %TAG_unsubscribe_url% b", "%TAG_unsubscribe_url%"),
        ("<%mailing_list_unsubscribe_url%>", "%mailing_list_unsubscribe_url%"),
        ("mailto:%unsubscribe_email%", "%unsubscribe_email%"),
        ("100 % unsubscribe_url", None),
        ("%unsubscribe%", None),
        ("", None),
    ],
)
def test_mailguns_substitutions_are_known(text: str, found: str | None) -> None:
    assert of_mailgun([text]) == found


class _Other:
    """Any provider but Mailgun; nothing is ever built by it here."""

    name, max_recipients = "smtp", 1_000

    def build(self, _: Any) -> Any:
        raise AssertionError("it was built")

    build_letter = build


def test_it_is_refused_while_another_provider_may_get_it(system: System) -> None:
    more = {"MAILROOM_PROVIDERS": "mailgun,smtp", "SMTP_URL": "smtp://localhost:25?tls=none"}
    settings = read_settings(system.environment | more, dotenv=None)
    app = create_app(build_api_services(settings, app="tests"))
    with app.test_client() as client:
        call = Caller(client, system.token)
        one = call("POST", "/v1/emails", json=MAIL)
        (batch,) = call("POST", "/v1/emails/batch", json={"emails": [MAIL]}).json["items"]
        header = call("POST", "/v1/emails", json=MAIL | {"text": "x", "headers": {"X-Leave": "<%unsubscribe_email%>"}})
        assert [one.status_code, batch["code"], header.status_code] == [422, 422, 422]
        assert "%unsubscribe_url% is filled in by Mailgun alone" in one.text
        assert "headers.X-Leave" in header.text

        assert call("PATCH", "/v1/providers/smtp", json={"enabled": False}).status_code == 200
        assert call("POST", "/v1/emails", json=MAIL).status_code == 202
        schedule = call(
            "POST",
            "/v1/schedules",
            json={
                "name": "Digest",
                "from": "a@mg.example.com",
                "subject": "Hi",
                "text": LEAVE,
                "recipients": [{"address": "bo@example.org"}],
                "recurrence": {"kind": "every", "seconds": 3600, "time_zone": "UTC"},
            },
        )
        assert schedule.status_code == 201
        refused = call("PATCH", "/v1/providers/smtp", json={"enabled": True})
        assert (refused.status_code, "Digest" in refused.text) == (422, True)
        assert call("GET", "/v1/providers").json["items"][1]["enabled"] is False


def test_an_order_that_gives_it_to_another_is_refused(db: Db) -> None:
    stored_schedule(db, text=LEAVE)

    with pytest.raises(InvalidInput, match="Weekday digest"):
        providers.reorder(db, BOTH, ["smtp", "mailgun"], by="ann")
    providers.reorder(db, BOTH, list(BOTH), by="ann")


def test_one_taken_in_before_fails_at_the_hand_over_with_its_reason(call: Caller, db: Db) -> None:
    campaign = a_claim(db, 2)
    db.contents.update_many({}, {"$set": {"html": "<a href='%tag_unsubscribe_url%'>leave</a>"}})
    adapter: Any = {"mailgun": _Other()}

    (refused,) = Preparing(db, adapter).build([campaign]).refused
    assert "smtp cannot send this: %tag_unsubscribe_url% is filled in by Mailgun alone" in str(refused.outcome)

    db.dispatches.delete_many({})
    assert call("POST", "/v1/emails", json=MAIL).status_code == 202
    (refused,) = Preparing(db, adapter).build([a_claimed_mail(db)]).refused
    assert "%unsubscribe_url%" in str(refused.outcome)


class _Target:
    """Has a test event sent to wherever it was told to, or to an address that somebody else has set."""

    def __init__(self, arrive: Callable[[str], object], *, elsewhere: str = "") -> None:
        self.arrive, self.elsewhere, self.pushed = arrive, elsewhere, [("", "")]

    def push(self, url: str, *, instead_of: str) -> None:
        self.pushed.append((url, instead_of))

    def ask_for_event(self, url: str, name: str) -> bool:
        event = OPENED | {"id": name, "user-variables": {"run": name}}
        self.arrive_at = self.elsewhere or url.removeprefix("https://mail.example.com")
        self.arrive(self.arrive_at, event) if self.arrive_at.startswith("/") else None  # type: ignore[call-arg]
        return True


def test_a_test_event_that_comes_another_way_proves_nothing(call: Caller, db: Db) -> None:
    def arrive(path: str, event: Any) -> None:
        token = f"{time.monotonic_ns()}"
        assert call("POST", path, json=webhook(event, token=token)).status_code == 200

    def push(target: Any, base: str) -> float | None:
        pushed = webhook_targets.push(db, target, "mailgun", base, by="ann", wait_s=0.6, sleep=time.sleep)
        return pushed.arrived_after_s

    good = _Target(arrive)  # type: ignore[arg-type]
    by_the_old_way = _Target(arrive, elsewhere="/webhooks/mailgun")  # type: ignore[arg-type]
    wrong_mark = _Target(arrive, elsewhere="/webhooks/mailgun?mark=other")  # type: ignore[arg-type]

    assert push(good, "https://mail.example.com") is not None
    assert push(by_the_old_way, "https://dead.example.com") is None
    assert push(wrong_mark, "https://dead.example.com") is None
    (first, _), (dead, instead_of) = good.pushed[1], by_the_old_way.pushed[1]
    assert first.startswith("https://mail.example.com/webhooks/mailgun?mark=")
    assert (dead.partition("=")[0], instead_of) == ("https://dead.example.com/webhooks/mailgun?mark", first)
    assert wrong_mark.pushed[1] == (dead, dead)  # the same address keeps its mark
    assert webhook_targets.listing(db)["mailgun"].url == "https://dead.example.com/webhooks/mailgun"
