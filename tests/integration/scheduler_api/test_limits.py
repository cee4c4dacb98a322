"""Limits of callers: counted in Redis, told with Retry-After, and no reason to stand still where Redis is away."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis

import web.app
from config.settings import read_settings
from mailroom.assembly.api import build_api_services
from mailroom.coordination.counters import Counters
from mailroom.services.operations import tokens as token_service
from mailroom.services.operations.token_check import token_id_of
from mailroom.storage.database import Db
from scheduler_api.app import create_app
from tests.support.emails import an_email
from tests.support.system import System

MINUTE = timedelta(minutes=1)
Api = Callable[..., Callable[..., Any]]


@pytest.fixture
def api(system: System) -> Api:
    """The API with these limits, called with this token."""

    def started(token: str, **limits: str) -> Callable[..., Any]:
        system.environment |= limits
        client = create_app(
            build_api_services(read_settings(system.environment, dotenv=None), app="tests")
        ).test_client()
        return lambda method, path, **rest: client.open(
            path, method=method, headers={"Authorization": f"Bearer {token}", **rest.pop("headers", {})}, **rest
        )

    return started


@pytest.fixture
def counters(system: System) -> Counters:
    return Counters(system.settings.stores.redis_url, of=system.db.name)


def a_token(db: Db, *scopes: str, **limits: int) -> str:
    return token_service.create_token(db, name="t", scopes=scopes or ["mail"], now=datetime.now(UTC), **limits)


def statuses(call: Callable[..., Any], times: int, *request: str, **rest: Any) -> list[int]:
    return [call(*request, **rest).status_code for _ in range(times)]


def test_so_many_are_counted_within_a_span_and_no_more(counters: Counters) -> None:
    span = timedelta(seconds=0.4)
    waits = [counters.take("a", most=3, span=span) for _ in range(4)]

    assert waits[:3] == [None] * 3
    assert timedelta() < (waits[3] or span * 9) <= span
    assert counters.take("b", most=3, span=span) is None
    time.sleep(0.45)
    assert counters.take("a", most=3, span=span, count=3) is None
    assert counters.take("a", most=3, span=span, count=1) is not None


def test_what_is_more_than_the_rest_is_not_counted_at_all_and_what_did_not_happen_is_given_back(
    counters: Counters,
) -> None:
    assert counters.take("a", most=3, span=MINUTE, count=2) is None
    assert counters.take("a", most=3, span=MINUTE, count=2) is not None
    counters.give_back("a", 1)
    assert counters.take("a", most=3, span=MINUTE, count=2) is None
    counters.give_back("nobody", 5)
    assert counters.take("nobody", most=1, span=MINUTE, count=2) is not None


def test_a_token_may_ask_so_often_a_minute_and_is_reported_when_again(api: Api, db: Db) -> None:
    call = api(a_token(db, "read"), MAILROOM_REQUESTS_PER_MINUTE="3")

    assert statuses(call, 3, "GET", "/v1/schedules") == [200] * 3
    refused = call("GET", "/v1/emails")

    assert (refused.status_code, refused.content_type) == (429, "application/problem+json")
    assert refused.json["code"] == "too_many_requests"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_a_tokens_own_limit_goes_before_the_settings_and_its_count_through_a_rotation(api: Api, db: Db) -> None:
    old = a_token(db, "read", requests_per_minute=2)
    call = api(old, MAILROOM_REQUESTS_PER_MINUTE="100")
    assert statuses(call, 3, "GET", "/v1/tokens") == [200, 200, 429]

    new = api(token_service.rotate(db, token_id_of(old), now=datetime.now(UTC)))

    assert new("GET", "/v1/tokens").status_code == 429
    assert api(a_token(db, "read"))("GET", "/v1/tokens").status_code == 200


def test_reports_have_a_limit_without_any_setting(api: Api, db: Db) -> None:
    call = api(a_token(db, "read"), MAILROOM_REPORTS_PER_MINUTE="2")

    assert statuses(call, 2, "GET", "/v1/runs/none/report") == [404, 404]
    assert statuses(call, 1, "GET", "/v1/runs/none/unreached") == [429]
    assert statuses(call, 1, "GET", "/v1/runs/none") == [404]


def test_a_token_hands_in_so_many_mails_a_day_and_what_was_not_taken_does_not_count(api: Api, db: Db) -> None:
    call = api(a_token(db, mails_per_day=3))
    one = {"json": an_email(), "headers": {"Idempotency-Key": "k"}}
    wrong = {"json": an_email(to=[])}

    assert statuses(call, 2, "POST", "/v1/emails", **one) == [202, 202]
    assert statuses(call, 5, "POST", "/v1/emails", **wrong) == [422] * 5
    assert statuses(call, 1, "POST", "/v1/emails/batch", json={"emails": [an_email()] * 3}) == [429]
    assert statuses(call, 1, "POST", "/v1/emails/batch", json={"emails": [an_email(), an_email(to=[])]}) == [200]
    assert statuses(call, 1, "POST", "/v1/mail", json=SHORT) == [200]
    refused = call("POST", "/v1/emails", json=an_email())

    assert refused.status_code == 429
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0) + timedelta(days=1)
    assert abs(int(refused.headers["Retry-After"]) - (midnight - datetime.now(UTC)).total_seconds()) < 5
    assert call("POST", "/v1/mail", json=SHORT).status_code == 429
    assert db.emails.count_documents({}) == 3
    assert statuses(api(a_token(db)), 4, "POST", "/v1/emails", json=an_email()) == [202] * 4


SHORT = {"from": "shop@mg.example.com", "to": "bo@example.org", "subject": "Hi", "message": "Hello"}


def test_a_mail_where_no_limit_is_set_asks_redis_for_nothing(api: Api, system: System, db: Db) -> None:
    call = api(a_token(db))
    redis: Any = Redis.from_url(system.settings.stores.redis_url)
    before = redis.info("stats")["total_connections_received"]

    assert statuses(call, 3, "POST", "/v1/emails", json=an_email()) == [202] * 3

    assert redis.info("stats")["total_connections_received"] == before
    assert not list(redis.scan_iter(f"mailroom:count:{db.name}:*"))


def seconds_of(call: Callable[..., Any]) -> float:
    """For twenty requests that are let through."""
    began = time.monotonic()
    assert statuses(call, 20, "GET", "/v1/tokens") == [200] * 20
    return time.monotonic() - began


def test_everybody_is_let_through_at_once_where_redis_is_away(api: Api, db: Db) -> None:
    token = a_token(db, "read")
    call = api(token, MAILROOM_REQUESTS_PER_MINUTE="1", MAILROOM_REDIS_URL="redis://127.0.0.1:9/0")
    usual_s = seconds_of(api(token, MAILROOM_REQUESTS_PER_MINUTE="100"))

    assert seconds_of(call) < usual_s + 2.5  # waiting for each would take 5 s


def test_everybody_is_let_through_where_redis_stands_still(counters: Counters, system: System) -> None:
    assert counters.take("a", most=1, span=MINUTE) is None
    redis = system.servers.redis
    assert redis
    before = counts_asked(system)
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert [counters.take("a", most=1, span=MINUTE) for _ in range(50)] == [None] * 50
        assert time.monotonic() - began < 5  # waiting for each would take 12.5 s
    finally:
        os.kill(redis.pid, signal.SIGCONT)

    assert counts_asked(system) - before == 1


def counts_asked(system: System) -> int:
    """How often a count was asked for. What came while it stood still, Redis has read by the time it answers here."""
    with Redis.from_url(system.settings.stores.redis_url) as redis:
        told: Any = redis.info("commandstats")
    return int(told.get("cmdstat_evalsha", {}).get("calls", 0))


@pytest.fixture
def pages(system: System) -> Iterator[Callable[..., FlaskClient]]:
    def started(**limits: str) -> FlaskClient:
        system.environment |= limits
        return web.app.create_app(
            build_api_services(read_settings(system.environment, dotenv=None), app="tests")
        ).test_client()

    yield started


def tries(client: FlaskClient, times: int, token: str = "wrong", **headers: str) -> list[int]:
    found = []
    for _ in range(times):
        page = client.get("/sign-in").text
        csrf = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert csrf
        form = {"csrf_token": csrf[1], "token": token, "next": "/"}
        found.append(client.post("/sign-in", data=form, headers=headers).status_code)
    return found


def test_signing_in_is_tried_ten_times_a_minute_from_one_address(pages: Callable[..., FlaskClient]) -> None:
    client = pages()

    assert tries(client, 11) == [401] * 10 + [429]
    # Nobody is believed to come from elsewhere.
    assert tries(client, 1, **{"X-Forwarded-For": "198.51.100.7"}) == [429]


def test_the_right_token_is_refused_too_and_the_page_says_when_again(
    pages: Callable[..., FlaskClient], system: System
) -> None:
    client = pages(MAILROOM_SIGN_INS_PER_MINUTE="1")
    tries(client, 1)
    csrf = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/sign-in").text)
    assert csrf

    refused = client.post("/sign-in", data={"csrf_token": csrf[1], "token": system.token, "next": "/"})

    assert refused.status_code == 429
    assert f"Try again in {refused.headers['Retry-After']} seconds" in refused.text


def test_behind_a_trusted_proxy_each_address_has_its_own_tries(pages: Callable[..., FlaskClient]) -> None:
    client = pages(MAILROOM_SIGN_INS_PER_MINUTE="2", MAILROOM_TRUSTED_PROXIES="127.0.0.1, 10.0.0.0/8")

    def by(address: str) -> list[int]:
        return tries(client, 3, **{"X-Forwarded-For": f"192.0.2.1, {address}, 10.1.1.1"})

    assert by("198.51.100.1") == [401, 401, 429]
    assert by("198.51.100.2") == [401, 401, 429]


def test_a_limit_of_none_is_none(pages: Callable[..., FlaskClient]) -> None:
    assert tries(pages(MAILROOM_SIGN_INS_PER_MINUTE="none"), 15) == [401] * 15
