"""The simulator is faithful: Mailgun's own Python client works against it unchanged, and answers have its shape."""

import time
from collections.abc import Iterator

import jsonschema
import pytest
import requests
from mailgun.client import Client

from tests.support.system import DOMAIN, System

TEXT, NUMBER = {"type": "string"}, {"type": "number"}


def shape(required: dict[str, object]) -> dict[str, object]:
    return {"type": "object", "required": list(required), "properties": required}


ACCEPTED = shape({"id": {"type": "string", "pattern": "^<.+@.+>$"}, "message": {"const": "Queued. Thank you."}})
EVENT = shape(
    {
        "event": TEXT,
        "id": TEXT,
        "timestamp": NUMBER,
        "log-level": {"enum": ["info", "warn", "error"]},
        "recipient": TEXT,
        "recipient-domain": TEXT,
        "tags": {"type": "array"},
        "campaigns": {"type": "array"},
        "user-variables": {"type": "object"},
        "message": shape({"headers": shape({"message-id": {"type": "string", "not": {"pattern": "[<>]"}}})}),
    }
)
EVENTS = shape({"items": {"type": "array", "items": EVENT}, "paging": shape({"next": TEXT, "previous": TEXT})})
WEBHOOK = shape({"message": TEXT, "webhook": shape({"urls": {"type": "array", "items": TEXT}})})


@pytest.fixture
def client(system: System) -> Iterator[Client]:
    system.start_simulator()
    with Client(auth=("api", "key-for-tests"), api_url=system.simulator.url) as made:
        yield made


def a_mail(**changes: object) -> dict[str, object]:
    return {"from": f"Ann <ann@{DOMAIN}>", "to": "bo@example.org", "subject": "Hi", "text": "Hello"} | changes


def test_mailguns_own_client_sends(client: Client, system: System) -> None:
    answer = client.messages.create(data=a_mail(), domain=DOMAIN)

    assert answer.status_code == 200
    jsonschema.validate(answer.json(), ACCEPTED)
    assert [mail["recipient"] for mail in system.simulator.mails()] == ["bo@example.org"]


def test_mailguns_own_client_pages_through_events_until_a_page_is_empty(client: Client) -> None:
    to = [f"reader-{n}@example.org" for n in range(25)]
    client.messages.create(data=a_mail(to=to, **{"recipient-variables": "{}"}), domain=DOMAIN)
    time.sleep(0.4)  # the simulated deliveries

    pages, answer = [], client.events.get(domain=DOMAIN, filters={"limit": 20, "ascending": "yes", "begin": "0"})
    while answer.json()["items"]:
        jsonschema.validate(answer.json(), EVENTS)
        pages.append(len(answer.json()["items"]))
        answer = requests.get(answer.json()["paging"]["next"], auth=("api", "key-for-tests"), timeout=10)

    jsonschema.validate(answer.json(), EVENTS)
    assert pages == [20, 20, 10]


def test_mailguns_own_client_streams_events(client: Client) -> None:
    client.messages.create(data=a_mail(), domain=DOMAIN)
    time.sleep(0.4)

    seen = [event["event"] for event in client.events.stream(domain=DOMAIN, filters={"limit": 1})]

    assert sorted(seen) == ["accepted", "delivered"]


def test_mailguns_own_client_sets_webhooks(client: Client, system: System) -> None:
    url = "http://127.0.0.1:9/hook"
    created = client.domains_webhooks.create(domain=DOMAIN, data={"id": "opened", "url": [url]})
    jsonschema.validate(created.json(), WEBHOOK)
    updated = client.domains_webhooks.put(domain=DOMAIN, webhook_name="opened", data={"url": [url + "2"]})
    jsonschema.validate(updated.json(), WEBHOOK)
    # The client's own way to version 4 never gets there in 1.10: it decides before it has the data.
    by_url = {"url": url, "event_types": ["clicked", "delivered"]}
    v4 = f"{system.simulator.url}/v4/domains/{DOMAIN}/webhooks"
    requests.post(v4, data=by_url, auth=("api", "key-for-tests"), timeout=10).raise_for_status()

    found = client.domains_webhooks.get(domain=DOMAIN).json()["webhooks"]

    assert found["opened"] == {"urls": [url + "2"]}
    assert found["clicked"] == {"urls": [url]}
    assert found["complained"] is None
    deleted = client.domains_webhooks.delete(domain=DOMAIN, webhook_name="opened")
    assert deleted.json()["message"] == "Webhook has been deleted"


def test_our_own_message_id_is_kept_and_stands_in_events_without_brackets(client: Client) -> None:
    answer = client.messages.create(data=a_mail(**{"h:Message-Id": f"<once@{DOMAIN}>"}), domain=DOMAIN)

    items = client.events.get(domain=DOMAIN, filters={"message-id": f"once@{DOMAIN}"}).json()["items"]

    assert answer.json()["id"] == f"<once@{DOMAIN}>"
    assert {item["message"]["headers"]["message-id"] for item in items} == {f"once@{DOMAIN}"}


