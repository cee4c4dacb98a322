"""Feeds over the API: named by a schedule, checked with all else, shown with a run, and previewed as they are now."""

from collections.abc import Iterator
from typing import Any

import pytest

from config.settings import read_settings
from mailroom.assembly.api import build_api_services
from mailroom.domain.workers import WorkerKind
from mailroom.feeds.fetching import Fetcher
from mailroom.services.planning.feeds import Holding, awaited, provide
from mailroom.storage.database import Db, server_now
from scheduler_api.app import create_app
from tests.support.caller import Caller, problems
from tests.support.feed_server import FeedServer, a_feed_server, rules_for, says, says_items
from tests.support.planned import expand_all, hold
from tests.support.system import System, a_schedule_body

WHOLE = {
    "headers": {},
    "timeout_s": 20,
    "only_newer": True,
    "when_empty": "skip",
    "deadline_s": 3600,
    "when_away": "skip",
}


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with a_feed_server() as made:
        made.answer = says_items({"id": "a", "title": "A"})
        yield made


@pytest.fixture
def call(system: System, server: FeedServer) -> Iterator[Caller]:
    """An API that may fetch from the server, and has a secret for it."""
    secrets = f'{{"shop": {{"value": "Bearer 0123456789", "hosts": ["{server.place}"]}}}}'
    own = {"MAILROOM_FEED_PRIVATE_HOSTS": server.place, "MAILROOM_FEED_SECRETS": secrets}
    app = create_app(build_api_services(read_settings({**system.environment, **own}, dotenv=None), app="tests"))
    with app.test_client() as client:
        yield Caller(client, system.token)
    for end in app.extensions["at_end"]:
        end()


def provided(system: System, server: FeedServer, schedule_id: Any) -> None:
    """Give the schedule's runs their feeds, as a sender does."""
    held = hold(system.db, schedule_id)
    for one in awaited(system.db, held, now=server_now(system.db), limit=10):
        provide(system.db, Fetcher(rules_for(server)), one, Holding(held[schedule_id], mark=0))
    expand_all(system.db, held)


def test_a_schedule_takes_a_feed_shows_it_changes_it_and_gives_it_up(call: Caller, server: FeedServer) -> None:
    made = call("POST", "/v1/schedules", json=a_schedule_body(feed={"url": server.url}))
    place = f"/v1/schedules/{made.json['id']}"
    same = call("PATCH", place, json={"feed": {"url": server.url}})
    whole = call("PATCH", place, json=call("GET", place).json)
    changed = call("PATCH", place, json={"feed": {"url": server.url, "headers": {"Authorization": "shop"}}})
    cleared = call("PATCH", place, json={"feed": None})

    assert (made.status_code, made.json["feed"]) == (201, {"url": server.url, **WHOLE})
    assert [answer.json["revision"] for answer in (same, whole, changed, cleared)] == [1, 1, 2, 3]
    assert changed.json["feed"]["headers"] == {"Authorization": "shop"}
    assert cleared.json["feed"] is None


@pytest.mark.parametrize(
    ("feed", "paths"),
    [
        ("https://feeds.example.com/", {"feed"}),
        ({}, {"feed.url"}),
        ({"url": "https://a.example/", "colour": "red"}, {"feed.colour"}),
        ({"url": "ftp://a.example/", "timeout_s": 0}, {"feed.url", "feed.timeout_s"}),
        ({"url": "https://a.example/", "timeout_s": "5"}, {"feed.timeout_s"}),
        ({"url": "https://a.example/", "when_empty": "x", "when_away": "y"}, {"feed.when_empty", "feed.when_away"}),
        ({"url": "https://a.example/", "only_newer": "yes"}, {"feed.only_newer"}),
        ({"url": "http://a.example/"}, {"feed.url"}),
        ({"url": "https://a.example:22/"}, {"feed.url"}),
        ({"url": "https://a.example/", "headers": {"X": "nothing"}}, {"feed.headers.X"}),
        ({"url": "https://a.example/", "headers": {"X": "shop"}}, {"feed.headers.X"}),
        ({"url": "http://a.example:1/", "headers": {"X": "shop"}}, {"feed.url", "feed.headers.X"}),
    ],
)
def test_a_bad_feed_is_refused_with_all_other_faults(call: Caller, db: Db, feed: Any, paths: set[str]) -> None:
    answer = call("POST", "/v1/schedules", json=a_schedule_body(feed=feed, text="{{ no_such }}"))

    assert answer.status_code == 422
    assert set(problems(answer)) == paths | {"text"}
    assert db.schedules.count_documents({}) == 0


