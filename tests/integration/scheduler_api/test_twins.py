"""The short paths answer themselves, as their twins under `/v1` do."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder

from mailroom.domain.limits import MAX_MAIL_BODY_BYTES, MAX_SMALL_BODY_BYTES
from mailroom.services.operations import tokens as token_service
from mailroom.storage.database import Db
from scheduler_api.short_paths import TWINS
from tests.support.caller import Caller
from tests.support.emails import an_email
from tests.support.system import a_schedule_body, wait_for

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_OF_THIS_ANSWER = {"X-Request-Id", "Content-Length"}


def told(answer: Any) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers, without what is never the same twice."""
    body = re.sub(r'"request_id": ?"\w*"', "", answer.text)
    return answer.status_code, body, {k: v for k, v in answer.headers.items() if k not in _OF_THIS_ANSWER}


def twins_of(app: Flask, short: str) -> Iterator[str]:
    """The short path of every route of its twin, its parts filled in with an id of nothing."""
    twin = TWINS[short]
    for rule in app.url_map.iter_rules():
        if rule.rule == twin or rule.rule.startswith(f"{twin}/"):
            yield short + re.sub(r"<[^<>]+>", "nothing", rule.rule.removeprefix(twin))


@pytest.mark.parametrize("short", sorted(TWINS))
def test_every_method_of_every_route_answers_as_its_twin(call: Caller, short: str) -> None:
    paths = sorted(set(twins_of(call.client.application, short)))

    assert paths
    for path in [*paths, f"{short}/", f"{short}/nothing/nowhere", f"{short}?colour=red", f"{short}/%5cevil%20%23x"]:
        for method in METHODS:
            own, twin = (call(method, one) for one in (path, TWINS[short] + path.removeprefix(short)))
            assert told(own) == told(twin), (method, path)


def test_what_is_made_by_a_short_path_is_located_under_v1(call: Caller) -> None:
    schedule = call("POST", "/schedules", json=a_schedule_body(), headers={"Idempotency-Key": "one"})
    email = call("POST", "/emails", json=an_email())
    token = call("POST", "/token", json={"name": "shop", "scopes": ["mail"]})

    assert schedule.status_code == 201
    assert schedule.headers["Location"] == f"/v1/schedules/{schedule.json['id']}"
    assert schedule.headers["ETag"] == '"v1"'
    assert email.status_code == 202
    assert email.headers["Location"] == f"/v1/emails/{email.json['id']}"
    assert token.status_code == 201
    again = call("POST", "/v1/schedules", json=a_schedule_body(), headers={"Idempotency-Key": "one"})
    assert (again.status_code, again.json["id"]) == (200, schedule.json["id"])


def test_a_schedule_is_changed_run_and_looked_at_by_its_short_path(call: Caller) -> None:
    id_ = call("POST", "/schedules", json=a_schedule_body()).json["id"]

    changed = call("PATCH", f"/schedules/{id_}", json={"name": "New"}, headers={"If-Match": '"v1"'})
    run = call("POST", f"/schedules/{id_}/run-now", headers={"Idempotency-Key": "now"})
    listed = call("GET", f"/schedules/{id_}/runs?limit=1")

    assert (changed.status_code, changed.json["name"]) == (200, "New")
    assert (run.status_code, run.headers["Location"]) == (202, f"/v1/runs/{run.json['id']}")
    assert [one["id"] for one in listed.json["items"]] == [run.json["id"]]
    assert listed.json == call("GET", f"/v1/schedules/{id_}/runs?limit=1").json
    assert call("GET", f"/schedules/{id_}").json == call("GET", f"/v1/schedules/{id_}").json


def test_a_short_path_asks_for_the_same_token_and_scope(call: Caller, db: Db) -> None:
    reader = token_service.create_token(db, name="reader", scopes=["read"], now=datetime.now(UTC))
    headers = {"Authorization": f"Bearer {reader}"}

    assert call.client.get("/schedules").status_code == 401
    assert call.client.get("/schedules", headers=headers).status_code == 200
    assert call.client.post("/schedules", json=a_schedule_body(), headers=headers).status_code == 403


def test_only_whole_names_have_a_twin(call: Caller) -> None:
    for path in ("/schedulesx", "/email", "/v1/token", "/runs", "//schedules/x"):
        assert call("GET", path).status_code in (404, 308), path
    assert call("GET", "/v1/v1/schedules").status_code == 404


def test_the_server_may_take_as_much_of_a_body_as_for_the_twin(call: Caller) -> None:
    admit = call.client.application.extensions["admit"]

    def most(path: str, **headers: str) -> int:
        return int(admit(EnvironBuilder(path=path, method="POST", headers=headers).get_environ()))

    assert most("/emails", **call.headers) == most("/v1/emails", **call.headers) == MAX_MAIL_BODY_BYTES
    assert most("/emails") == most("/v1/emails") == 0
    assert most("/tokens", **call.headers) == MAX_SMALL_BODY_BYTES
    large = an_email(text="x" * (2 * MAX_SMALL_BODY_BYTES))
    assert call("POST", "/emails", json=large).status_code == 202


def test_a_refused_request_is_recorded_under_the_twins_path(call: Caller, db: Db) -> None:
    refused = call("POST", "/emails", json=an_email(to=["nonsense"]))

    assert refused.status_code == 422
    wait_for(lambda: db.refusals.count_documents({}) == 1, within_s=10, what="it is recorded")
    assert [one["path"] for one in call("GET", "/v1/refusals").json["items"]] == ["/v1/emails"]


def test_both_names_count_towards_one_limit(call: Caller, db: Db) -> None:
    token = token_service.create_token(db, name="t", scopes=["read"], now=datetime.now(UTC), requests_per_minute=2)
    headers = {"Authorization": f"Bearer {token}"}

    statuses = [call.client.get(path, headers=headers).status_code for path in ("/emails", "/v1/emails", "/emails")]

    assert statuses == [200, 200, 429]


def test_the_openapi_document_lists_each_operation_once(call: Caller) -> None:
    paths = call("GET", "/openapi.json").json["paths"]

    assert {path for path in paths if not path.startswith("/v1/")} == set()
