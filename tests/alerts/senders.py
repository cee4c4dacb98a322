"""Senders that are frozen, killed and started again, and at last an API that is killed too."""

import signal
from datetime import timedelta
from typing import Any, Final

from redis import Redis

from local.children import Child
from local.ports import free_port
from mailroom.assembly.sender import build_sender_services
from mailroom.coordination.etcd import Etcd
from mailroom.storage.database import server_now
from sender.duties import balance
from tests.alerts.causes import Recordings
from tests.alerts.tape import Tape
from tests.support.builders import make_due, stored_schedule
from tests.support.emails import hand_in
from tests.support.system import System, wait_for

# Lease and call outlive the freezing: when the lease is lost is this story's own doing.
_SETTINGS: Final = {"MAILROOM_LEASE_TTL": "60", "MAILROOM_CALL_TIMEOUT": "60"}
_ACCEPTED: Final = 'mailroom_sent_mails_total{outcome="accepted"}'


def record(system: System) -> Recordings:
    system.environment |= _SETTINGS
    system.start_simulator()
    api = system.start_api(webhooks=False)
    tape = Tape({"api/0": system.api_url})
    first = _start_sender(system, tape)
    tape.around()
    hand_in(system)
    balance(build_sender_services(system.settings, sender="tests"))  # the duty of each hour
    tape.well(
        lambda seen: seen[_ACCEPTED] == seen["mailroom_senders"] == 1 and seen["mailroom_ledger_time_seconds"] > 0
    )

    second = _frozen_in_a_call(system, tape, first)
    for sender in (first, second):
        sender.kill()
    _nobody_sends(system, tape)
    _back_after_the_grace(system, tape)
    api.kill()
    tape.record("MailroomNotWatched", until=lambda seen: seen["mailroom_figures_fresh"] == 0)
    return tape.recordings


def _start_sender(system: System, tape: Tape) -> Child:
    port = free_port()
    (sender,) = system.start_senders(1, MAILROOM_SENDER_PORT=str(port))
    tape.targets[f"sender/{len(tape.targets) - 1}"] = f"http://127.0.0.1:{port}"
    return sender


def _frozen_in_a_call(system: System, tape: Tape, first: Child) -> Child:
    """It loses its lease, and another sender takes over. That one finds no fence, because somebody removed it: so the
    mail goes twice."""
    system.simulator.turn(latency_s=1)
    calls = system.simulator.record()["received"]
    hand_in(system, subject="twice")
    wait_for(lambda: system.simulator.record()["received"] > calls, within_s=20, what="the call is under way")
    first.process.send_signal(signal.SIGSTOP)
    _remove_fence(system)
    _revoke_leases(system)
    second = _start_sender(system, tape)
    wait_for(lambda: _sent(system, "twice") == 2, within_s=30, what="another sender has sent it too")
    # Two senders that record at the same moment may each find the other's acceptance, and count it.
    wait_for(lambda: not system.db.dispatches.find_one({"state": "sending"}), within_s=30, what="it has recorded that")
    first.process.send_signal(signal.SIGCONT)
    tape.record(
        "MailroomAcceptedTwice",
        "MailroomLeasesLost",
        until=lambda seen: (
            seen["mailroom_second_acceptances_total"] == 1 and seen['mailroom_lease_changes_total{change="lost"}'] == 1
        ),
    )
    return second


def _nobody_sends(system: System, tape: Tape) -> None:
    """For minutes, as their check-ins and a due mail say."""
    hand_in(system, priority="high")
    minutes_ago = server_now(system.db) - timedelta(minutes=3)
    system.db.workers.update_many({"kind": "sender"}, {"$set": {"checked_in_at": minutes_ago}})
    system.db.dispatches.update_many({"state": "pending"}, {"$set": {"not_before": minutes_ago}})
    tape.record(
        "MailroomNoSender",
        "MailroomMailsWait",
        "MailroomLanesUndrained",
        "MailroomLedgerOld",
        until=lambda seen: seen["mailroom_senders"] == 0 and seen["mailroom_undrained_lanes"] == 1,
    )


def _back_after_the_grace(system: System, tape: Tape) -> None:
    schedule = stored_schedule(system.db, misfire={"policy": "skip", "grace_s": 60})
    make_due(system.db, schedule, since=timedelta(hours=4, minutes=30))
    _revoke_leases(system)
    _start_sender(system, tape)
    tape.record("MailroomInstantsSkipped", until=lambda seen: seen["mailroom_skipped_instants_total"] > 0)


def _remove_fence(system: System) -> None:
    """Of the only call under way."""
    dispatch = system.db.dispatches.find_one({"state": "sending"})
    assert dispatch
    with Redis.from_url(system.servers.redis_url) as redis:
        assert redis.delete(*redis.scan_iter(match=f"*:fence:{dispatch['_id']}", count=10_000)) == 1


def _revoke_leases(system: System) -> None:
    client = Etcd([system.servers.etcd_url])
    for held in client.range("/mailroom/senders/").kvs:
        client.revoke(held.lease)
    client.close()


def _sent(system: System, subject: str) -> int:
    found: list[dict[str, Any]] = system.simulator.mails()
    return sum(mail["subject"] == subject for mail in found)
