"""A campaign with a feed, by real processes: the simulator's feed, a sender, and what goes out."""

from typing import Any

import requests

from tests.support.feed_server import a_feed_server, drips
from tests.support.system import System, a_schedule_body, wait_for


def a_schedule(system: System, **feed: Any) -> str:
    return str(system.call("POST", "/v1/schedules", json=a_schedule_body(feed=feed)).json()["id"])


def run_of(system: System, schedule: str, key: str) -> str:
    asked = system.call("POST", f"/v1/schedules/{schedule}/run-now", headers={"Idempotency-Key": key})
    return str(asked.json()["id"])


def in_state(system: System, run: str, *states: str) -> Any:
    shown = system.call("GET", f"/v1/runs/{run}").json()
    return shown if shown["status"] in states else None


def test_each_run_takes_what_is_new_in_the_feed_and_one_without_news_is_skipped(system: System) -> None:
    """While the feeds of other schedules hang."""
    with a_feed_server() as hangs:
        hangs.answer = drips(b"HTTP/1.1 200 OK\r\n\r\n", b" ", for_s=60)
        private = {"MAILROOM_FEED_PRIVATE_HOSTS": f"{system.simulator.url.removeprefix('http://')},{hangs.place}"}
        system.start_simulator()
        system.start_api(**private)
        feeds = f"{system.simulator.url}/simulator/feeds"
        requests.post(f"{feeds}/news", json={"title": "First"}, timeout=10).raise_for_status()
        hanging = [a_schedule(system, url=hangs.url, timeout_s=60) for _ in range(5)]
        held_back = [run_of(system, id_, "k") for id_ in hanging]
        schedule = a_schedule(system, url=f"{feeds}/news.rss")
        system.start_senders(2, **private)

        first = run_of(system, schedule, "1")
        wait_for(lambda: in_state(system, first, "finished"), within_s=30, what="the first run is finished")
        second = run_of(system, schedule, "2")
        skipped = wait_for(lambda: in_state(system, second, "skipped"), within_s=30, what="the second run is skipped")
        requests.post(f"{feeds}/news", json={"title": "Second"}, timeout=10).raise_for_status()
        third = run_of(system, schedule, "3")
        wait_for(lambda: in_state(system, third, "finished"), within_s=30, what="the third run is finished")

        kept = {run: system.call("GET", f"/v1/runs/{run}/feed").json() for run in (first, third)}
        assert [item["title"] for item in kept[first]["feed"]["items"]] == ["First"]
        assert [item["title"] for item in kept[third]["feed"]["items"]] == ["Second"]
        assert skipped["reason"] == "nothing new in its feed"
        assert len(system.simulator.mails()) == 2
        asked = requests.get(f"{feeds}/news/behaviour", timeout=10).json()
        assert asked["requests"] == 3  # each run once, whichever sender had its lane
        assert all(in_state(system, run, "planning") for run in held_back)


def test_a_feed_that_misbehaves_is_seen_on_the_run_and_taken_once_it_is_well(system: System) -> None:
    system.start_simulator()
    system.start_api()
    feeds = f"{system.simulator.url}/simulator/feeds"
    requests.post(f"{feeds}/shop", json=[{"title": "Coat"}, {"title": "Hat"}], timeout=10).raise_for_status()
    requests.put(f"{feeds}/shop/behaviour", json={"fault": "redirect", "times": 1}, timeout=10).raise_for_status()
    schedule = a_schedule(system, url=f"{feeds}/shop")
    (sender,) = system.start_senders(1)

    run = run_of(system, schedule, "k")
    problem = wait_for(
        lambda: system.call("GET", f"/v1/runs/{run}").json()["feed_problem"], within_s=20, what="the run says why"
    )
    wait_for(lambda: in_state(system, run, "finished"), within_s=30, what="the run is finished")

    assert problem.endswith("redirects to http://169.254.169.254/latest/meta-data/; redirects are not followed")
    found = system.call("GET", f"/v1/runs/{run}/feed").json()
    assert ([item["title"] for item in found["feed"]["items"]], found["tries"]) == (["Coat", "Hat"], 1)
    assert "feed_failed" in sender.log.read_text()


def test_a_loop_over_a_feed_goes_out_once_a_call_with_each_recipients_own_values(system: System) -> None:
    system.start_simulator()
    system.start_api()
    feeds = f"{system.simulator.url}/simulator/feeds"
    items = [{"title": "Coat", "city": "Rome"}, {"title": "Hat & scarf", "city": "Oslo"}]
    requests.post(f"{feeds}/shop", json=items, timeout=10).raise_for_status()
    loop = "{% for i in feed.items %}{{ i.title }} for {{ name }}{% if i.city == city %} here{% endif %};{% endfor %}"
    people = [
        {"address": "bo@example.org", "name": "Bo", "variables": {"city": "Rome"}},
        {"address": "cy@example.org", "name": "Cy", "variables": {"city": "Oslo"}},
    ]
    body = a_schedule_body(
        feed={"url": f"{feeds}/shop"}, subject="{{ feed.items|length }} for {{ name }}", text=loop, recipients=people
    )

    answer = system.call("POST", "/v1/schedules", json=body)
    refused = system.call("POST", "/v1/schedules", json={k: v for k, v in body.items() if k != "feed"})
    run = run_of(system, str(answer.json()["id"]), "k")
    system.start_senders(1)
    wait_for(lambda: in_state(system, run, "finished"), within_s=30, what="the run is finished")

    assert {fault["message"] for fault in refused.json()["errors"]} == {"line 1: only a schedule with a feed has feed"}
    assert len(system.simulator.calls()) == 1
    assert {mail["recipient"]: mail["subject"] for mail in system.simulator.mails()} == {
        "bo@example.org": "2 for Bo",
        "cy@example.org": "2 for Cy",
    }
    (call,) = system.simulator.calls()
    assert call["text"].startswith("Coat for %recipient.t")
    assert call["text"].count("Hat & scarf") == 1