def test_a_batch_gives_each_recipient_its_own_copy_with_its_own_values(client: Client, system: System) -> None:
    variables = '{"bo@example.org": {"first": "Bo"}, "cy@example.org": {"first": "Cy"}}'
    data = a_mail(to=["bo@example.org", "cy@example.org"], subject="Hi %recipient.first%")

    client.messages.create(data=data | {"recipient-variables": variables}, domain=DOMAIN)

    assert {mail["recipient"]: mail["subject"] for mail in system.simulator.mails()} == {
        "bo@example.org": "Hi Bo",
        "cy@example.org": "Hi Cy",
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"from": ""}, "from parameter is missing"),
        ({"to": ""}, "to parameter is missing"),
        ({"to": "nobody"}, "to parameter is not a valid address. please check documentation"),
        ({"text": ""}, "Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified"),
        ({"recipient-variables": "{bad"}, "'recipient-variables' parameter is not a valid JSON"),
        ({"to": [f"r{n}@example.org" for n in range(1001)]}, "Too many recipients, max is 1000"),
        ({"to": ["bo@example.org", "bad"]}, "to parameter is not a valid address. please check documentation"),
    ],
)
def test_a_bad_call_is_refused_whole_in_mailguns_words(
    client: Client, system: System, changes: dict[str, object], words: str
) -> None:
    answer = client.messages.create(data=a_mail(**changes), domain=DOMAIN)

    assert (answer.status_code, answer.json()) == (400, {"message": words})
    assert system.simulator.record()["mails"] == 0


def test_a_wrong_key_an_unknown_domain_and_a_wrong_path_answer_as_mailgun_does(client: Client, system: System) -> None:
    def post(path: str, key: str = "key-for-tests") -> requests.Response:
        return requests.post(f"{system.simulator.url}{path}", auth=("api", key), data=a_mail(), timeout=10)

    forbidden, unknown, wrong = (
        post(f"/v3/{DOMAIN}/messages", "x"),
        post("/v3/elsewhere.org/messages"),
        post(f"/v3/{DOMAIN}/massages"),
    )

    assert (forbidden.status_code, forbidden.text) == (401, "Forbidden")
    assert (unknown.status_code, unknown.json()) == (404, {"message": "Domain not found: elsewhere.org"})
    assert (wrong.status_code, wrong.text) == (200, "Mailgun Magnificent API")


def test_test_mode_is_evented_but_not_sent(client: Client, system: System) -> None:
    client.messages.create(data=a_mail(**{"o:testmode": "yes", "v:mark": "x"}), domain=DOMAIN)

    (accepted,) = client.events.get(domain=DOMAIN, filters={"event": "accepted"}).json()["items"]
    assert accepted["user-variables"] == {"mark": "x"}
    assert system.simulator.record() | {"webhooks_waiting": 0} == {
        "calls": 0,
        "mails": 0,
        "events": 2,
        "webhooks_waiting": 0,
        "received": 1,
    }


def test_a_bounced_address_is_suppressed_by_the_next_call(client: Client) -> None:
    client.messages.create(data=a_mail(to="bounce-1@example.org"), domain=DOMAIN)
    client.messages.create(data=a_mail(to="bounce-1@example.org"), domain=DOMAIN)
    time.sleep(0.4)

    failed = client.events.get(domain=DOMAIN, filters={"event": "failed", "ascending": "yes"}).json()["items"]

    assert [(f["severity"], f["reason"], f["delivery-status"]["code"]) for f in failed] == [
        ("permanent", "bounce", 550),
        ("permanent", "suppress-bounce", 605),
    ]
    listed = client.bounces.get(domain=DOMAIN).json()
    assert [item["address"] for item in listed["items"]] == ["bounce-1@example.org"]


def test_events_become_visible_late_when_asked_to(client: Client, system: System) -> None:
    system.simulator.turn(event_lag_s=60)

    client.messages.create(data=a_mail(), domain=DOMAIN)

    assert client.events.get(domain=DOMAIN).json()["items"] == []


def test_the_record_stands_after_the_simulator_is_killed(system: System) -> None:
    child = system.start_simulator()
    data = a_mail()
    requests.post(f"{system.simulator.url}/v3/{DOMAIN}/messages", auth=("api", "key-for-tests"), data=data, timeout=10)

    child.kill()
    system.start_simulator()

    assert system.simulator.record()["mails"] == 1


def test_a_filter_that_is_not_simulated_is_refused_rather_than_ignored(client: Client) -> None:
    assert client.events.get(domain=DOMAIN, filters={"subject": "x"}).status_code == 400


def test_a_mail_for_later_is_delivered_later(client: Client) -> None:
    client.messages.create(data=a_mail(**{"o:deliverytime": "Fri, 25 Dec 2099 10:00:00 GMT"}), domain=DOMAIN)
    refused = client.messages.create(data=a_mail(**{"o:deliverytime": "soon"}), domain=DOMAIN)
    time.sleep(0.4)

    kinds = [item["event"] for item in client.events.get(domain=DOMAIN).json()["items"]]

    assert kinds == ["accepted"]
    assert refused.status_code == 400
