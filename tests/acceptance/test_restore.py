"""A store that is put back to an older copy, or emptied, sends nothing twice; and all of it balances in the end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

from mailroom.assembly.sender import build_sender_services
from mailroom.services.common.clock import server_now
from mailroom.services.operations.ledger import check
from tests.support.backups import QUICK, doctor, put_mongodb_aside, put_mongodb_back, put_right
from tests.support.campaigns import a_campaign, dispatch_states, finished, marks, soon
from tests.support.emails import hand_in, status
from tests.support.memory import is_remembered
from tests.support.system import System, wait_for
from tests.support.vendors import SendGrid


def test_a_mongodb_put_back_to_an_older_copy_is_held_put_right_and_sends_nothing_twice(
    own: System, tmp_path: Path
) -> None:
    own.simulator.turn(latency_s=0.1)
    senders = own.start_senders(2)
    schedule = a_campaign(own, 6_000)
    wait_for(lambda: len(own.simulator.calls()) >= 1, within_s=30, what="some calls were made")
    put_mongodb_aside(own.servers, tmp_path / "copy")
    wait_for(lambda: finished(own, schedule), within_s=60, what="the run is finished")
    went_out = marks(own)

    put_mongodb_back(own.servers, tmp_path / "copy")

    wait_for(lambda: "mongodb_was_restored" in own.children[-1].tail(500), within_s=30, what="senders hold and say so")
    assert doctor(own).returncode == 1
    put_right(own)
    wait_for(lambda: finished(own, schedule), within_s=60, what="the run is finished once more")
    assert marks(own) == went_out == {f"mark-{n}": 1 for n in range(6_000)}
    assert dispatch_states(own) == {"accepted": 6}
    assert doctor(own, "--after-restore").stdout.startswith("MongoDB is not an older copy")
    assert "2 running" in doctor(own).stdout
    for sender in senders:
        sender.kill()
    wait_for(lambda: "none is running" in doctor(own).stdout, within_s=20, what="nobody sends, and that is not well")


def test_a_run_that_the_copy_knows_nothing_of_is_planned_again_and_recognised_whatever_the_misfire_rule(
    own: System, tmp_path: Path
) -> None:
    own.start_senders(1)
    schedule = a_campaign(own, 50, recurrence=soon(20), misfire={"policy": "skip", "grace_s": 5})
    put_mongodb_aside(own.servers, tmp_path / "copy")
    wait_for(lambda: finished(own, schedule), within_s=60, what="the run is finished")

    put_mongodb_back(own.servers, tmp_path / "copy")

    wait_for(lambda: "mongodb_was_restored" in own.children[-1].tail(500), within_s=30, what="senders hold and say so")
    put_right(own)
    wait_for(lambda: finished(own, schedule), within_s=60, what="the run is there again")
    assert marks(own) == {f"mark-{n}": 1 for n in range(50)}
    assert dispatch_states(own) == {"accepted": 1}


@pytest.mark.parametrize("when", ["before the copy's dispatches were made", "after they were made"])
def test_what_was_put_right_is_not_forgotten_when_redis_is_emptied_next(own: System, tmp_path: Path, when: str) -> None:
    """One store after the other loses its memory, and a person has put the first one right in between."""
    if when == "after they were made":
        own.simulator.turn(latency_s=0.3)
    senders = own.start_senders(1, MAILROOM_SENDER_CONCURRENCY="1")
    schedule = a_campaign(own, 6_000 if when == "after they were made" else 50, recurrence=soon(6))
    if when == "after they were made":
        wait_for(lambda: len(own.simulator.calls()) >= 1, within_s=30, what="some calls were made")
    put_mongodb_aside(own.servers, tmp_path / "copy")
    wait_for(lambda: finished(own, schedule), within_s=60, what="the run is finished")
    went_out = marks(own)
    senders[0].stop(grace_s=20)
    put_mongodb_back(own.servers, tmp_path / "copy")
    put_right(own)

    with Redis.from_url(own.servers.redis_url) as redis:
        redis.flushall()
    own.start_senders(2)

    wait_for(lambda: finished(own, schedule), within_s=90, what="the run is finished once more")
    assert marks(own) == went_out
    assert set(dispatch_states(own)) == {"accepted"}


def test_what_redis_forgot_before_and_mongodb_forgets_now_the_providers_log_knows(own: System, tmp_path: Path) -> None:
    senders = own.start_senders(1, **QUICK)
    schedule = a_campaign(own, 50, recurrence=soon(6))
    put_mongodb_aside(own.servers, tmp_path / "copy")
    wait_for(lambda: finished(own, schedule), within_s=60, what="the run is finished")
    went_out = marks(own)
    with Redis.from_url(own.servers.redis_url) as redis:
        redis.flushall()
    wait_for(lambda: redis_is_marked(own), within_s=10, what="the sender has mirrored MongoDB's mark anew")
    senders[0].stop(grace_s=20)
    put_mongodb_back(own.servers, tmp_path / "copy")

    put_right(own)
    own.start_senders(2, **QUICK)

    wait_for(lambda: finished(own, schedule), within_s=60, what="the run is finished once more")
    assert marks(own) == went_out
    assert set(dispatch_states(own)) == {"accepted"}


def test_what_nobody_remembers_and_a_provider_cannot_tell_is_not_sent_again_without_a_persons_word(
    own: System, tmp_path: Path
) -> None:
    own.environment |= {"MAILROOM_PROVIDERS": "mailgun,smtp", "SMTP_URL": "smtp://127.0.0.1:9?tls=none"}
    (sender,) = own.start_senders(1)
    put_mongodb_aside(own.servers, tmp_path / "copy")
    wait_for(lambda: redis_is_marked(own), within_s=20, what="the sender has mirrored MongoDB's mark")
    with Redis.from_url(own.servers.redis_url) as redis:
        redis.flushall()
    wait_for(lambda: redis_is_marked(own), within_s=20, what="it has done so anew")
    sender.stop(grace_s=20)
    put_mongodb_back(own.servers, tmp_path / "copy")

    refused = doctor(own, "--after-restore")

    assert refused.returncode == 1
    assert "smtp cannot be asked" in refused.stderr
    assert doctor(own).returncode == 1
    assert doctor(own, "--after-restore", "--even-so").returncode == 0


def test_an_older_copy_asks_where_the_call_went_and_not_where_it_would_go_now(own: System, tmp_path: Path) -> None:
    """The call was made by the second provider, and nobody knows whether it was taken; the copy does not know of it,
    and the first provider is well again."""
    second = SendGrid()
    second.lose_answers = 99
    own.environment |= {"MAILROOM_PROVIDERS": "mailgun,sendgrid", **second.settings, **QUICK}
    own.start_api(webhooks=False)
    own.call("PATCH", "/v1/providers/mailgun", json={"enabled": False}).raise_for_status()
    (sender,) = own.start_senders(1)
    wait_for(lambda: is_remembered(own), within_s=20, what="Redis remembers further back than the copy")
    email = hand_in(own, send_at=(datetime.now(UTC) + timedelta(seconds=15)).isoformat())
    since = datetime.now(UTC) + timedelta(seconds=2)
    wait_for(lambda: own.db.cluster.find_one({"_id": "mark", "at": {"$gt": since}}), within_s=20, what="a mark of now")
    put_mongodb_aside(own.servers, tmp_path / "copy")
    wait_for(lambda: status(own, email) == "unknown", within_s=40, what="nobody can know")
    assert len(second.kept) == 1
    sender.stop(grace_s=20)
    put_mongodb_back(own.servers, tmp_path / "copy")
    put_right(own)
    own.call("PATCH", "/v1/providers/mailgun", json={"enabled": True}).raise_for_status()

    own.start_senders(2)

    wait_for(lambda: status(own, email) == "unknown", within_s=40, what="nobody can know, still")
    (dispatch,) = own.call("GET", "/v1/dispatches?state=unknown").json()["items"]
    assert dispatch["provider"] == "sendgrid"
    assert (len(second.kept), own.simulator.mails()) == (1, [])
    second.stop()


def redis_is_marked(system: System) -> bool:
    with Redis.from_url(system.servers.redis_url) as redis:
        return bool(redis.keys("mailroom:mongodb:*"))


def test_the_ledger_balances_after_a_campaign_and_says_what_does_not(system: System) -> None:
    system.start_simulator()
    system.simulator.turn(refused_addresses=["reader-7@example.org"])
    senders = system.start_senders(2, MAILROOM_SETTLE="0")
    schedule = a_campaign(system, 1_500)
    system.start_api()
    mails = [hand_in(system, to=[f"single-{n}@example.org"]) for n in range(4)]
    wait_for(lambda: finished(system, schedule), within_s=60, what="the run is finished")
    wait_for(lambda: {status(system, mail) for mail in mails} == {"delivered"}, within_s=30, what="the mails are there")

    well = ledger(system)
    for sender in senders:  # they would put right what is falsified now
        sender.stop(grace_s=20)
    system.db.messages.delete_one({"run_id": {"$nin": mails}})
    system.db.dispatches.update_one({"state": "accepted"}, {"$set": {"state": "pending"}})
    system.db.messages.delete_one({"run_id": mails[0]})
    system.db.dispatches.delete_one({"run_id": mails[1]})
    system.db.dispatches.update_one({"run_id": mails[2]}, {"$set": {"state": "sending"}})
    system.db.messages.update_one({"run_id": mails[3]}, {"$set": {"address": "somebody-else@example.org"}})
    unwell = ledger(system)
    system.db.runs.delete_one({"schedule_id": schedule})
    without_run = ledger(system)

    assert well == []
    assert {"run", "dispatch", "mail", "missing"} <= {kind for kind, _ in unwell}
    said = " ".join(words for _, words in unwell)
    for words in ("1 recipients, 0 mails", "it is in no dispatch", "in sending since", "sent to somebody-else"):
        assert words in said
    assert "instant" in {kind for kind, _ in without_run} - {kind for kind, _ in unwell}


def ledger(system: System) -> list[tuple[str, str]]:
    """What does not balance, the provider's log included: (kind, words)."""
    back = build_sender_services(system.settings, sender="tests")
    try:
        since = server_now(back.db) - timedelta(hours=1)
        made = check(back.db, since=since, fences=back.fences, adapters=list(back.adapters.values()), young=timedelta())
        return [(one.kind, one.words) for one in made.imbalances]
    finally:
        back.leases.close()
