"""Stores that are emptied, killed, and put back to an older copy, under a running system."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from redis import Redis

from local.ports import free_port
from tests.alerts.causes import Recordings
from tests.alerts.tape import Tape
from tests.support.backups import put_mongodb_back
from tests.support.emails import an_email, hand_in
from tests.support.system import System, wait_for

_SETTINGS: Final = {"MAILROOM_SENDER_CONCURRENCY": "4"}
_ACCEPTED: Final = 'mailroom_sent_mails_total{outcome="accepted"}'
_FAILING: Final = 8  # requests


def record(system: System, folder: Path) -> Recordings:
    port = free_port()
    system.environment |= _SETTINGS
    system.start_simulator()
    system.start_api(webhooks=False)
    system.start_senders(1, MAILROOM_SENDER_PORT=str(port))
    tape = Tape({"api/0": system.api_url, "sender/0": f"http://127.0.0.1:{port}"})
    hand_in(system)
    tape.well(lambda seen: seen[_ACCEPTED] == 1 and seen["mailroom_senders"] == 1)

    _redis_is_emptied(system, tape)
    _mongodb_and_etcd_are_killed(system, tape)
    _mongodb_is_put_back(system, tape, folder / "copy")
    return tape.recordings


def _redis_is_emptied(system: System, tape: Tape) -> None:
    """While more dispatches are claimed than calls are made at a time."""
    system.simulator.turn(latency_s=2)
    many = {"emails": [an_email(to=[f"r{n}@example.org"]) for n in range(40)]}
    system.call("POST", "/v1/emails/batch", json=many).raise_for_status()
    wait_for(lambda: _claimed(system) > 6, within_s=20, what="some are claimed ahead of their calls")
    with Redis.from_url(system.servers.redis_url) as redis:
        redis.flushall()
    system.simulator.turn(latency_s=0)
    tape.record(
        "MailroomFencesForgotten",
        until=lambda seen: seen['mailroom_fence_answers_total{answer="forgotten"}'] > 0 and _claimed(system) == 0,
    )


def _claimed(system: System) -> int:
    return system.db.dispatches.count_documents({"state": "sending"})


def _mongodb_and_etcd_are_killed(system: System, tape: Tape) -> None:
    for server in (system.servers.mongod, system.servers.etcd):
        assert server is not None
        server.kill()
    with ThreadPoolExecutor(_FAILING) as callers:
        answers = callers.map(lambda _: system.call("POST", "/v1/emails", json=an_email()).status_code, range(_FAILING))
        assert set(answers) == {503}
    tape.record(
        "MailroomRequestsFail",
        "MailroomStoreTakesNoWrites",
        "MailroomSenderStuck",
        until=lambda seen: seen["mailroom_store_writable"] == 1 and seen["mailroom_round_age_seconds"] > 2,
        grows=True,
    )
    tape.record("MailroomFiguresOld", until=lambda seen: seen["mailroom_figures_fresh"] == 0)


def _mongodb_is_put_back(system: System, tape: Tape, copy: Path) -> None:
    """To how it was when it was killed, after it has gone on."""
    servers = system.servers
    shutil.copytree(servers.folder / "mongo", copy)
    servers.start_etcd()
    servers.start_mongod()
    servers.wait_until_healthy()
    tape.around(lambda seen: seen["mailroom_figures_fresh"] == 1 and seen["mailroom_store_writable"] == 3)
    sent = system.simulator.record()["mails"]
    hand_in(system)
    wait_for(lambda: system.simulator.record()["mails"] > sent, within_s=60, what="it has gone on")
    put_mongodb_back(servers, copy)
    tape.record("MailroomHeld", until=lambda seen: seen["mailroom_held"] == 1)
