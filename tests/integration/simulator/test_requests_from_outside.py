"""What a page elsewhere, a wrong knob or a hand-made link makes of the simulator."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from simulator.app import create_app

LINK = "https://example.org/read?a=1&b=2"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """One for all: its threads end with the process."""
    folder = tmp_path_factory.mktemp("simulator")
    return create_app(
        folder=folder,
        domain="mg.example.com",
        api_key="k",
        signing_key="s",
        names=["dev.example.com"],
        webhooks="http://127.0.0.1:9/hook",
    )


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    with app.test_client() as made:
        yield made
        made.delete("/simulator/faults")


def send(client: FlaskClient, **changes: str) -> Any:
    mail = {"from": "ann@mg.example.com", "to": "bo@example.org", "subject": "Hi", "text": "Hello"}
    return client.post("/v3/mg.example.com/messages", data=mail | changes, auth=("api", "k"))


def test_a_knob_takes_a_fraction_after_a_whole_number(client: FlaskClient) -> None:
    for value in (1, 0.5, 2, 0):
        assert client.put("/simulator/behaviour", json={"delivery_s": value}).json["delivery_s"] == value


@pytest.mark.parametrize(
    "knobs",
    [
        {"latency_s": -1},
        {"latency_s": True},
        {"latency_s": "1"},
        {"latency_s": None},
        {"idle_limit_s": 1e300},
        {"hang_s": float("nan")},
        {"hang_s": float("inf")},
        {"log_status": 200.0},
        {"log_status": 99},
        {"log_status": True},
        {"log_lies_empty": 1},
        {"refused_addresses": "bo@example.org"},
        {"refused_addresses": [1]},
        {"no_such": 1},
        {"delivery_s": 3, "latency_s": -1},
        [],
        3,
    ],
)
def test_a_knob_that_takes_no_such_value_changes_nothing(client: FlaskClient, knobs: Any) -> None:
    before = client.get("/simulator/behaviour").json

    assert client.put("/simulator/behaviour", json=knobs).status_code == 400
    assert client.get("/simulator/behaviour").json == before


def test_a_fault_of_zero_times_stays_until_cleared_and_those_that_are_counted_go_before_it(client: FlaskClient) -> None:
    for fault, times in (("401", 0), ("404", 1), ("429", 1)):
        assert client.post("/simulator/faults", json={"fault": fault, "times": times}).status_code == 200

    assert [send(client).status_code for _ in range(5)] == [404, 429, 401, 401, 401]
    client.delete("/simulator/faults")
    assert send(client).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"fault": "401", "times": -1},
        {"fault": "401", "times": None},
        {"fault": "401", "times": True},
        {"fault": "401", "times": 0.5},
        {"fault": "401", "times": "2"},
        {"fault": "401", "times": 10**30},
        {"fault": "no such"},
        {"fault": ["401"]},
        {},
        [],
        "401",
    ],
)
def test_a_fault_that_cannot_be_is_refused(client: FlaskClient, body: Any) -> None:
    assert client.post("/simulator/faults", json=body).status_code == 400
    assert send(client).status_code == 200


@pytest.mark.parametrize("after", ["x", "", "-5", "9" * 40])
def test_a_record_after_no_number_is_no_error(client: FlaskClient, after: str) -> None:
    for what in ("calls", "mails"):
        assert client.get(f"/simulator/record/{what}?after={after}").status_code == 200


def test_a_click_leads_only_to_links_of_its_mail(client: FlaskClient) -> None:
    send(client, html=f'<p><a href="{LINK.replace("&", "&amp;")}">Read</a> https://evil.example/</p>')

    mail = client.get("/simulator/record/mails").json["items"][-1]["id"]

    followed = client.get(f"/inbox/{mail}/click", query_string={"url": LINK})

    assert (followed.status_code, followed.location) == (302, LINK)
    for url in (
        "https://evil.example/",
        "//evil.example",
        "https:evil.example",
        "/\\evil.example",
        f"{LINK}\nX: y",
        f"{LINK}@evil.example",
        "",
        "javascript:alert(1)",
    ):
        assert client.get(f"/inbox/{mail}/click", query_string={"url": url}).status_code == 400
    assert client.get(f"/inbox/{mail + 1}/click", query_string={"url": LINK}).status_code == 404
    events = client.get("/v3/mg.example.com/events?event=clicked", auth=("api", "k")).json["items"]
    assert [event["url"] for event in events] == [LINK]


@pytest.mark.parametrize(
    "host",
    ["localhost:8025", "127.0.0.1:8025", "[::1]:8025", "10.0.0.4", "simulator:8025", "dev.example.com", "a.localhost"],
)
def test_near_names_and_those_that_were_given_are_answered(client: FlaskClient, host: str) -> None:
    assert client.get("/inbox", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8025",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost@evil.example",
        "dev.example.com.evil.example",
        "evil.example.",
        "1.2.3.4.",
        "[::1].evil.example",
    ],
)
def test_foreign_names_are_refused_everywhere(client: FlaskClient, host: str) -> None:
    for path in ("/inbox", "/simulator/record/mails", "/v3/mg.example.com/events", "/no/such"):
        assert client.get(path, headers={"Host": host}, auth=("api", "k")).status_code == 421


def test_a_url_that_was_given_at_the_start_gets_every_kind_of_webhook(client: FlaskClient) -> None:
    told = client.get("/v3/domains/mg.example.com/webhooks", auth=("api", "k")).json["webhooks"]

    assert len(told) > 5
    assert all(kind == {"urls": ["http://127.0.0.1:9/hook"]} for kind in told.values())
