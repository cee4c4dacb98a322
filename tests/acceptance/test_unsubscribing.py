"""Readers leave a topic by one click, by the page behind the link, and come back: real processes, the simulator as the
readers' mail program."""

import re

import requests

from mailroom.services.reports import counts as report_counts
from tests.support.campaigns import a_campaign, finished, only_run
from tests.support.emails import hand_in, status
from tests.support.system import System, wait_for
from tests.support.topics import LINKED, a_topic


def started(system: System) -> None:
    system.start_simulator()
    system.start_api()
    a_topic(system.db)
    a_topic(system.db, "product-news")


def link_of(copy: dict[str, dict[str, str]]) -> str:
    found = re.fullmatch(r"<(http[^>]+)>", copy["headers"]["List-Unsubscribe"])
    assert found
    return found[1]


def test_each_of_1500_readers_gets_a_link_of_their_own_in_header_and_bodies(system: System) -> None:
    started(system)
    system.start_senders(1)
    schedule = a_campaign(system, 1_500, topic="newsletter", **LINKED)
    wait_for(lambda: finished(system, schedule), within_s=60, what="the run is finished")

    copies = system.simulator.copies()

    assert len(system.simulator.calls()) == 2
    links = {copy["recipient"]: link_of(copy) for copy in copies}
    assert len(set(links.values())) == 1_500
    for copy in copies:
        link = links[copy["recipient"]]
        assert copy["text"].endswith(f"Leave: {link}")
        assert copy["html"] == f'<p>Hello</p><a href="{link}">Leave</a>'
        assert copy["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert copy["headers"]["List-Id"] == "<newsletter.mg.example.com>"


def test_one_click_while_a_run_goes_out_stops_the_topics_next_mail_and_nothing_else(system: System) -> None:
    started(system)
    (sender,) = system.start_senders(1)
    first = a_campaign(system, 3, topic="newsletter", **LINKED)
    wait_for(lambda: finished(system, first), within_s=30, what="the first run is finished")
    mine = next(copy for copy in system.simulator.copies() if copy["recipient"] == "reader-1@example.org")
    sender.stop(grace_s=30)
    planned = {topic: a_campaign(system, 3, topic=topic, **LINKED) for topic in ("newsletter", "product-news")}
    before = system.simulator.record()["mails"]

    system.simulator.one_click(mine["id"])
    system.simulator.one_click(mine["id"])
    system.start_senders(1)
    for schedule in planned.values():
        wait_for(lambda schedule=schedule: finished(system, schedule), within_s=30, what="a run is finished")
    reset = hand_in(system, to=["reader-1@example.org"])
    wait_for(lambda: status(system, reset) in ("sent", "delivered"), within_s=30, what="the reset goes out")

    went = system.simulator.copies()[before:]
    to_me = [copy["headers"].get("List-Id") for copy in went if copy["recipient"] == "reader-1@example.org"]
    assert sorted(map(str, to_me)) == ["<product-news.mg.example.com>", "None"]
    assert len([copy for copy in went if copy["headers"].get("List-Id") == "<newsletter.mg.example.com>"]) == 2
    run = only_run(system, first)
    assert run
    reported, recounted = report_counts.audit(system.db, run.id)
    assert reported == recounted
    assert reported["unsubscribed"] == 1
    contact = system.call("GET", "/v1/contacts/Reader-1@example.org").json()
    assert [(topic["id"], topic["subscribed"]) for topic in contact["topics"]] == [
        ("newsletter", False),
        ("product-news", True),
    ]
    assert [(c["act"], c["scope"], c["by"], c["run"]) for c in contact["consent"]] == [
        ("left", "newsletter", "one_click", run.id)
    ]


def test_who_leaves_after_a_run_is_planned_is_left_out_at_the_hand_over(system: System) -> None:
    started(system)
    system.start_senders(1)
    first = a_campaign(system, 2, topic="newsletter", **LINKED)
    wait_for(lambda: finished(system, first), within_s=30, what="the first run is finished")
    mine = next(copy for copy in system.simulator.copies() if copy["recipient"] == "reader-1@example.org")
    assert system.call("POST", "/v1/sending/stop").status_code == 200
    second = a_campaign(system, 2, topic="newsletter", **LINKED)
    wait_for(lambda: system.db.schedules.find_one({"_id": second, "state": "active"}), within_s=5, what="it is stored")
    assert system.call("POST", "/v1/sending/start").status_code == 200
    system.simulator.turn(latency_s=1)
    wait_for(lambda: only_run(system, second), within_s=30, what="the run is planned")

    system.simulator.one_click(mine["id"])
    wait_for(lambda: finished(system, second), within_s=30, what="the second run is finished")
    third = a_campaign(system, 2, topic="newsletter", **LINKED)
    wait_for(lambda: finished(system, third), within_s=30, what="the third run is finished")

    to_me = [copy for copy in system.simulator.copies() if copy["recipient"] == "reader-1@example.org"]
    assert len(to_me) <= 2


def test_the_page_shows_what_the_reader_gets_and_does_what_the_buttons_say(system: System) -> None:
    started(system)
    system.start_senders(1)
    schedule = a_campaign(system, 1, topic="newsletter", **LINKED)
    wait_for(lambda: finished(system, schedule), within_s=30, what="the run is finished")
    url = link_of(system.simulator.copies()[0])

    def gets() -> dict[str, bool]:
        contact = system.call("GET", "/v1/contacts/reader-0@example.org").json()
        return {topic["id"]: topic["subscribed"] for topic in contact["topics"]}

    shown = requests.get(url, timeout=10)
    assert shown.status_code == 200
    assert "Unsubscribe from Newsletter" in shown.text
    assert shown.headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in shown.headers
    assert gets() == {"newsletter": True, "product-news": True}  # scanners follow links

    answer = requests.post(url, files={"List-Unsubscribe": (None, "One-Click")}, timeout=10, allow_redirects=False)
    assert (answer.status_code, gets()) == (200, {"newsletter": False, "product-news": True})
    assert "You no longer get Newsletter" in answer.text
    requests.post(url, data={"leave": "campaigns"}, timeout=10)
    assert gets() == {"newsletter": False, "product-news": False}
    requests.post(url, data={"join": "newsletter"}, timeout=10)
    assert gets() == {"newsletter": True, "product-news": False}  # nobody asked for this one again
    requests.post(url, data={"join": "nothing"}, timeout=10)
    assert gets() == {"newsletter": True, "product-news": False}
    requests.post(url, data="List-Unsubscribe=One-Click", timeout=10, headers={"Content-Type": "text/plain"})
    assert gets() == {"newsletter": False, "product-news": False}
    journal = system.call("GET", "/v1/contacts/reader-0@example.org").json()["consent"]
    assert [(entry["act"], entry["scope"], entry["by"]) for entry in reversed(journal)] == [
        ("left", "newsletter", "one_click"),
        ("left", "campaigns", "page"),
        ("joined", "newsletter", "page"),
        ("left", "newsletter", "one_click"),
    ]


def test_a_complaint_and_a_bounce_are_not_lifted_by_subscribing_again(system: System) -> None:
    started(system)
    system.start_senders(1)
    schedule = a_campaign(system, 2, topic="newsletter", **LINKED)
    wait_for(lambda: finished(system, schedule), within_s=30, what="the run is finished")
    links = {copy["recipient"]: link_of(copy) for copy in system.simulator.copies()}
    for address, reason in (("reader-0@example.org", "complained"), ("reader-1@example.org", "bounced")):
        added = system.call("POST", "/v1/suppressions", json={"address": address, "reason": reason})
        assert added.status_code == 201
        requests.post(links[address], data={"leave": "newsletter"}, timeout=10)

        joined = requests.post(links[address], data={"join": "newsletter"}, timeout=10)
        assert "Newsletter is still blocked for this address." in joined.text

        topics = system.call("GET", f"/v1/contacts/{address}").json()["topics"]
        assert [(topic["subscribed"], topic["reason"]) for topic in topics] == [(False, reason)] * 2
        assert "again" not in requests.get(links[address], timeout=10).text


def test_a_link_that_is_cut_off_changes_nothing_and_says_so(system: System) -> None:
    system.start_api(webhooks=False)

    for token in ("AQ", "x" * 4_000, "..%2f", "%00", "AbC_-" * 30):
        answer = requests.post(f"{system.api_url}/u/{token}", data="List-Unsubscribe=One-Click", timeout=10)
        assert answer.status_code == 404
    assert "<html" in requests.get(f"{system.api_url}/u/AQ", timeout=10).text
    assert system.db.consents.count_documents({}) == 0
