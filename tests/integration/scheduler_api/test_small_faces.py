"""Tokens, the short contract and the other small faces, as a caller sees them."""

from datetime import UTC, datetime, timedelta
from typing import Any

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


def test_the_small_faces_answer_without_a_token(call: Caller) -> None:
    assert call.client.get("/").json == {"hello": "world"}
    assert call.client.get("/health").json == {"health": "ok"}


def test_a_code_that_no_provider_could_give_is_refused(call: Caller) -> None:
    assert call("GET", "/v1/dead-letters?code=99999999999999999999").status_code == 422
    assert call("POST", "/v1/dead-letters/drop", json={"all": True, "code": 10**20}).status_code == 422


def test_the_figures_are_text_by_default_and_json_where_it_is_preferred(call: Caller) -> None:
    def figures(accept: str | None) -> Any:
        return call.client.get("/metrics", headers={"Accept": accept} if accept else {})

    for accept in (None, "*/*", "text/html", "application/json;q=0.4, text/plain;q=0.5"):
        assert figures(accept).content_type.startswith("text/plain; version="), accept
        assert b"mailroom_dispatches" in figures(accept).data, accept
    asked = figures("application/json, text/plain;q=0.5")
    assert (asked.status_code, asked.content_type, asked.json) == (200, "application/json", {"metrics": "ok"})
    assert asked.headers["Vary"] == figures(None).headers["Vary"] == "Accept"
