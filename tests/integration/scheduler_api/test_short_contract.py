"""`POST /v1/mail`, the short contract: whatever is wrong, it is answered in the contract's own words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mailroom.domain.limits import MAX_MAIL_BODY_BYTES
from mailroom.services.operations import tokens as token_service
from mailroom.storage.database import Db
from tests.support.caller import Caller

MAIL = {"from": "shop@mg.example.com", "to": "bo@example.org", "subject": "Hi", "message": "Hello"}
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def not_submitted(answer: Any, status: int = 400) -> str:
    """The problem that a refusal in the contract's shape names."""
    assert (answer.status_code, answer.content_type) == (status, JSON), answer.text
    assert answer.json.keys() == {"Message", "Problem"}
    assert answer.json["Message"] == "not submitted"
    return str(answer.json["Problem"])


def test_the_short_contract_takes_a_mail_and_says_what_is_wrong_with_one(call: Caller, db: Db) -> None:
    body = {"from": "shop@mg.example.com", "to": "bo@example.org", "bcc": ["di@example.org"], "subject": "Hi"}

    taken = call("POST", "/v1/mail", json={**body, "message": "Hello"})
    refused = call("POST", "/v1/mail", json=body)
    odd = call("POST", "/v1/mail", json={**body, "message": 7, "colour": "red"})

    assert taken.status_code == 200
    assert taken.json == {"Message": "submitted", "id": taken.json["id"]}
    stored = db.emails.find_one({"_id": taken.json["id"]})
    assert stored
    assert stored["recipients"] == ["bo@example.org", "di@example.org"]
    assert refused.status_code == 400
    assert refused.json["Message"] == "not submitted"
    assert "message" in refused.json["Problem"]
    assert odd.status_code == 400
    assert call("POST", "/v1/mail", json=["x"]).status_code == 400
    assert db.emails.count_documents({}) == 1


@pytest.mark.parametrize(
    "raw", [b'{"from": ', b"[", b'{"subject": "\\ud800"}', b'{"a": NaN}', b'{"to": "a", "to": "b"}']
)
def test_broken_json_is_not_submitted(call: Caller, db: Db, raw: bytes) -> None:
    answer = call("POST", "/v1/mail", data=raw, content_type=JSON)

    assert not_submitted(answer).startswith("The body cannot be read as JSON: ")
    assert db.emails.count_documents({}) == 0


@pytest.mark.parametrize("kind", [FORM, "multipart/form-data", "text/plain", ""])
def test_a_body_that_is_not_json_is_not_submitted(call: Caller, db: Db, kind: str) -> None:
    fields: Any = dict(MAIL) if kind in (FORM, "multipart/form-data") else b"from=shop@mg.example.com"

    answer = call("POST", "/v1/mail", data=fields, content_type=kind or None)

    assert not_submitted(answer) == "Send the body as application/json."
    assert db.emails.count_documents({}) == 0


def test_a_request_without_a_body_or_with_unknown_parameters_is_not_submitted(call: Caller) -> None:
    assert not_submitted(call("POST", "/v1/mail")) == "body: is not an object"
    assert not_submitted(call("POST", "/v1/mail?x=1", json=MAIL)) == "x: is no parameter of this path"


def test_a_caller_who_may_not_send_gets_an_answer_of_the_same_form(call: Caller, db: Db) -> None:
    reader = token_service.create_token(db, name="reader", scopes=["read"], now=datetime.now(UTC))

    stranger = call.client.post("/v1/mail", json=MAIL)
    refused = call.client.post("/v1/mail", json=MAIL, headers={"Authorization": f"Bearer {reader}"})

    assert not_submitted(stranger, 401)
    assert stranger.headers["WWW-Authenticate"] == "Bearer"
    assert "mail" in not_submitted(refused, 403)


def test_a_key_that_named_another_mail_and_a_body_that_is_too_large_are_not_submitted(call: Caller) -> None:
    key = {"Idempotency-Key": "one"}
    first = call("POST", "/v1/mail", json=MAIL, headers=key)

    assert call("POST", "/v1/mail", json=MAIL, headers=key).json == first.json
    assert not_submitted(call("POST", "/v1/mail", json={**MAIL, "subject": "Ho"}, headers=key), 422)
    large = b" " * (MAX_MAIL_BODY_BYTES + 1)
    assert "at most" in not_submitted(call("POST", "/v1/mail", data=large, content_type=JSON), 413)


def test_too_many_mails_are_not_submitted_and_the_answer_says_when_to_try_again(call: Caller, db: Db) -> None:
    token = token_service.create_token(db, name="t", scopes=["mail"], now=datetime.now(UTC), mails_per_day=1)
    headers = {"Authorization": f"Bearer {token}"}

    assert call.client.post("/v1/mail", json=MAIL, headers=headers).status_code == 200
    refused = call.client.post("/v1/mail", json=MAIL, headers=headers)

    assert not_submitted(refused, 429)
    assert int(refused.headers["Retry-After"]) > 0
