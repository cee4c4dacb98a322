"""Campaigns of a stored template, by real processes: what each recipient got, in the simulator's record."""

import base64
from collections import Counter
from typing import Any

import requests

from tests.support.campaigns import finished
from tests.support.system import System, a_schedule_body, wait_for

COUNT = 1_200
LAYOUT = '<h1>{{ feed.title|default("News") }}</h1>{% block content %}{% endblock %}<img src="cid:logo" alt="Shop">'
BODY = (
    '{% extends "base" %}{% block content %}{% for item in feed.items %}<li>{{ item.title }} for {{ name }}</li>'
    '{% endfor %}{% include "signature" %}{{ note|safe }}{% endblock %}'
)


def put(system: System, name: str, **template: Any) -> None:
    system.call("PUT", f"/v1/templates/{name}", json=template).raise_for_status()


def a_campaign(system: System) -> Any:
    feed = f"{system.simulator.url}/simulator/feeds/news"
    requests.post(feed, json=[{"title": "Tea"}, {"title": "Pot"}], timeout=10).raise_for_status()
    readers = [
        {"address": f"r{n}@example.org", "name": f"Reader {n}", "variables": {"note": f"<b>No. {n}</b><script>x"}}
        for n in range(COUNT)
    ]
    whole = {name: one for name, one in a_schedule_body().items() if name not in ("subject", "text", "html")}
    logo = {"filename": "logo.png", "content": base64.b64encode(b"png").decode(), "content_id": "logo"}
    body = whole | {"template": "digest", "recipients": readers, "attachments": [logo], "feed": {"url": f"{feed}.json"}}
    made = system.call("POST", "/v1/schedules", json=body)
    assert made.status_code == 201, made.text
    return made.json()["id"]


def test_each_recipient_gets_their_own_in_calls_of_a_thousand_whatever_becomes_of_the_template(system: System) -> None:
    system.start_simulator()
    private = {"MAILROOM_FEED_PRIVATE_HOSTS": system.simulator.url.removeprefix("http://")}
    system.start_api(**private)
    put(system, "base", kind="layout", html=LAYOUT)
    put(system, "signature", kind="partial", html="<p>Yours, the shop</p>")
    put(system, "digest", subject="For {{ name }}", html=BODY, html_fields=["note"])
    schedule = a_campaign(system)
    system.call("POST", f"/v1/schedules/{schedule}/run-now", headers={"Idempotency-Key": "k"}).raise_for_status()
    put(system, "base", kind="layout", html="<h1>Later</h1>{% block content %}{% endblock %}")
    put(system, "digest", subject="Later", html=BODY, html_fields=["note"])

    system.start_senders(2, **private)

    run = wait_for(lambda: finished(system, schedule), within_s=90, what="the run is finished")
    assert (run.template.name, run.template.version) == ("digest", 1)
    mails = list(system.simulator.copies())
    assert Counter(mail["subject"] for mail in mails) == {f"For Reader {n}": 1 for n in range(COUNT)}
    for mail in mails:
        name = mail["subject"].removeprefix("For ")
        number = name.removeprefix("Reader ")
        items = f"<li>Tea for {name}</li><li>Pot for {name}</li>"
        assert f"</h1>{items}<p>Yours, the shop</p><b>No. {number}</b><img" in mail["html"], mail["html"]
    assert sorted(doc["messages"] for doc in system.db.dispatches.find()) == [200, 1_000]
