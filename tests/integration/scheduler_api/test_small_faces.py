"""Tokens, the short contract and the other small faces, as a caller sees them."""

from datetime import UTC, datetime, timedelta

from mailroom.storage.database import Db
from tests.support.caller import Caller
from tests.support.emails import an_email

LATER = (datetime.now(UTC) + timedelta(days=1)).isoformat()


def test_a_token_is_made_shown_once_used_and_revoked(call: Caller) -> None:
    made = call("POST", "/v1/tokens", json={"name": "shop", "scopes": ["mail"], "expires_at": LATER})
    assert made.status_code == 201
    text, id_ = made.json["token"], made.json["id"]
    own = {"Authorization": f"Bearer {text}"}

    shown = call.client.get("/v1/tokens", headers=own)

    assert shown.status_code == 200
    assert (shown.json["valid"], shown.json["name"], shown.json["scopes"]) == (True, "shop", ["mail"])
    assert shown.json["last_used_at"]
    assert "tokens" not in shown.json
    assert text not in str(call("GET", "/v1/tokens").json)
    assert call.client.post("/v1/emails", json=an_email(), headers=own).status_code == 202
    assert call.client.post("/v1/tokens", json={"name": "x", "scopes": ["read"]}, headers=own).status_code == 403
    assert call("DELETE", f"/v1/tokens/{id_}").status_code == 204
    assert call.client.get("/v1/tokens", headers=own).status_code == 401
    assert call("DELETE", f"/v1/tokens/{id_}").status_code == 404


def test_a_token_that_has_expired_or_is_wrong_is_not_valid(call: Caller) -> None:
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    made = call("POST", "/v1/tokens", json={"name": "x", "scopes": ["read"], "expires_at": past})

    for text in (made.json["token"], "mr_0123456789abcdef_" + "x" * 43, "nonsense"):
        answer = call.client.get("/v1/tokens", headers={"Authorization": f"Bearer {text}"})
        assert answer.status_code == 401
    naive = call("POST", "/v1/tokens", json={"name": "x", "scopes": ["read"], "expires_at": "2030-01-01T00:00:00"})
    assert naive.status_code == 422


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


def test_the_small_faces_answer_without_a_token(call: Caller) -> None:
    assert call.client.get("/").json == {"hello": "world"}
    assert call.client.get("/health").json == {"health": "ok"}
    for noun in ("emails", "tokens", "schedules"):
        moved = call.client.get(f"/{noun}/x?a=1")
        assert (moved.status_code, moved.headers["Location"]) == (308, f"/v1/{noun}/x?a=1")


def test_a_code_that_no_provider_could_give_is_refused(call: Caller) -> None:
    assert call("GET", "/v1/dead-letters?code=99999999999999999999").status_code == 422
    assert call("POST", "/v1/dead-letters/drop", json={"all": True, "code": 10**20}).status_code == 422
