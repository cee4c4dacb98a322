"""TLS and passwords to each store, by the settings: trusted authorities, a certificate of our own, no plain text."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from etcd3 import etcdrpc
from etcd3.etcdrpc import auth_pb2
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from config.settings import Settings, read_settings
from config.stores import Stores
from local import binaries
from local.children import Child
from local.ports import free_port
from local.servers import Servers
from mailroom.coordination.fences import Fences
from mailroom.coordination.leases import Leases
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import Lane
from mailroom.storage.database import connect, server_now
from tests.support.sentinels import NAME, Sentinels
from tests.support.system import System, wait_for
from tests.support.tls import Papers, TlsProxy

ETCD_TOKEN_S = 1  # etcd forgets a session that was not used for so long


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    return Papers.issued(tmp_path)


@pytest.fixture
def stores(system: System) -> "Read":
    return Read(system)


class Read:
    """Settings of the stores beside those of a whole system."""

    def __init__(self, system: System) -> None:
        self._environment = system.environment

    def __call__(self, **settings: object) -> Stores:
        told = {f"MAILROOM_{name}": str(value) for name, value in settings.items()}
        found: Settings = read_settings(self._environment | told, dotenv=None)
        return found.stores


# Redis


@pytest.fixture
def redis(servers: Servers, papers: Papers) -> Iterator[TlsProxy]:
    made = TlsProxy(servers.ports.redis, papers)
    yield made
    made.close()


def test_redis_by_tls_with_a_certificate_whose_key_is_in_the_same_file_or_another(
    stores: Read, redis: TlsProxy, papers: Papers
) -> None:
    url = f"rediss://127.0.0.1:{redis.port}/0"
    for certificate in (
        {"REDIS_CERT": papers.client},
        {"REDIS_CERT": papers.client_alone, "REDIS_KEY": papers.client_key},
    ):
        told = stores(REDIS_URL=url, REDIS_CA=papers.authority, **certificate)

        fences = Fences(told.redis_url, of="tests")

        assert fences.redis_identity()
        fences.close_client()


def test_redis_is_not_spoken_to_without_our_certificate_or_with_an_authority_that_is_not_its_own(
    stores: Read, redis: TlsProxy, papers: Papers
) -> None:
    url = f"rediss://127.0.0.1:{redis.port}/0"
    for wrong in ({"REDIS_CA": papers.stranger, "REDIS_CERT": papers.client}, {"REDIS_CA": papers.authority}):
        fences = Fences(stores(REDIS_URL=url, **wrong).redis_url, of="tests")

        with pytest.raises(Unavailable):
            fences.redis_identity()
        fences.close_client()


def test_sentinels_and_the_master_that_they_name_are_spoken_to_by_tls(
    stores: Read, tmp_path: Path, papers: Papers
) -> None:
    with Sentinels.of(tmp_path / "group", servers=1) as group:
        master = TlsProxy(group.members[0].port, papers, plain_too=True)
        sentinels = [TlsProxy(port, papers) for port in group.ports]
        for port in group.ports:  # they name the way by TLS
            with group.client(port) as sentinel:
                sentinel.sentinel_remove(NAME)
                sentinel.sentinel_monitor(NAME, "127.0.0.1", str(master.port), "1")
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
        files = {"REDIS_CA": papers.authority, "REDIS_CERT": papers.client}

        told = stores(REDIS_URL=f"rediss+sentinel://{hosts}/{NAME}/0", **files)
        plain = stores(REDIS_URL=f"redis+sentinel://{hosts}/{NAME}/0")

        with pytest.raises(Unavailable):
            Fences(plain.redis_url, of="tests").redis_identity()
        assert Fences(told.redis_url, of="tests").redis_identity()
        for proxy in (master, *sentinels):
            proxy.close()


# etcd


@pytest.fixture
def etcd(tmp_path: Path, papers: Papers) -> Iterator[str]:
    """An etcd that speaks TLS alone, asks for certificates, and knows a user who may use our keys and no others."""
    port, peer = free_port(), free_port()
    url, peer_url = f"https://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    command = [
        *(str(binaries.find(binaries.ETCD)), "--data-dir", str(tmp_path / "etcd"), "--log-level", "error"),
        *("--listen-client-urls", url, "--advertise-client-urls", url),
        *("--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url),
        *("--initial-cluster", f"default={peer_url}", "--auth-token-ttl", str(ETCD_TOKEN_S)),
        *("--cert-file", str(papers.server), "--key-file", str(papers.server_key)),
        *("--client-cert-auth", "--trusted-ca-file", str(papers.authority)),
    ]
    child = Child("etcd", command, log=tmp_path / "etcd.log")
    child.wait_until(lambda: _with_user(f"127.0.0.1:{port}", papers), timeout_s=20)
    yield f"https://mailroom:p%40ss@127.0.0.1:{port}"
    child.kill()


def _with_user(address: str, papers: Papers) -> bool:
    files = (papers.authority, papers.client_key, papers.client_alone)
    ours = auth_pb2.Permission(permType=auth_pb2.Permission.READWRITE, key=b"/mailroom/", range_end=b"/mailroom0")
    with grpc.secure_channel(address, grpc.ssl_channel_credentials(*(f.read_bytes() for f in files))) as channel:
        auth = etcdrpc.AuthStub(channel)
        try:
            for name, password in (("root", "root"), ("mailroom", "p@ss")):
                auth.UserAdd(etcdrpc.AuthUserAddRequest(name=name, password=password), timeout=2)
                auth.RoleAdd(etcdrpc.AuthRoleAddRequest(name=name), timeout=2)
                auth.UserGrantRole(etcdrpc.AuthUserGrantRoleRequest(user=name, role=name), timeout=2)
            auth.RoleGrantPermission(etcdrpc.AuthRoleGrantPermissionRequest(name="mailroom", perm=ours), timeout=2)
            auth.AuthEnable(etcdrpc.AuthEnableRequest(), timeout=2)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE, error
            return False
    return True


def leases(urls: tuple[str, ...]) -> Leases:
    return Leases(urls, sender="sender-1", ttl_s=30)


def test_a_user_of_etcd_needs_our_keys_alone_and_signs_in_again_when_its_session_is_over(
    stores: Read, etcd: str, papers: Papers
) -> None:
    told = stores(ETCD_URL=etcd, ETCD_CA=papers.authority, ETCD_CERT=papers.client_alone, ETCD_KEY=papers.client_key)
    ours = leases(told.etcd_urls)
    ours.begin()
    taken = ours.take([Lane("mail/1")])

    over_at = time.monotonic() + 3 * ETCD_TOKEN_S  # etcd looks for old sessions once a second
    wait_for(lambda: time.monotonic() > over_at, within_s=10, what="the session is over")

    assert ours.keep_alive()
    assert ours.senders() == 1
    ours.release(taken.revisions)
    ours.end()
    ours.close()


@pytest.mark.parametrize("wrong", ["authority", "certificate", "password", "a file that is gone"])
def test_etcd_is_not_spoken_to_where_one_side_does_not_trust_the_other(
    stores: Read, etcd: str, papers: Papers, wrong: str
) -> None:
    url = etcd.replace("p%40ss", "guess") if wrong == "password" else etcd
    told = stores(
        ETCD_URL=url,
        ETCD_CA=papers.stranger if wrong == "authority" else papers.authority,
        **({} if wrong == "certificate" else {"ETCD_CERT": papers.client}),
    )
    if wrong == "a file that is gone":
        papers.client.unlink()
    ours = leases(told.etcd_urls)

    with pytest.raises(Unavailable):
        ours.begin()
    ours.close()


# MongoDB


@pytest.fixture
def mongo(tmp_path: Path, papers: Papers) -> Iterator[str]:
    """A replica set that speaks TLS alone, and asks for certificates."""
    port, data = free_port(), tmp_path / "mongo"
    data.mkdir()
    child = Child(
        "mongod",
        [
            *(
                str(binaries.find(binaries.MONGOD)),
                "--dbpath",
                str(data),
                "--port",
                str(port),
                "--bind_ip",
                "127.0.0.1",
            ),
            *("--replSet", "r", "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket", "--quiet"),
            *("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(papers.server)),
            *("--tlsCAFile", str(papers.authority)),
        ],
        log=tmp_path / "mongod.log",
    )
    child.wait_until(lambda: _is_primary(port, papers), timeout_s=30)
    yield f"mongodb://127.0.0.1:{port}/tests?replicaSet=r"
    child.kill()


def _is_primary(port: int, papers: Papers) -> bool:
    options: dict[str, object] = {"tls": True, "tlsCAFile": str(papers.authority)}
    options |= {"tlsCertificateKeyFile": str(papers.client), "serverSelectionTimeoutMS": 500}
    client: MongoClient[dict[str, Any]]
    with MongoClient("127.0.0.1", port, directConnection=True, **options) as client:
        try:
            hello = client.admin.command("hello")
            if not hello.get("setName"):
                members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
                client.admin.command("replSetInitiate", {"_id": "r", "members": members})
            return bool(hello.get("isWritablePrimary"))
        except PyMongoError:
            return False


def test_mongodb_by_tls_with_a_certificate_of_our_own(stores: Read, mongo: str, papers: Papers) -> None:
    db = connect(stores(MONGO_URL=mongo, MONGO_CA=papers.authority, MONGO_CERT=papers.client).mongo_url, app="tests")

    assert server_now(db)
    assert db.name == "tests"
    db.client.close()


def test_mongodb_takes_the_same_by_options_of_its_url(stores: Read, mongo: str, papers: Papers) -> None:
    url = f"{mongo}&tls=true&tlsCAFile={papers.authority}&tlsCertificateKeyFile={papers.client}"

    db = connect(stores(MONGO_URL=url).mongo_url, app="tests")

    assert server_now(db)
    db.client.close()


def test_mongodb_is_not_spoken_to_with_an_authority_that_is_not_its_own(
    stores: Read, mongo: str, papers: Papers
) -> None:
    db = connect(stores(MONGO_URL=mongo, MONGO_CA=papers.stranger, MONGO_CERT=papers.client).mongo_url, app="tests")

    with pytest.raises(Unavailable, match="certificate verify failed"):
        server_now(db)
    db.client.close()
