"""A store that is full or read-only answers every question, and takes no write: that is tried, and told everywhere."""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from click.testing import CliRunner
from etcd3 import etcdrpc
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError, WriteError
from redis import Redis

from cli.main import main
from local.ports import free_port
from local.servers import Servers
from mailroom.assembly.api import build_api_services
from mailroom.coordination.redis_client import connect, redis_answers
from mailroom.domain.errors import TakesNoWrites, Unavailable
from mailroom.services.operations.writability import Writability
from mailroom.storage.cluster import write_check
from mailroom.storage.database import guarded
from scheduler_api.app import create_app
from tests.support.emails import an_email
from tests.support.system import System, a_system, wait_for


@pytest.fixture(scope="module")
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers that no other test uses: these tests spoil them."""
    with Servers.start(tmp_path_factory.mktemp("spoiled")) as started:
        yield started


@pytest.fixture
def spoiled(own_servers: Servers, tmp_path: Path) -> Iterator[System]:
    with a_system(tmp_path, own_servers, database=f"test_{secrets.token_hex(6)}") as made:
        yield made


@contextmanager
def redis_with(system: System, option: str, value: str, usual: str) -> Iterator[None]:
    with Redis.from_url(system.servers.redis_url) as redis:
        redis.config_set(option, value)
        try:
            yield
        finally:
            redis.config_set(option, usual)


@contextmanager
def redis_is_a_replica(system: System) -> Iterator[None]:
    with Redis.from_url(system.servers.redis_url) as redis:
        redis.replicaof("127.0.0.1", "1")
        try:
            yield
        finally:
            redis.replicaof("NO", "ONE")


@contextmanager
def etcd_is_full(system: System) -> Iterator[None]:
    """The alarm that etcd raises by itself where its quota is used up."""
    with grpc.insecure_channel(f"127.0.0.1:{system.servers.ports.etcd}") as channel:
        alarm = etcdrpc.MaintenanceStub(channel).Alarm
        alarm(etcdrpc.AlarmRequest(action=etcdrpc.AlarmRequest.ACTIVATE, alarm=etcdrpc.NOSPACE))
        try:
            yield
        finally:
            alarm(etcdrpc.AlarmRequest(action=etcdrpc.AlarmRequest.DEACTIVATE, alarm=etcdrpc.NOSPACE))


@contextmanager
def mongodb_is_blocked(system: System) -> Iterator[None]:
    block: Callable[..., Any] = system.db.client.admin.command
    block({"setUserWriteBlockMode": 1, "global": True})
    try:
        yield
    finally:
        block({"setUserWriteBlockMode": 1, "global": False})


SPOILT = {
    "Redis is full": (lambda s: redis_with(s, "maxmemory", "1", "0"), "redis", "Redis takes no writes: its memory is"),
    "Redis lacks replicas": (
        lambda s: redis_with(s, "min-replicas-to-write", "1", "0"),
        "redis",
        "Redis takes no writes: fewer replicas",
    ),
    "Redis is read-only": (redis_is_a_replica, "redis", "Redis takes no writes: it is a read-only replica"),
    "etcd is full": (etcd_is_full, "etcd", "etcd takes no writes: its space is used up (NOSPACE)"),
    "MongoDB is blocked": (mongodb_is_blocked, "mongodb", "MongoDB takes no writes: its writes are blocked"),
}


@pytest.mark.parametrize("spoil, store, words", SPOILT.values(), ids=SPOILT)
def test_a_store_that_takes_no_writes_is_reported_by_ready_metrics_and_doctor(
    spoiled: System, spoil: Callable[[System], Any], store: str, words: str
) -> None:
    def asked() -> Any:
        """By an API that has tried nothing yet."""
        return create_app(build_api_services(spoiled.settings, app="tests")).test_client()

    def doctor() -> str:
        return CliRunner().invoke(main, ["doctor"], env=spoiled.environment | {"COLUMNS": "200"}).output

    assert asked().get("/ready").json == {"ready": True, "sending": True}

    with spoil(spoiled):
        ready = asked().get("/ready")
        metrics = asked().get("/metrics").text
        found = doctor()

    if store == "mongodb":
        assert ready.status_code == 503
        assert ready.json["detail"].startswith(words)
    else:
        assert ready.status_code == 200
        assert (ready.json["ready"], ready.json["sending"]) == (True, False)
        assert ready.json["reason"].startswith(words)
    for one in ("mongodb", "etcd", "redis"):
        assert f'mailroom_store_writable{{store="{one}"}} {float(one != store)}' in metrics
    assert words in found
    assert words not in doctor()
    assert asked().get("/ready").json == {"ready": True, "sending": True}


def test_a_mail_for_a_mongodb_that_takes_no_writes_is_503_and_may_be_asked_again(spoiled: System) -> None:
    client = create_app(build_api_services(spoiled.settings, app="tests")).test_client()
    headers = {"Authorization": f"Bearer {spoiled.token}", "Idempotency-Key": "k"}

    with mongodb_is_blocked(spoiled):
        refused = client.post("/v1/emails", json=an_email(), headers=headers)
    taken = client.post("/v1/emails", json=an_email(), headers=headers)

    assert (refused.status_code, refused.json["code"]) == (503, "unavailable")
    assert taken.status_code == 202


def test_a_sender_is_not_ready_while_redis_is_full_and_mails_go_when_it_is_not(spoiled: System) -> None:
    port = free_port()
    spoiled.start_simulator()
    spoiled.start_api()
    (sender,) = spoiled.start_senders(1, MAILROOM_SENDER_PORT=str(port))

    def ready() -> requests.Response:
        return requests.get(f"http://127.0.0.1:{port}/ready", timeout=10)

    wait_for(lambda: ready().status_code == 200, within_s=30, what="the sender is ready")
    with redis_with(spoiled, "maxmemory", "1", "0"):
        assert spoiled.call("POST", "/v1/emails", json=an_email()).status_code == 202
        wait_for(lambda: ready().status_code == 503, within_s=30, what="the sender says that it is not ready")
        assert ready().json()["reason"].startswith("Redis takes no writes: its memory is full")
        wait_for(lambda: "sender_waits" in sender.tail(200), within_s=30, what="the sender waits")
        assert spoiled.simulator.record()["mails"] == 0
    wait_for(lambda: spoiled.simulator.record()["mails"] == 1, within_s=40, what="the mail goes out")
    wait_for(lambda: ready().status_code == 200, within_s=30, what="the sender is ready again")
    waits = [line for line in sender.tail(500).splitlines() if "sender_waits" in line and "takes no writes" in line]
    assert len(waits) == 1


def test_an_idle_connection_to_a_redis_that_became_a_replica_is_given_up(spoiled: System) -> None:
    """Behind an address that moves, it would stay with the demoted server for ever."""
    redis = connect(spoiled.servers.redis_url)
    before = redis.client_id()

    with redis_is_a_replica(spoiled), pytest.raises(TakesNoWrites), redis_answers(redis):
        redis.set("x", "1")

    assert redis.client_id() != before
    redis.close()


def test_a_store_that_hangs_holds_one_caller_and_is_tried_again_after_a_while() -> None:
    now, tried, hang = 100.0, 0, threading.Event()
    hang.set()

    def write() -> None:
        nonlocal tried
        tried += 1
        hang.wait(30)
        raise Unavailable("Redis did not answer at 10.0.0.7:6379")

    writability = Writability({"Redis": write}, monotonic=lambda: now)
    assert [writability.look() for _ in range(3)] == [{"Redis": "Redis does not answer"}] * 3
    assert tried == 1

    now += 6
    hang.clear()
    trying = threading.Thread(target=writability.look)
    trying.start()
    assert writability.look() == {"Redis": "Redis does not answer"}
    hang.set()
    trying.join()
    assert tried == 2


NO_ROOM = {"code": 8, "errmsg": "28: No space left on device"}


@pytest.mark.parametrize(
    "error",
    [
        WriteError("28: No space left on device", 8, NO_ROOM),
        OperationFailure("28: No space left on device", 8, NO_ROOM),
        BulkWriteError({"writeErrors": [{"index": 0, **NO_ROOM}], "writeConcernErrors": []}),
        BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 14031, "errmsg": "no room"}]}),
        OperationFailure("index build needs room", 14031),
    ],
)
def test_a_write_that_finds_no_room_on_mongods_disk_says_so_and_may_be_tried_again(error: PyMongoError) -> None:
    def write() -> None:
        raise error

    with pytest.raises(TakesNoWrites, match="MongoDB takes no writes: its disk is full"):
        guarded(write)()


@pytest.mark.parametrize("error", [OperationFailure("unknown", 8), WriteError("wrong", 2), BulkWriteError({})])
def test_another_refusal_of_mongod_is_no_full_disk(error: PyMongoError) -> None:
    def write() -> None:
        raise error

    with pytest.raises(type(error)):
        guarded(write)()


def test_a_disk_without_room_for_a_document_is_full_whatever_a_small_write_says() -> None:
    room = {"fsTotalSize": 10**12, "fsUsedSize": 10**12 - 20_000_000}

    assert write_check.has_room(room)
    assert not write_check.has_room(room | {"fsUsedSize": 10**12 - 16_000_000})
    assert not write_check.has_room({"fsTotalSize": 10.0, "fsUsedSize": 10.0})
    assert write_check.has_room({})
