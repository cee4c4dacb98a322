"""The simulator's feeds: what a person adds, as JSON and RSS, and how they misbehave."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from mailroom.feeds.reading import read_feed
from simulator.app import create_app

PLACE = "/simulator/feeds/news"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    app = create_app(folder=tmp_path, domain="mg.example.com", api_key="key", signing_key="key")
    with app.test_client() as made:
        yield made


def items_of(answer: Any) -> list[Any]:
    return list(read_feed(answer.data, answer.headers["Content-Type"], url="http://localhost/").items)


def test_items_are_added_before_the_others_and_shown_in_both_forms(client: FlaskClient) -> None:
    client.post(PLACE, json={"title": "First & oldest", "link": "https://example.com/1"})
    client.post(PLACE, json=[{"title": "Third", "price": 3}, {"title": "Second"}])

    as_json, as_rss = items_of(client.get(f"{PLACE}.json")), items_of(client.get(f"{PLACE}.rss"))

    titles = ["Third", "Second", "First & oldest"]
    assert [item["title"] for item in as_json] == [item["title"] for item in as_rss] == titles
    assert [item["id"] for item in as_json] == [item["id"] for item in as_rss]
    assert as_json[0]["price"] == 3
    assert as_rss[2]["published"]


@pytest.mark.parametrize(
    ("fault", "status"), [("500", 500), ("redirect", 302), ("broken", 200), ("huge", 200), ("slow", 200)]
)
def test_it_misbehaves_as_often_as_it_is_told(client: FlaskClient, fault: str, status: int) -> None:
    client.post(PLACE, json={"title": "First"})
    client.put(f"{PLACE}/behaviour", json={"fault": fault, "times": 1})

    first, second = client.get(PLACE), client.get(PLACE)

    assert first.status_code == status
    assert json.loads(second.data)["items"][0]["title"] == "First"
    assert client.get(f"{PLACE}/behaviour").json["requests"] == 2
    first.close()


@pytest.mark.parametrize("body", [{"fault": "no"}, {"fault": "500", "times": -1}, {"fault": "500", "times": "x"}])
def test_a_fault_that_does_not_exist_is_refused(client: FlaskClient, body: Any) -> None:
    assert client.put(f"{PLACE}/behaviour", json=body).status_code == 400


def test_what_is_no_item_is_refused_and_a_feed_has_an_end(client: FlaskClient) -> None:
    refused = client.post(PLACE, json=["no"])
    too_many = client.post(PLACE, json=[{}] * 2_001)
    emptied = client.delete(PLACE)

    assert (refused.status_code, too_many.status_code, emptied.status_code) == (400, 400, 204)
