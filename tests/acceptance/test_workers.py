"""Who works here, with real processes: one that is killed falls silent, one that is stopped leaves at once."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import requests

from local.children import Child
from tests.support.emails import hand_in, shown, status
from tests.support.system import System, wait_for

FALLS_SILENT_S = 30


def workers(system: System) -> list[dict[str, Any]]:
    return list(system.call("GET", "/v1/workers").json()["items"])


def by_pid(system: System, child: Child) -> dict[str, Any]:
    """The worker of this process; {} if it is not listed."""
    return next((one for one in workers(system) if one["pid"] == child.pid), {})


def kinds(system: System) -> list[str]:
    return sorted(one["kind"] for one in workers(system))


def doctor(system: System) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.main", "doctor"]
    wide = system.environment | {"COLUMNS": "400"}
    return subprocess.run(command, env=wide, capture_output=True, text=True, timeout=60, check=False)


def the_check_of_workers(said: str) -> list[str]:
    """The words of doctor's line."""
    return next(line.split() for line in said.splitlines() if line.split()[1:2] == ["workers"])


def test_killed_and_frozen_senders_fall_silent_and_are_named_and_a_stopped_one_leaves_at_once(system: System) -> None:
    system.start_simulator()
    system.start_api()
    web = system.start_web()
    killed, frozen, stopped, stays = system.start_senders(4)
    wait_for(lambda: kinds(system) == ["api", *["sender"] * 4, "web"], within_s=30, what="all are here")
    wait_for(lambda: all(one["lanes"] for one in workers(system) if one["kind"] == "sender"), within_s=30, what="lanes")
    names = {child: by_pid(system, child)["id"] for child in (killed, frozen, stays)}
    before = the_check_of_workers(doctor(system).stdout)

    killed.kill()
    frozen.process.send_signal(signal.SIGSTOP)
    stopped.stop(grace_s=30)
    web.stop(grace_s=30)

    assert before[0] == "ok"
    assert by_pid(system, stopped) == {}
    assert kinds(system) == ["api", "sender", "sender", "sender"]
    for child in (killed, frozen):
        wait_for(lambda child=child: by_pid(system, child)["silent"], within_s=2 * FALLS_SILENT_S, what="it is silent")
    assert not by_pid(system, stays)["silent"]
    said = doctor(system)
    told = the_check_of_workers(said.stdout)
    assert told[0] == "no"
    assert {names[killed], names[frozen]} <= set(told)
    assert names[stays] not in told
    assert said.returncode == 1
    frozen.process.send_signal(signal.SIGCONT)
    wait_for(lambda: not by_pid(system, frozen)["silent"], within_s=30, what="the frozen one is back")


def test_a_mail_names_the_sender_that_had_it_and_check_ins_are_counted(system: System) -> None:
    system.start_simulator()
    system.start_api(webhooks=False)
    (sender,) = system.start_senders(1)
    mail = hand_in(system)
    wait_for(lambda: status(system, mail) == "sent", within_s=20, what="it is sent")
    first = wait_for(lambda: by_pid(system, sender), within_s=20, what="the sender is here")

    wait_for(
        lambda: by_pid(system, sender)["check_ins"] >= first["check_ins"] + 2,
        within_s=30,
        what="it has checked in twice more",
    )
    later = by_pid(system, sender)

    assert shown(system, mail)["worker"] == first["id"]
    assert (later["id"], later["since"]) == (first["id"], first["since"])
    assert first["since"] < first["last_check_in"] < later["last_check_in"]


def test_an_api_with_a_sender_in_it_is_two_workers_of_one_process_and_both_leave(system: System) -> None:
    system.start_simulator()
    both = system.start("api+sender", "cli.main", "api+sender")
    both.wait_until(answers(f"{system.api_url}/health"), timeout_s=30)
    wait_for(lambda: kinds(system) == ["api", "sender"], within_s=30, what="both are here")
    assert len({one["pid"] for one in workers(system)}) == 1

    both.process.send_signal(signal.SIGTERM)
    both.process.wait(60)

    assert system.db.workers.count_documents({}) == 0


def test_while_mongodb_stands_still_requests_and_stops_do_not_wait_for_check_ins(own: System) -> None:
    api = own.start_api(webhooks=False)
    (sender,) = own.start_senders(1)
    wait_for(lambda: len(workers(own)) == 2, within_s=30, what="both are here")
    assert own.servers.mongod

    own.servers.mongod.process.send_signal(signal.SIGSTOP)
    try:
        slowest_s, until = 0.0, time.monotonic() + 15
        while time.monotonic() < until:  # longer than a check-in waits, and than the pause between two
            began = time.monotonic()
            assert requests.get(f"{own.api_url}/health", timeout=10).status_code == 200
            slowest_s = max(slowest_s, time.monotonic() - began)
        assert api.alive()
        assert sender.alive()
    finally:
        own.servers.mongod.process.send_signal(signal.SIGCONT)
    missed = [one["check_ins"] for one in workers(own)]

    assert slowest_s < 2
    wait_for(lambda: "check_in_missed" in api.tail(200), within_s=10, what="the miss is logged")
    wait_for(
        lambda: all(one["check_ins"] > count for one, count in zip(workers(own), missed, strict=True)),
        within_s=60,
        what="both check in again",
    )


def answers(url: str) -> Callable[[], bool]:
    def healthy() -> bool:
        try:
            return requests.get(url, timeout=2).status_code == 200
        except requests.RequestException:
            return False

    return healthy
