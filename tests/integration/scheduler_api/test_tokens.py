"""Tokens: rotated under the same owner, and what a scope reaches and what it does not."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailroom.domain.errors import AccessRefused
from mailroom.services.operations.token_check import authenticate, token_id_of
from mailroom.storage.database import Db
from tests.support.caller import Caller
from tests.support.emails import an_email
from tests.support.tokens import a_token

As = Callable[..., Any]
KEY = {"Idempotency-Key": "order-17"}
WELCOME = {"subject": "Hello", "text": "Welcome"}


@pytest.fixture
def by(call: Caller) -> As:
    """A call with another token."""

    def made(token: str, method: str, path: str, **rest: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}", **rest.pop("headers", {})}
        return call.client.open(path, method=method, headers=headers, **rest)

    return made


def rotated(call: Caller, token: str, **body: Any) -> Any:
    return call("POST", f"/v1/tokens/{token_id_of(token)}/rotate", json=body)


def test_a_key_names_the_same_mail_through_a_rotated_token(call: Caller, by: As, db: Db) -> None:
    old = a_token(db, "mail")
    first = by(old, "POST", "/v1/emails", json=an_email(), headers=KEY)

    new = rotated(call, old)

    assert new.status_code == 201
    again = by(new.json["token"], "POST", "/v1/emails", json=an_email(), headers=KEY)
    third = by(rotated(call, new.json["token"]).json["token"], "POST", "/v1/emails", json=an_email(), headers=KEY)
    other = by(a_token(db, "mail"), "POST", "/v1/emails", json=an_email(), headers=KEY)
    assert first.json["id"] == again.json["id"] == third.json["id"] != other.json["id"]
    assert new.json["owner"] == token_id_of(old)
    assert new.json["scopes"] == ["mail"]
    assert db.emails.count_documents({}) == 2


def test_a_key_of_a_token_that_was_stored_without_an_owner_names_the_same_mail_after_its_rotation(
    call: Caller, by: As, db: Db
) -> None:
    old = a_token(db, "mail")
    db.tokens.update_one({"_id": token_id_of(old)}, {"$unset": {"owner": ""}})
    first = by(old, "POST", "/v1/emails", json=an_email(), headers=KEY)
    stored = db.emails.find_one({}, {"owner": 1})

    again = by(rotated(call, old).json["token"], "POST", "/v1/emails", json=an_email(), headers=KEY)

    assert again.json["id"] == first.json["id"]
    assert stored
    assert stored["owner"] == token_id_of(old)


def test_a_rotated_token_is_let_in_for_its_overlap_and_then_refused(call: Caller, by: As, db: Db) -> None:
    kept, ended = a_token(db, "read"), a_token(db, "read")

    rotated(call, kept)
    rotated(call, ended, overlap_s=0)

    assert by(kept, "GET", "/v1/tokens").status_code == 200
    assert by(ended, "GET", "/v1/tokens").status_code == 401
    later = datetime.now(UTC) + timedelta(hours=24, seconds=1)
    with pytest.raises(AccessRefused):
        authenticate(db, kept, now=later)
    assert rotated(call, ended).status_code == 404


@pytest.mark.parametrize("token_id", ["0" * 16, "none"])
def test_no_other_token_than_a_valid_one_is_rotated(call: Caller, token_id: str) -> None:
    assert call("POST", f"/v1/tokens/{token_id}/rotate").status_code == 404


@pytest.mark.parametrize("overlap_s", [-1, 30 * 86_400 + 1, "0", 1.5])
def test_an_overlap_that_cannot_be_is_named(call: Caller, db: Db, overlap_s: Any) -> None:
    refused = rotated(call, a_token(db, "read"), overlap_s=overlap_s)

    assert (refused.status_code, refused.json["errors"][0]["path"]) == (422, "overlap_s")


def test_only_an_admin_rotates(by: As, db: Db) -> None:
    mine = a_token(db, "mail", "schedules", "read")

    assert by(mine, "POST", f"/v1/tokens/{token_id_of(mine)}/rotate").status_code == 403


def test_a_new_token_lives_as_long_as_the_old_one_was_to_live_and_keeps_its_limits(call: Caller, db: Db) -> None:
    ends = datetime.now(UTC) + timedelta(days=10)
    old = a_token(db, "mail", expires_at=ends, mails_per_day=5, requests_per_minute=7)

    rotated(call, old, overlap_s=60)
    again = rotated(call, old).json

    left = datetime.fromisoformat(again["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=9, hours=23) < left <= timedelta(days=10, minutes=1)
    assert (again["mails_per_day"], again["requests_per_minute"]) == (5, 7)


def dead_letters(db: Db) -> dict[str, str]:
    """One of a single mail, one of a campaign."""
    ids = {"mail": "em_1-d00000", "schedules": "sch_1-20261123T080000Z-d00000"}
    for scope, id_ in ids.items():
        doc: dict[str, Any] = {"_id": id_, "run_id": id_.rpartition("-d")[0], "lane": "mail/1", "state": "failed"}
        doc |= {"attempt": 1, "tries": 3, "messages": 1, "trail": [], "token": 1, "not_before": datetime.now(UTC)}
        db.dispatches.insert_one(doc | ({"schedule_id": "sch_1"} if scope == "schedules" else {}))
    db.bodies.insert_one({"_id": "em_1", "text": "Hello"})
    return ids


@pytest.mark.parametrize(("mine", "other"), [("mail", "schedules"), ("schedules", "mail")])
def test_a_scope_does_not_reach_across(by: As, db: Db, mine: str, other: str) -> None:
    ids, token = dead_letters(db), a_token(db, mine)

    def post(path: str, **body: Any) -> Any:
        return by(token, "POST", path, json=body)

    for verb in ("requeue", "drop"):
        kind, beyond = ("mail", "campaign") if mine == "mail" else ("campaign", "mail")
        assert post(f"/v1/dead-letters/{verb}", ids=[ids[other]]).status_code == 403
        assert post(f"/v1/dead-letters/{verb}", all=True, kind=beyond).status_code == 403
        assert post(f"/v1/dead-letters/{verb}", all=True, run_id=ids[other].rpartition("-d")[0]).status_code == 403
        both = post(f"/v1/dead-letters/{verb}", ids=list(ids.values()))
        assert list(both.json["refused"]) == [ids[other]]
        assert f"'{other}'" in both.json["refused"][ids[other]]
        db.dispatches.update_many({}, {"$set": {"state": "failed"}, "$unset": {"dropped": ""}})
        assert post(f"/v1/dead-letters/{verb}", all=True, kind=kind).json["done"] == 1
        db.dispatches.update_many({}, {"$set": {"state": "failed"}, "$unset": {"dropped": ""}})
        assert post(f"/v1/dead-letters/{verb}", all=True).json["done"] == 1
    left = db.dispatches.find_one({"_id": ids[other]})
    assert left
    assert (left["state"], left["attempt"]) == ("failed", 1)
    assert post(f"/v1/dispatches/{ids[other]}/resolve", verdict="send_again").status_code == 403
    db.dispatches.update_many({}, {"$set": {"state": "failed"}, "$unset": {"dropped": ""}})
    assert post(f"/v1/dispatches/{ids[mine]}/resolve", verdict="send_again").status_code == 200


def test_a_reader_decides_about_neither(by: As, db: Db) -> None:
    ids, token = dead_letters(db), a_token(db, "read")

    for id_ in ids.values():
        assert by(token, "POST", "/v1/dead-letters/requeue", json={"ids": [id_]}).status_code == 403
        answer = by(token, "POST", f"/v1/dispatches/{id_}/resolve", json={"verdict": "went_out"})
        assert answer.status_code == 403


def test_a_template_is_changed_by_its_owner_and_by_an_admin_only(call: Caller, by: As, db: Db) -> None:
    mine, other = a_token(db, "mail"), a_token(db, "mail")
    path = "/v1/templates/welcome"
    made = by(mine, "PUT", path, json=WELCOME)

    assert made.json["owner"] == token_id_of(mine)
    assert by(other, "PUT", path, json=WELCOME).json["code"] == "not_the_owner"
    assert by(other, "DELETE", path).status_code == 403
    assert by(other, "GET", path).status_code == 200
    assert call("PUT", path, json=WELCOME | {"text": "Second"}).json["owner"] == token_id_of(mine)
    rotated_token = rotated(call, mine).json["token"]
    assert by(rotated_token, "PUT", path, json=WELCOME | {"text": "Third"}).json["version"] == 3
    assert by(mine, "DELETE", path).status_code == 204
    assert by(other, "PUT", path, json=WELCOME).status_code == 201


def test_a_template_without_an_owner_stays_open_to_every_mail_token(by: As, db: Db) -> None:
    path = "/v1/templates/welcome"
    by(a_token(db, "mail"), "PUT", path, json=WELCOME)
    db.templates.update_one({}, {"$unset": {"owner": ""}})

    changed = by(a_token(db, "mail"), "PUT", path, json=WELCOME | {"text": "Second"})

    assert (changed.status_code, changed.json["owner"], changed.json["version"]) == (200, None, 2)
    assert by(a_token(db, "schedules"), "PUT", path, json=WELCOME).status_code == 403
    assert by(a_token(db, "mail"), "DELETE", path).status_code == 204
