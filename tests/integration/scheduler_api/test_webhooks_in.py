"""Webhooks in, over a real MongoDB: each event once; what is forged, stale, replayed or malformed is refused."""

import json
from base64 import b64encode
from contextlib import closing
from typing import Any

import pytest

from config.settings import read_settings
from mailroom.assembly.api import build_api_services
from scheduler_api.app import create_app
from tests.support.caller import Caller
from tests.support.postmark import Postmark
from tests.support.resend import Resend
from tests.support.system import System
from tests.support.webhooks import OPENED, webhook

PROVIDERS = ("mailgun", "sendgrid", "ses", "postmark", "resend")


def test_a_webhook_is_stored_once_and_repeats_are_answered_with_200(call: Caller, system: System) -> None:
    body = webhook(OPENED)

    codes = [call("POST", "/webhooks/mailgun", json=body).status_code for _ in range(3)]

    assert codes == [200, 200, 200]
    assert system.db.events.count_documents({}) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (webhook(OPENED, key="another"), 401),
        (webhook(OPENED, age_s=86_400), 406),
        (webhook(OPENED, age_s=-3_600), 406),
        (webhook("no event"), 406),
        ({"event-data": OPENED}, 406),
        ({"signature": {"timestamp": 1, "token": 2, "signature": 3}, "event-data": OPENED}, 406),
        ([], 406),
    ],
)
def test_a_forged_stale_or_malformed_webhook_is_refused_and_not_stored(
    call: Caller, system: System, body: Any, status: int
) -> None:
    answer = call("POST", "/webhooks/mailgun", json=body)

    assert answer.status_code == status
    assert system.db.events.count_documents({}) == 0


def test_a_replayed_token_with_another_event_is_refused(call: Caller, system: System) -> None:
    call("POST", "/webhooks/mailgun", json=webhook(OPENED))

    answer = call("POST", "/webhooks/mailgun", json=webhook({**OPENED, "id": "e2", "event": "complained"}))

    assert (answer.status_code, answer.json["code"]) == (406, "replayed")
    assert system.db.events.count_documents({}) == 1


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"signature": NaN}', b"[" * 50_000])
def test_a_webhook_that_is_no_json_is_refused_for_good(call: Caller, raw: bytes) -> None:
    assert call("POST", "/webhooks/mailgun", data=raw, content_type="application/json").status_code == 406


def test_a_webhook_over_the_limit_is_413(call: Caller) -> None:
    body = json.dumps(webhook({**OPENED, "x": "y" * 1_100_000}))

    assert call("POST", "/webhooks/mailgun", data=body, content_type="application/json").status_code == 413


def test_a_redeliverys_own_token_cannot_carry_another_event(call: Caller, system: System) -> None:
    call("POST", "/webhooks/mailgun", json=webhook(OPENED, token="t1"))
    call("POST", "/webhooks/mailgun", json=webhook(OPENED, token="t2"))

    answer = call("POST", "/webhooks/mailgun", json=webhook({**OPENED, "id": "e2", "event": "complained"}, token="t2"))

    assert (answer.status_code, answer.json["code"]) == (406, "replayed")


def test_a_number_too_large_for_the_store_in_a_webhook_is_no_error(call: Caller) -> None:
    event = {**OPENED, "event": "failed", "severity": "temporary", "delivery-status": {"code": 2**70, "message": "m"}}

    assert call("POST", "/webhooks/mailgun", json=webhook(event)).status_code == 200


@pytest.mark.parametrize(
    "event",
    [{"event": "opened"}, {"event": 5, "id": "e1", "timestamp": 1}, {**OPENED, "timestamp": 1e300}, {"event": "new"}],
)
def test_an_event_that_lacks_something_is_kept_once(call: Caller, system: System, event: dict[str, Any]) -> None:
    delivery = webhook(event)  # signed once: what is signed anew in another second has another time

    codes = [call("POST", "/webhooks/mailgun", json=delivery).status_code for _ in range(2)]

    assert codes == [200, 200]
    (stored,) = system.db.events.find()
    assert json.loads(stored["raw"]) == event


