"""The drill: all three stores are lost in mid-campaign, and put back from a backup; nothing goes out twice."""

import shutil
import subprocess
import sys
from pathlib import Path

from redis import Redis

from tests.support.backups import QUICK, doctor, put_right
from tests.support.campaigns import a_campaign, dispatch_states, finished, marks
from tests.support.system import System, wait_for

COUNT = 6_000


def mailroom(system: System, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.main", *words]
    return subprocess.run(command, env=system.environment, capture_output=True, text=True, timeout=120, check=False)


def lose_all_stores(system: System) -> None:
    system.db.client.drop_database(system.db.name)
    with Redis.from_url(system.servers.redis_url) as redis:
        redis.flushall()
    assert system.servers.etcd is not None
    system.servers.etcd.kill()
    shutil.rmtree(system.servers.folder / "etcd")
    system.servers.start_etcd()
    system.servers.wait_until_healthy()


def test_after_the_loss_of_all_stores_a_backup_and_the_providers_log_send_nothing_twice(
    own: System, tmp_path: Path
) -> None:
    own.environment |= QUICK
    own.simulator.turn(latency_s=0.3)
    senders = own.start_senders(1, MAILROOM_SENDER_CONCURRENCY="1")
    schedule = a_campaign(own, COUNT)
    wait_for(lambda: len(own.simulator.calls()) >= 2, within_s=60, what="some calls were made")
    made = mailroom(own, "backup", str(tmp_path / "copy"))
    assert made.returncode == 0, made.stderr
    wait_for(lambda: len(own.simulator.calls()) >= 4, within_s=60, what="more calls were made since")
    for sender in senders:
        sender.kill()
    lose_all_stores(own)
    calls = len(own.simulator.calls())

    restored = mailroom(own, "restore", str(tmp_path / "copy"), "--yes")

    assert restored.returncode == 0, restored.stderr
    own.start_senders(2)
    wait_for(lambda: "mongodb_was_restored" in own.children[-1].tail(500), within_s=30, what="senders hold and say so")
    assert len(own.simulator.calls()) == calls
    put_right(own)
    wait_for(lambda: finished(own, schedule), within_s=90, what="the run is finished")
    assert marks(own) == {f"mark-{n}": 1 for n in range(COUNT)}
    assert dispatch_states(own) == {"accepted": 6}


def test_a_copy_older_than_the_providers_log_waits_for_a_persons_word(own: System, tmp_path: Path) -> None:
    own.environment |= QUICK | {"MAILROOM_LOG_RETENTION": "1"}
    assert mailroom(own, "backup", str(tmp_path / "copy")).returncode == 0
    lose_all_stores(own)
    assert mailroom(own, "restore", str(tmp_path / "copy"), "--yes").returncode == 0

    refused = doctor(own, "--after-restore")

    assert refused.returncode == 1
    assert "do not go back to the copy of" in refused.stderr
    assert doctor(own, "--after-restore", "--even-so").returncode == 0
