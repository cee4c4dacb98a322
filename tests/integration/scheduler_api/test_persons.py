"""A person's data by the API: all of it as one document, and its erasure."""

import json
from typing import Any

import pytest

from mailroom.domain.erasures import ERASED
from mailroom.storage.database import Db
from tests.support.caller import Caller, problems
from tests.support.erasing import ANN, handed_in, where, work
from tests.support.living import a_schedule_to, an_audience, plan_all, put, run_now
from tests.support.system import System

AT = f"/v1/contacts/{ANN}"


def exported(call: Caller) -> dict[str, Any]:
    answer = call("GET", f"{AT}/export")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    return json.loads(answer.text)


def known(db: Db) -> str:
    """Ann is in an audience, and gets mail of a run and a single mail. Returns the audience."""
    audience = an_audience(db, "ann", "bo")
    put(db, audience, "ann", city="Oslo")
    run_now(db, schedule := a_schedule_to(db, audience))
    plan_all(db, schedule)
    handed_in(db, ANN)
    db.suppressions.insert_one({"_id": ANN, "reason": "complained"})
    return audience


def test_everything_about_an_address_is_one_document(call: Caller, db: Db) -> None:
    audience = known(db)
    refused = call("PUT", f"/v1/audiences/{audience}/contacts/{ANN}", json={"time_zone": "Mars"})

    body = exported(call)

    assert refused.status_code == 422
    assert list(body) == [
        *("address", "exported_at", "suppressions", "audiences", "consent", "subscription_requests"),
        *("campaign_mails", "mails", "other_events", "refused_requests", "erasures"),
    ]
    assert [row["variables"]["city"] for row in body["audiences"]] == ["Oslo", "Rome"]
    assert ["until" in row for row in body["audiences"]] == [False, True]
    assert {row["audience_name"] for row in body["audiences"]} == {"Audience k"}
    assert [(row["state"], row["address"]) for row in body["campaign_mails"]] == [("queued", ANN)]
    (mail,) = body["mails"]
    assert (mail["subject"], mail["body"]["text"]) == (f"Dear {ANN}", f"Hello {ANN}")
    assert (mail["delivery"]["state"], mail["delivery"]["events"]) == ("queued", [])
    assert [row["reason"] for row in body["suppressions"]] == ["complained"]


def test_an_erasure_is_asked_for_followed_and_leaves_an_empty_document(call: Caller, db: Db) -> None:
    known(db)

    asked, again = (call("POST", f"{AT}/erase") for _ in range(2))
    before = call("GET", f"{AT}/erasure").json
    work(db)
    after = call("GET", f"{AT}/erasure").json

    assert (asked.status_code, again.status_code) == (202, 200)
    assert asked.json["id"] == again.json["id"] == before["id"] == after["id"]
    assert (before["state"], after["state"], after["waits"]) == ("running", "done", 0)
    assert after["documents"] == sum(after["counts"].values()) > 0
    assert after["done_at"]
    body = exported(call)
    assert {name for name, rows in body.items() if rows and isinstance(rows, list)} == {"suppressions", "erasures"}
    assert where(db) <= {"recipients", "refusals"}
    assert call("GET", f"/v1/messages?recipient={ANN}").json["items"] == []
    assert call("GET", f"/v1/emails?recipient={ANN}").json["items"] == []


def test_what_was_sent_is_still_shown_without_the_person(call: Caller, db: Db) -> None:
    known(db)
    db.dispatches.update_many({}, {"$set": {"state": "accepted"}})
    message = db.messages.find_one({"address": ANN, "run_id": {"$not": {"$regex": "^em_"}}})
    mail = db.emails.find_one({"recipients": ANN})["_id"]
    call("POST", f"{AT}/erase")
    work(db)

    digest = message["_id"].rpartition("/")[2]
    paths = (f"/v1/runs/{message['run_id']}/messages", f"/v1/runs/{message['run_id']}/messages/{digest}")
    paths += (f"/v1/emails/{mail}", f"/v1/emails/{mail}?include=body", f"/v1/emails/{mail}/events", "/v1/emails")
    paths += (f"/v1/dispatches/{message['dispatch_id']}", f"/v1/runs/{message['run_id']}/report", "/v1/dead-letters")
    answers = [call("GET", path) for path in paths]

    assert call("GET", f"{paths[1]}/content").status_code == 404
    assert {answer.status_code for answer in answers} == {200}
    assert not any(ANN in answer.text for answer in answers)
    assert ERASED in answers[0].text
    assert "erased" in [step["step"] for step in answers[6].json["trail"]]


def test_what_is_no_address_and_what_was_never_erased_are_refused(call: Caller) -> None:
    assert call("GET", f"{AT}/erasure").status_code == 404
    assert list(problems(call("POST", "/v1/contacts/ann/erase"))) == ["address"]
    assert list(problems(call("GET", "/v1/contacts/ann/export"))) == ["address"]


@pytest.mark.parametrize(("method", "path"), [("GET", "export"), ("POST", "erase")])
def test_only_an_admin_may_take_or_erase_everything(call: Caller, system: System, method: str, path: str) -> None:
    made = call("POST", "/v1/tokens", json={"name": "shop", "scopes": ["read", "mail", "schedules"]}).json

    answer = call(method, f"{AT}/{path}", headers={"Authorization": f"Bearer {made['token']}"})

    assert answer.status_code == 403
