"""A reader subscribes by a form, confirms by the mail, and leaves: real processes, the simulator as their inbox."""

import re
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.support.campaigns import a_campaign, finished
from tests.support.subscribing import a_confirmed_topic
from tests.support.system import System, wait_for
from tests.support.topics import LINKED

READERS = [f"reader-{number}@example.org" for number in range(6)]


def test_a_form_posted_at_once_to_two_processes_sends_one_mail_whose_link_subscribes(system: System) -> None:
    system.environment["MAILROOM_SUBSCRIPTIONS_PER_MINUTE"] = "none"  # all come from here
    system.start_simulator()
    api, intake = system.start_api(), system.start_webhooks_in()
    a_confirmed_topic(system.db)
    posts = [(url, address) for address in READERS[:3] for url in (system.api_url, system.webhooks_url)] * 2

    def post(to: tuple[str, str]) -> int:
        url, address = to
        form = {"topic": "newsletter", "address": address, "homepage": ""}
        return requests.post(f"{url}/v1/subscribe", data=form, timeout=30).status_code

    with ThreadPoolExecutor(len(posts)) as pool:
        statuses = list(pool.map(post, posts))
    api.stop(grace_s=20)  # links work while it is away
    system.start_senders(1)
    wait_for(lambda: len(system.simulator.copies()) >= 3, within_s=30, what="each reader has a mail")
    copies = {copy["recipient"]: copy for copy in system.simulator.copies()}
    links = {address: re.search(r"http\S+(/c/\S+)", copy["text"]) for address, copy in copies.items()}
    found = links[READERS[0]]
    assert found
    url = f"{system.webhooks_url}{found[1]}"
    shown = requests.get(url, timeout=10)
    before = system.db.consents.count_documents({})
    confirmed = requests.post(url, timeout=10, allow_redirects=False)

    assert set(statuses) == {202}
    assert sorted(copies) == READERS[:3]
    assert len(system.simulator.copies()) == 3
    assert "List-Unsubscribe" not in copies[READERS[0]]["headers"]
    assert (shown.status_code, before, confirmed.status_code) == (200, 0, 200)
    assert [(e["address"], e["by"]) for e in system.db.consents.find()] == [(READERS[0], "confirmation")]
    assert intake.alive()


def test_a_reader_leaves_by_one_click_where_the_header_names_a_mailbox_too(system: System) -> None:
    system.start_simulator()
    system.start_api()
    system.start_senders(1, MAILROOM_UNSUBSCRIBE_MAILTO="leave@mg.example.com")
    a_confirmed_topic(system.db)
    schedule = a_campaign(system, 3, topic="newsletter", **LINKED)
    wait_for(lambda: finished(system, schedule), within_s=30, what="the run is finished")
    copies = system.simulator.copies()

    system.simulator.one_click(copies[0]["id"])

    for copy in copies:
        both = r"<http\S+/u/(\S+)>, <mailto:leave@mg\.example\.com\?subject=unsubscribe-(\S+)>"
        found = re.fullmatch(both, copy["headers"]["List-Unsubscribe"])
        assert found
        assert found[1] == found[2]
    assert [e["address"] for e in system.db.consents.find()] == [copies[0]["recipient"]]
