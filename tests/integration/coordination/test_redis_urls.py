"""Which Redis a URL leads to: Sentinels that are dead or wrong, passwords, and a Cluster, which is refused."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from redis import ConnectionError as NotConnected
from redis import Redis

from local import binaries
from local.children import Child
from local.ports import free_port
from mailroom.coordination.counters import Counters
from mailroom.coordination.fences import Fences
from mailroom.coordination.redis_client import RedisWrites, connect
from mailroom.coordination.redis_url import sentinel_url
from mailroom.domain.errors import MisconfiguredStore, TakesNoWrites, Unavailable
from tests.support.sentinels import Sentinels
from tests.support.system import System, wait_for

MINUTE = timedelta(minutes=1)


def test_a_sentinel_that_is_dead_or_hangs_is_passed_over(group: Sentinels) -> None:
    group.watchers[0].kill()
    group.watchers[1].process.send_signal(19)

    began = time.monotonic()
    with connect(group.url) as redis:
        assert redis.ping()

    assert time.monotonic() - began < 2.5


def test_without_sentinels_nothing_is_reached_within_a_bounded_time(group: Sentinels) -> None:
    for watcher in group.watchers:
        watcher.process.send_signal(19)
    fences = Fences(group.url, of="tests")

    began = time.monotonic()
    with pytest.raises(Unavailable, match="No master found for 'mailroom'"):
        fences.redis_identity()

    assert time.monotonic() - began < 5
    fences.close_client()


def test_a_name_that_the_sentinels_do_not_know_is_reported(group: Sentinels) -> None:
    writes = RedisWrites(group.url.replace("/mailroom/", "/nobody/"))

    with pytest.raises(Unavailable, match="No master found for 'nobody'"):
        writes.check()
    writes.close()


def test_limits_of_callers_find_the_next_master(group: Sentinels) -> None:
    counters = Counters(group.url, of="tests", monotonic=lambda: 0.0)

    group.fail_over()
    with group.client(group.master.port) as redis:
        wait_for(
            lambda: counters.take("a", most=5, span=MINUTE) is None and redis.keys("*count*"), within_s=5, what="x"
        )


def test_servers_and_sentinels_that_ask_for_passwords(tmp_path: Path) -> None:
    with Sentinels.of(tmp_path, servers=2, password="p@ss/word") as group:
        fences = Fences(group.url, of="tests")
        assert fences.redis_identity()

        for wrong in (group.url.replace("sentinel_password=", "sentinel_password=x"), group.url.replace(":p", ":q")):
            with pytest.raises(Unavailable, match="password"):
                Fences(wrong, of="tests").redis_identity()
        fences.close_client()


def test_a_url_shows_no_password_in_a_repr() -> None:
    url = "redis+sentinel://ann:secret-1@h1,h2:7/mailroom/3?sentinel_username=bo&sentinel_password=secret+%2F2"

    found = sentinel_url(url)

    assert found
    assert found.sentinels == (("h1", 26379), ("h2", 7))
    assert (found.service, found.username, found.password) == ("mailroom", "bo", "secret+/2")
    assert found.server.startswith("redis://ann:secret-1@any/3")
    assert "secret" not in repr(found)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """A Redis Cluster of one server that has a few of the slots."""
    # A member listens for the others 10,000 ports higher. The higher one must be ours too: the kernel lends what it
    # has above its own bound to anybody's outgoing connection.
    port = free_port() - 10_000
    command = [str(binaries.find(binaries.REDIS)), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    child = Child("cluster", [*command, "--cluster-enabled", "yes"], log=tmp_path / "cluster.log")
    child.wait_until(lambda: _answers(port), timeout_s=10)
    yield f"redis://127.0.0.1:{port}/0"
    child.kill()


def _answers(port: int) -> bool:
    with Redis(port=port, socket_timeout=1) as redis, suppress(NotConnected):
        return bool(redis.ping())
    return False


def test_a_cluster_is_refused_and_the_words_name_what_to_use_instead(cluster: str) -> None:
    fences, writes = Fences(cluster, of="tests"), RedisWrites(cluster)

    with pytest.raises(MisconfiguredStore, match=r"cluster_enabled:1.*redis\+sentinel://"):
        fences.check_server()
    with pytest.raises(TakesNoWrites, match="it is a Redis Cluster"):
        writes.check()
    fences.close_client()
    writes.close()


@pytest.mark.parametrize("command", ["sender", "doctor"])
def test_a_command_that_is_led_to_a_cluster_says_so_and_exits(system: System, cluster: str, command: str) -> None:
    environment = system.environment | {"MAILROOM_REDIS_URL": cluster}
    called = [sys.executable, "-m", "cli.main", command]

    done = subprocess.run(called, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "Redis is a Cluster" in " ".join((done.stdout + done.stderr).split()) or "Redis Cluster" in done.stdout