@pytest.mark.parametrize(
    ("changes", "status"),
    [({}, 200), ({"key": "another"}, 401), ({"age_s": 86_400}, 406)],
    ids=["signed by us", "signed by another", "too old"],
)
def test_half_an_emoji_is_replaced_only_where_the_signature_fits(
    call: Caller, system: System, changes: dict[str, Any], status: int
) -> None:
    """The word `signature` may stand in the event as well, and before the signature itself."""
    delivery = webhook({**OPENED, "subject": "HALF", "note": {"signature": {"timestamp": "1"}}}, **changes)
    raw = json.dumps(dict(reversed(delivery.items()))).replace("HALF", "\\ud83d")

    answer = call("POST", "/webhooks/mailgun", data=raw, content_type="application/json")

    assert answer.status_code == status
    assert [json.loads(each["raw"])["subject"] for each in system.db.events.find()] == ["\ufffd"] * (status == 200)


def test_half_an_emoji_in_what_nobody_signed_is_refused(call: Caller) -> None:
    for raw in (b'{"event-data": {"subject": "\\ud83d"}}', b'["signature", "\\ud83d"]' + b'"signature"' * 10_000):
        assert call("POST", "/webhooks/mailgun", data=raw, content_type="application/json").status_code == 406


def test_a_provider_that_is_not_set_up_is_not_believed(system: System) -> None:
    """Without Mailgun's key everybody could sign: with no key at all."""
    smtp_alone = {"MAILROOM_PROVIDERS": "smtp", "SMTP_URL": "smtp://localhost:25?tls=none"}
    settings = read_settings(system.environment | smtp_alone, dotenv=None)
    with create_app(build_api_services(settings, app="tests")).test_client() as client:
        call = Caller(client, system.token)
        answers = [call("POST", f"/webhooks/{name}", json=webhook(OPENED, key="")) for name in PROVIDERS]

    assert [(answer.status_code, answer.json["code"]) for answer in answers] == [(404, "not_set_up")] * len(PROVIDERS)
    assert system.db.events.count_documents({}) == 0


def test_what_postmark_and_resend_send_is_refused_as_each_of_them_understands(system: System) -> None:
    """Postmark stops its retries after a 403, and so for nothing that a wrong password was to blame for."""
    with closing(Postmark()) as postmark, closing(Resend()) as resend:
        own = {**postmark.settings, **resend.settings, "MAILROOM_PROVIDERS": "postmark,resend"}
    settings = read_settings(system.environment | own, dotenv=None)
    with create_app(build_api_services(settings, app="tests")).test_client() as client:
        call = Caller(client, system.token)
        signed = {"Authorization": f"Basic {b64encode(f'mailroom:{Postmark.secret}'.encode()).decode()}"}
        event = {"RecordType": "Delivery", "Recipient": "bo@example.org"}
        answers = [
            call("POST", "/webhooks/postmark", json=event),
            call("POST", "/webhooks/postmark", json=[], headers=signed),
            call("POST", "/webhooks/postmark", json=event, headers=signed),
            call("POST", "/webhooks/postmark", json=event, headers=signed),
            call("POST", "/webhooks/resend", json={"type": "email.sent"}),
        ]

    assert [answer.status_code for answer in answers] == [401, 403, 200, 200, 401]
    assert system.db.events.count_documents({}) == 1


def test_only_known_providers_have_an_address(call: Caller) -> None:
    assert [call("GET", f"/webhooks/{name}").status_code for name in PROVIDERS] == [405] * len(PROVIDERS)
    for method in ("GET", "POST"):
        for path in ("/webhooks/pigeon", "/webhooks/", "/webhooks/smtp", "/webhooks/mailgun/x"):
            assert call(method, path).json["code"] == "not_found", (method, path)
