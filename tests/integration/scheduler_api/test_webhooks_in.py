"""Webhooks in, over a real MongoDB: each event once; what is forged, stale, replayed or malformed is refused."""

import json
from typing import Any

import pytest

from tests.support.caller import Caller
from tests.support.system import System
from tests.support.webhooks import OPENED, webhook


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
