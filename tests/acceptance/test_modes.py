"""How the parts may be run: API alone, sender alone, both in one process, several of each side by side."""

import signal
import threading
from typing import Any, cast

import pytest
import requests

from cli import api_and_sender
from config.settings import Settings
from local.ports import free_port
from tests.support.emails import an_email, hand_in, status
from tests.support.system import System, wait_for


def all_sent(system: System, ids: list[str]) -> bool:
    return {status(system, id_) for id_ in ids} == {"sent"}


def test_the_api_takes_mails_alone_and_a_sender_alone_sends_them(system: System) -> None:
    system.start_simulator()
    api = system.start_api(webhooks=False)
    ids = [hand_in(system, to=[f"r{n}@example.org"]) for n in range(20)]
    assert {status(system, id_) for id_ in ids} == {"queued"}
    api.stop(grace_s=20)

    system.start_senders(1)

    wait_for(lambda: len(system.simulator.mails()) == 20, within_s=20, what="all went out without an API")
    assert {mail["recipient"] for mail in system.simulator.mails()} == {f"r{n}@example.org" for n in range(20)}


def test_two_apis_and_three_senders_side_by_side_send_each_mail_once(system: System) -> None:
    system.start_simulator()
    system.start_api(webhooks=False)
    second = free_port()
    other = system.start("api-2", "cli.main", "api", MAILROOM_API_PORT=str(second))
    other.wait_until(lambda: answers(second), timeout_s=30)
    system.start_senders(3)
    headers = {"Authorization": f"Bearer {system.token}", "Idempotency-Key": "k-0"}

    ids = [hand_in(system, key=f"k-{n}", to=[f"r{n}@example.org"]) for n in range(40)]
    same = requests.post(
        f"http://127.0.0.1:{second}/v1/emails", json=an_email(to=["r0@example.org"]), headers=headers, timeout=20
    )

    assert same.json()["id"] == ids[0]
    wait_for(lambda: all_sent(system, ids), within_s=30, what="all are sent")
    assert sorted(mail["recipient"] for mail in system.simulator.mails()) == sorted(
        f"r{n}@example.org" for n in range(40)
    )


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def test_both_in_one_process_send_what_they_take_and_let_calls_end_at_sigterm(system: System) -> None:
    system.start_simulator()
    both = system.start("api+sender", "cli.main", "api+sender")
    both.wait_until(lambda: answers(system.api_port), timeout_s=30)
    ids = [hand_in(system, to=[f"r{n}@example.org"]) for n in range(10)]
    wait_for(lambda: all_sent(system, ids), within_s=20, what="all are sent")
    system.simulator.turn(latency_s=1.5)
    hand_in(system, to=["last@example.org"])
    in_hand = {"lane": {"$gt": ""}, "state": "sending"}
    wait_for(lambda: system.db.dispatches.count_documents(in_hand) == 1, within_s=10, what="its call is under way")

    both.process.send_signal(signal.SIGTERM)
    both.process.wait(40)

    assert system.db.dispatches.count_documents({"state": "accepted"}) == 11
    assert system.db.dispatches.count_documents({"state": {"$in": ["sending", "in_doubt"]}}) == 0
    assert "sender_stopped" in both.tail(200)
    assert len(system.simulator.mails()) == 11


def test_a_sender_that_ends_by_itself_takes_its_process_along_and_both_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signals: list[int] = []

    def cannot_go_on(_settings: Any, stop: threading.Event) -> None:
        stop.set()  # as a sender does one of whose threads has died

    monkeypatch.setattr(api_and_sender, "run_sender", cannot_go_on)
    monkeypatch.setattr("cli.api_and_sender.os.kill", lambda _, number: signals.append(number))
    sending = api_and_sender._Sending(cast(Settings, None))

    sending.start()
    sending.finish(within_s=10)

    assert signals == [signal.SIGTERM]
