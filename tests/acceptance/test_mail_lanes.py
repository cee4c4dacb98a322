"""Lanes of single mails: shared among senders as they come and go, and never held up by a campaign."""

import contextlib

import requests

from local.ports import free_port
from tests.chaos.proxy import Proxy, Way
from tests.support.campaigns import a_campaign, finished, marks
from tests.support.emails import envelope, hand_in, status
from tests.support.system import System, wait_for


def test_a_dead_senders_mails_are_taken_over_and_two_apis_and_three_senders_share_the_work(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(latency_s=0.05)
    system.start_api()
    senders = system.start_senders(3, MAILROOM_LEASE_TTL="2")
    wait_for(lambda: lanes_by_sender(system) == [4, 6, 6], within_s=20, what="the lanes are shared")
    first, second = system.api_port, free_port()
    system.start("api-2", "cli.main", "api", MAILROOM_API_PORT=str(second))
    system.api_port = second
    wait_for(lambda: answers(system), within_s=20, what="the second API answers")
    ids = []
    for number in range(120):
        system.api_port = (first, second)[number % 2]
        ids.append(hand_in(system, key=f"mail-{number}", to=[f"reader-{number}@example.org"]))
        if number == 60:
            senders[0].kill()
    system.api_port = first
    assert hand_in(system, key="mail-1", to=["reader-1@example.org"]) == ids[1]  # which the other one had taken

    wait_for(lambda: {status(system, id_) for id_ in ids} == {"delivered"}, within_s=60, what="all are delivered")
    assert envelope(system) == sorted(f"reader-{n}@example.org" for n in range(120))
    wait_for(lambda: lanes_by_sender(system) == [8, 8], within_s=20, what="the other two have all lanes")
    system.start_senders(1, MAILROOM_LEASE_TTL="2")
    wait_for(lambda: lanes_by_sender(system) == [4, 6, 6], within_s=20, what="a new one gets its share")


def answers(system: System) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return system.call("GET", "/health").status_code == 200
    return False


def lanes_by_sender(system: System) -> list[int]:
    """How many of the sixteen lanes of single mails each live sender holds, by etcd."""
    import etcd3

    port = int(system.settings.stores.etcd_urls[0].rpartition(":")[2])
    client = etcd3.client(host="127.0.0.1", port=port)
    try:
        held: dict[bytes, int] = {}
        for holder, _ in client.get_prefix("/mailroom/lanes/mail/"):
            held[holder] = held.get(holder, 0) + 1
        return sorted(held.values())
    finally:
        client.close()


def test_a_password_reset_overtakes_what_waits_and_a_campaign_does_not_hold_it_up(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(latency_s=0.5)
    system.start_api(webhooks=False)
    system.start_senders(1, MAILROOM_SENDER_CONCURRENCY="2", MAILROOM_BATCH_SIZE="1")
    a_campaign(system, 200)
    wait_for(lambda: len(marks(system)) > 4, within_s=20, what="the campaign is under way")
    ordinary = [hand_in(system, to=[f"low-{n}@example.org"], priority="low") for n in range(20)]

    urgent = hand_in(system, to=["now@example.org"], priority="high")

    wait_for(lambda: status(system, urgent) == "sent", within_s=4, what="the reset is out")
    assert {status(system, id_) for id_ in ordinary[-5:]} == {"queued"}
    assert len(marks(system)) < 150


def test_campaigns_are_sent_however_few_lanes_a_sender_may_hold(system: System) -> None:
    system.start_simulator()
    system.start_senders(1, MAILROOM_SCHEDULES_PER_SENDER="1")
    schedule = a_campaign(system, 3)

    wait_for(lambda: finished(system, schedule), within_s=20, what="the run is finished")


def test_a_sender_cut_off_from_mongodb_lets_the_others_have_its_lanes(system: System) -> None:
    proxy = Proxy(system.servers.ports.mongo)
    url = system.environment["MAILROOM_MONGO_URL"].replace(str(system.servers.ports.mongo), str(proxy.port))
    system.start_simulator()
    system.start_api(webhooks=False)
    system.start_senders(1, MAILROOM_LEASE_TTL="2")
    system.start_senders(1, MAILROOM_LEASE_TTL="2", MAILROOM_MONGO_URL=url.partition("?")[0] + "?directConnection=true")
    wait_for(lambda: lanes_by_sender(system) == [8, 8], within_s=20, what="the lanes are shared")

    proxy.way = Way.CUT
    ids = [hand_in(system, to=[f"reader-{n}@example.org"]) for n in range(40)]

    wait_for(lambda: {status(system, id_) for id_ in ids} == {"sent"}, within_s=40, what="all are sent")
    proxy.close()
