"""What a run really sent, shown later: its own content, feed and values, never those of today."""

from collections.abc import Iterator
from typing import Any

import pytest

from config.settings import read_settings
from mailroom.assembly.api import build_api_services
from mailroom.domain.ids import RunId, ScheduleId, address_digest_of, message_id
from mailroom.feeds.fetching import Fetcher
from mailroom.services.planning.feeds import Holding, awaited, provide
from mailroom.storage import suppressions
from mailroom.storage.database import Db, server_now
from scheduler_api.app import create_app
from tests.support.caller import Caller
from tests.support.feed_server import FeedServer, a_feed_server, rules_for, says_items
from tests.support.living import a_schedule_to, an_audience, put, run_now
from tests.support.planned import expand_all, hold
from tests.support.system import System
from tests.support.topics import LINKED, a_topic


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with a_feed_server() as made:
        made.answer = says_items({"id": "a", "title": "Boots"})
        yield made


@pytest.fixture
def call(system: System, server: FeedServer) -> Iterator[Caller]:
    own = {"MAILROOM_FEED_PRIVATE_HOSTS": server.place}
    app = create_app(build_api_services(read_settings({**system.environment, **own}, dotenv=None), app="tests"))
    with app.test_client() as client:
        yield Caller(client, system.token)
    for end in app.extensions["at_end"]:
        end()


def content_of(call: Caller, run: RunId, name: str) -> Any:
    digest = address_digest_of(message_id(run, f"{name}@example.org"))
    return call("GET", f"/v1/runs/{run}/messages/{digest}/content")


def planned(db: Db, server: FeedServer, schedule: ScheduleId, key: str) -> RunId:
    run = run_now(db, schedule, key)
    held = hold(db, schedule)
    for one in awaited(db, held, now=server_now(db), limit=10):
        provide(db, Fetcher(rules_for(server)), one, Holding(held[schedule], mark=0))
    expand_all(db, held)
    return run


def test_a_sent_mail_is_shown_as_it_went_whatever_has_changed_since(call: Caller, db: Db, server: FeedServer) -> None:
    audience = an_audience(db, "bo")
    words = "{% for item in feed.items %}{{ item.title }} for {{ name }} in {{ city }}{% endfor %}"
    schedule = a_schedule_to(
        db, audience, subject="For {{ name }}", text=words, html=f"<p>{words}</p>", feed={"url": server.url}
    )
    run = planned(db, server, schedule, "1")
    put(db, audience, "bo", city="Oslo")
    server.answer = says_items({"id": "b", "title": "Hats"})
    edited = call("PATCH", f"/v1/schedules/{schedule}", json={"text": "Changed", "subject": "Changed"})
    assert edited.status_code == 200

    shown = content_of(call, run, "bo")
    now = call("POST", f"/v1/schedules/{schedule}/render", json={})

    assert shown.json == {
        "address": "bo@example.org",
        "subject": "For Bo",
        "text": "Boots for Bo in Rome",
        "html": "<p>Boots for Bo in Rome</p>",
        "headers": {"From": "Ann <ann@mg.example.com>"},
    }
    assert (now.json["text"], now.json["subject"]) == ("Changed", "Changed")
    assert "Hats for Bo in Oslo" in now.json["html"]


def test_the_readers_own_link_is_not_shown(call: Caller, db: Db, server: FeedServer) -> None:
    a_topic(db)
    run = planned(db, server, a_schedule_to(db, an_audience(db, "bo"), topic="newsletter", **LINKED), "1")

    shown = content_of(call, run, "bo").json

    link = shown["headers"]["List-Unsubscribe"][1:-1]
    assert shown["text"] == f"Hello Bo. Leave: {link}"
    assert call.client.post(f"/u/{link.rpartition('/')[2]}", data="List-Unsubscribe=One-Click").status_code == 404


def test_where_nothing_was_rendered_there_is_nothing_to_show(call: Caller, db: Db, server: FeedServer) -> None:
    audience = an_audience(db, "ann", "bo")
    suppressions.add_bounced(db, ["ann@example.org"], at=server_now(db))
    run = planned(db, server, a_schedule_to(db, audience), "1")

    assert content_of(call, run, "ann").status_code == 404
    assert content_of(call, run, "nobody").status_code == 404
    assert content_of(call, run, "bo").status_code == 200
    assert call("GET", f"/v1/runs/{run}/messages/nothing/content").status_code == 404
