"""A caller looks up the requests that it made, and nobody else's."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from mailroom.domain.errors import Unavailable
from mailroom.domain.served_requests import ServedRequest
from mailroom.services.operations.token_check import token_id_of
from mailroom.storage import served_requests
from mailroom.storage.database import Db
from mailroom.storage.served_requests import MOST_ENTRIES
from tests.support.caller import Caller, problems
from tests.support.emails import an_email
from tests.support.system import wait_for
from tests.support.tokens import a_token

As = Callable[..., Any]


@pytest.fixture
def by(call: Caller) -> As:
    """A call with another token."""

    def made(token: str, method: str, path: str, **rest: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}", **rest.pop("headers", {})}
        return call.client.open(path, method=method, headers=headers, **rest)

    return made


def listed(call: Caller, count: int, **query: Any) -> list[dict[str, Any]]:
    """They are written behind the answer. Looking is a request too, and left out here."""

    def items() -> list[dict[str, Any]]:
        found = call("GET", "/v1/requests", query_string=query).json["items"]
        return [one for one in found if one["route"] != "/v1/requests"]

    return wait_for(lambda: found if len(found := items()) >= count else None, within_s=10, what="they are written")


def test_a_caller_finds_what_it_asked_for_newest_first_by_route_and_not_by_path(call: Caller) -> None:
    call("POST", "/v1/emails", json=an_email(), headers={"X-Request-Id": "order-17"})
    call("GET", "/v1/suppressions/bo@example.org")

    found = listed(call, 2)

    assert [(one["method"], one["route"], one["status"]) for one in found] == [
        ("GET", "/v1/suppressions/{address}", 404),
        ("POST", "/v1/emails", 202),
    ]
    assert found[1]["request_id"] == "order-17"
    assert found[1]["ms"] > 0
    assert "bo@example.org" not in str(found)


def test_each_caller_sees_its_own_and_admin_those_of_any(call: Caller, by: As, db: Db) -> None:
    mine, others = a_token(db, "mail"), a_token(db, "read")
    by(mine, "GET", "/v1/runs")
    id_ = token_id_of(mine)

    as_admin = listed(call, 1, token=id_)
    as_mine = by(mine, "GET", "/v1/requests").json["items"]
    refused = by(others, "GET", f"/v1/requests?token={id_}")

    assert [one["route"] for one in as_admin] == ["/v1/runs"]
    assert {one["token"] for one in as_admin + as_mine} == {id_}
    assert (refused.status_code, refused.json["code"]) == (403, "not_the_owner")
    assert by(others, "GET", "/v1/requests?token=0000000000000000").status_code == 403
    assert {one["route"] for one in call("GET", "/v1/requests").json["items"]} == {"/v1/requests"}


def test_a_rotated_token_still_sees_what_the_one_before_asked_for(call: Caller, by: As, db: Db) -> None:
    old = a_token(db, "read")
    by(old, "GET", "/v1/runs")
    new = call("POST", f"/v1/tokens/{token_id_of(old)}/rotate", json={}).json["token"]
    listed(call, 1, token=token_id_of(old))

    found = by(new, "GET", f"/v1/requests?token={token_id_of(old)}")

    assert [one["route"] for one in found.json["items"]] == ["/v1/runs"]


def test_callers_without_a_good_token_leave_nothing(call: Caller, db: Db) -> None:
    call.client.get("/v1/runs")
    call.client.get("/v1/runs", headers={"Authorization": "Bearer mr_0123456789abcdef_" + "x" * 43})
    call.client.get("/health")
    call.client.post("/webhooks/mailgun", json={})
    call("GET", "/v1/runs")

    listed(call, 1)

    assert {entry["route"] for doc in db.requests.find() for entry in doc["entries"]} <= {"/v1/runs", "/v1/requests"}
    assert db.requests.distinct("token") == [token_id_of(call.headers["Authorization"].removeprefix("Bearer "))]


def served(number: int, *, token: str = "t1") -> ServedRequest:
    at = datetime(2026, 11, 30, 9, 0, tzinfo=UTC) + timedelta(milliseconds=number)
    return ServedRequest(at, f"r{number}", token, "GET", "/v1/runs", 200, 1.5)


@pytest.mark.parametrize("limit", [1, 7, MOST_ENTRIES, 200])
def test_pages_show_each_request_once_in_order_however_they_were_written(db: Db, limit: int) -> None:
    for start, end in ((0, 1), (1, 130), (130, 131), (131, 250)):
        mixed = [served(n) for n in range(start, end)] + [served(n, token="t2") for n in range(start, end)]
        bundles = list(served_requests.bundles_of(mixed))
        served_requests.add_many(db, bundles)
        served_requests.add_many(db, bundles)  # the answer to the first try was lost
    # One member has them at once; reads show what a majority has.
    wait_for(lambda: db.requests.count_documents({}) >= 12, within_s=10, what="all are stored")

    found: list[str] = []
    place = None
    while page := served_requests.page(db, "t1", before=place, limit=limit):
        found += [one.request_id for _, one in page]
        place = page[-1][0]
        assert len(page) <= limit

    assert found == [f"r{number}" for number in reversed(range(250))]
    assert db.requests.count_documents({}) == 12


def test_the_list_is_paged_by_its_cursor_and_a_forged_one_is_refused(call: Caller) -> None:
    for number in range(5):
        call("GET", f"/v1/runs?limit={number + 1}")
    listed(call, 5)

    first = call("GET", "/v1/requests?limit=3").json
    rest = call("GET", "/v1/requests", query_string={"limit": 3, "cursor": first["next_cursor"]}).json

    times = [one["at"] for one in first["items"] + rest["items"]]
    assert len(times) == 6
    assert times == sorted(times, reverse=True)
    for cursor in ("x", "WyJhIiwgLTFd", "WyJhIiwgdHJ1ZV0", "WyJhIl0"):
        assert problems(call("GET", f"/v1/requests?cursor={cursor}")) == {"cursor": "is not one that was given out"}


def test_a_store_that_is_away_slows_no_request_and_what_waited_is_shown_later(
    call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise Unavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(served_requests, "add_many", away)
        answers = [call("GET", "/v1/runs").status_code for _ in range(3)]

    assert answers == [200] * 3
    assert len(listed(call, 3)) == 3


@pytest.fixture
def lines() -> Any:
    """The log lines of this process."""
    capture = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    return capture.entries


def test_each_request_is_one_line_with_its_id_token_route_status_and_time(call: Caller, lines: Any) -> None:
    given = "5f0c1d9e-7c1d-4d0e-9b1a-0d5a2f1c3b4a"

    answer = call("GET", "/v1/suppressions/bo@example.org", headers={"X-Request-Id": given})

    (line,) = [line for line in lines if line["event"] == "request"]
    token = token_id_of(call.headers["Authorization"].removeprefix("Bearer "))
    assert answer.headers["X-Request-Id"] == answer.json["request_id"] == line["request_id"] == given
    assert (line["method"], line["route"]) == ("GET", "/v1/suppressions/{address}")
    assert (line["token"], line["status"], line["log_level"]) == (token, 404, "info")
    assert 0 < line["ms"] < 60_000
    assert "bo@example.org" not in str(line)


def test_an_id_that_is_not_sane_is_replaced_and_probes_are_logged_at_debug(call: Caller, lines: Any) -> None:
    answer = call.client.get("/health", headers={"X-Request-Id": "a b<script>"})
    call.client.get("/no/such/path")

    probe, other = [line for line in lines if line["event"] == "request"]
    assert len(answer.headers["X-Request-Id"]) == 16
    assert (probe["route"], probe["log_level"]) == ("/health", "debug")
    assert (other["route"], other["token"], other["status"]) == ("none", "", 404)