def test_a_run_shows_its_feed_and_why_it_waits_for_one(call: Caller, system: System, server: FeedServer) -> None:
    server.answer = says("no", status="500 Oh")
    schedule = call("POST", "/v1/schedules", json=a_schedule_body(feed={"url": f"{server.url}?key=secret"})).json
    run = call("POST", f"/v1/schedules/{schedule['id']}/run-now", headers={"Idempotency-Key": "k"}).json
    place = f"/v1/runs/{run['id']}"
    before = call("GET", f"{place}/feed").json
    provided(system, server, schedule["id"])
    waits, shown = call("GET", f"{place}/feed").json, call("GET", place).json
    server.answer = says_items({"id": "a", "title": "A"})
    system.db.runs.update_one({"_id": run["id"]}, {"$set": {"awaits_feed": server_now(system.db)}})
    provided(system, server, schedule["id"])
    kept, after = call("GET", f"{place}/feed").json, call("GET", place).json

    problem = f"{server.place} answered 500"
    assert (before["status"], before["tries"], before["feed"]) == ("waiting", 0, None)
    assert (waits["status"], waits["tries"], waits["problem"]) == ("waiting", 1, problem)
    assert (shown["status"], shown["feed_problem"], shown["awaits_feed"]) == ("planning", problem, waits["next_try_at"])
    assert (kept["status"], kept["url"], kept["found"]) == ("kept", server.url, 1)
    assert kept["feed"] == {"title": "", "link": "", "items": [{"id": "a", "title": "A"}]}
    assert (after["status"], after["awaits_feed"], after["feed_problem"]) == ("planned", None, None)


def test_a_run_without_a_feed_has_none_to_show(call: Caller) -> None:
    schedule = call("POST", "/v1/schedules", json=a_schedule_body()).json
    run = call("POST", f"/v1/schedules/{schedule['id']}/run-now", headers={"Idempotency-Key": "k"}).json

    assert call("GET", f"/v1/runs/{run['id']}/feed").status_code == 404
    assert call("GET", "/v1/runs/nothing/feed").status_code == 404


def test_a_skipped_run_says_that_nothing_was_new(call: Caller, system: System, server: FeedServer) -> None:
    server.answer = says_items()
    schedule = call("POST", "/v1/schedules", json=a_schedule_body(feed={"url": server.url})).json
    run = call("POST", f"/v1/schedules/{schedule['id']}/run-now", headers={"Idempotency-Key": "k"}).json

    provided(system, server, schedule["id"])

    shown = call("GET", f"/v1/runs/{run['id']}").json
    assert (shown["status"], shown["reason"]) == ("skipped", "nothing in its feed")


def test_a_preview_has_the_feed_as_it_is_now(call: Caller, server: FeedServer) -> None:
    body = a_schedule_body(feed={"url": server.url})
    schedule = call("POST", "/v1/schedules", json=body).json
    unsaved = call("POST", "/v1/schedules/render", json=body)
    server.answer = says_items({"id": "b", "title": "B"})
    stored = call("POST", f"/v1/schedules/{schedule['id']}/render", json={})
    plain = call("POST", "/v1/schedules/render", json=a_schedule_body())

    assert [item["title"] for item in unsaved.json["feed"]["items"]] == ["A"]
    assert [item["title"] for item in stored.json["feed"]["items"]] == ["B"]
    assert plain.json["feed"] is None


def test_a_preview_says_why_the_feed_does_not_come(call: Caller, server: FeedServer) -> None:
    server.answer = says("", status="302 Found", Location="http://169.254.169.254/latest/meta-data/")

    answer = call("POST", "/v1/schedules/render", json=a_schedule_body(feed={"url": server.url}))

    assert answer.status_code == 422
    assert problems(answer) == {
        "feed": f"{server.place} redirects to http://169.254.169.254/latest/meta-data/; redirects are not followed"
    }
    assert len(server.requests) == 1


def test_a_feed_is_not_taken_in_while_a_process_of_an_earlier_version_runs(
    call: Caller, db: Db, server: FeedServer
) -> None:
    old = {"kind": WorkerKind.WEB, "protocol": 3, "checked_in_at": server_now(db), "lanes": [], "lanes_count": 0}
    db.workers.insert_one({"_id": "old-1", **old})

    answer = call("POST", "/v1/schedules", json=a_schedule_body(feed={"url": server.url}))

    assert (answer.status_code, answer.json["code"]) == (409, "senders_too_old")


def test_a_copy_has_the_feed_of_its_source(call: Caller, server: FeedServer) -> None:
    source = call("POST", "/v1/schedules", json=a_schedule_body(feed={"url": server.url})).json

    copy = call("POST", f"/v1/schedules/{source['id']}/duplicate", headers={"Idempotency-Key": "k"})

    assert copy.json["feed"] == source["feed"]
