"""`mailroom cluster`: secrets that are made once, and members that become one replica set."""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, OperationFailure

from cli.cluster import keep_secrets
from cli.main import main
from config.cluster import SET, USER
from local import binaries
from local.children import Child
from local.ports import free_port
from tests.support.system import wait_for

NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    (tmp_path / ".env").write_text("MAILGUN_API_KEY=first\n")
    keep_secrets(tmp_path / "secrets", tmp_path / ".env", now=datetime.now(UTC))
    return tmp_path / "secrets"


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_secrets_are_made_once_and_settings_are_copied_each_time(secrets: Path) -> None:
    first, env = contents(secrets), secrets.parent / ".env"
    env.write_text("MAILGUN_API_KEY=second\n")
    done = CliRunner().invoke(main, ["cluster", "secrets", "--folder", str(secrets), "--settings", str(env)])

    assert done.output == f"{secrets}\n"
    assert contents(secrets) == first | {"settings": "MAILGUN_API_KEY=second\n"}


def test_containers_can_read_the_secrets_and_other_users_of_the_host_cannot(secrets: Path) -> None:
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in secrets.iterdir()} == {0o444}


def test_a_part_of_the_secrets_is_not_made_up_for_by_new_ones(secrets: Path) -> None:
    (secrets / "redis-url").unlink()
    before = contents(secrets)

    env = str(secrets.parent / ".env")
    done = CliRunner().invoke(main, ["cluster", "secrets", "--folder", str(secrets), "--settings", env])

    assert done.exit_code == 1
    assert "redis-url; put them back" in done.output
    assert contents(secrets) == before


@pytest.mark.parametrize("store", ["mongo", "etcd", "redis"])
def test_a_stores_authority_vouches_for_its_own_certificates_alone(secrets: Path, store: str) -> None:
    def is_vouched_for(by: str, certificate: str) -> bool:
        command = ["openssl", "verify", "-x509_strict", "-CAfile", secrets / f"{by}-ca", secrets / certificate]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    assert is_vouched_for(store, f"{store}-server") and is_vouched_for(store, f"{store}-client")
    for other in {"mongo", "etcd", "redis"} - {store}:
        assert not is_vouched_for(store, f"{other}-client")


class Members:
    """mongods with the options of docker-compose.cluster.yml, on this machine."""

    def __init__(self, folder: Path, secrets: Path, *, count: int = 3) -> None:
        self._folder, self.secrets = folder, secrets
        self.ports = [free_port() for _ in range(count)]
        shutil.copy(secrets / "mongo-key", folder / "key")
        (folder / "key").chmod(0o400)
        self.children = [self._start(port) for port in self.ports]

    @property
    def hosts(self) -> list[str]:
        return [f"127.0.0.1:{port}" for port in self.ports]

    def _start(self, port: int) -> Child:
        data = self._folder / f"mongo-{port}"
        data.mkdir()
        command = [str(binaries.find(binaries.MONGOD)), "--dbpath", str(data), "--port", str(port)]
        command += ["--bind_ip", "127.0.0.1", "--replSet", SET, "--keyFile", str(self._folder / "key")]
        command += ["--tlsMode", "requireTLS", "--tlsCAFile", str(self.secrets / "mongo-ca")]
        command += ["--tlsCertificateKeyFile", str(self.secrets / "mongo-server"), "--nounixsocket", "--quiet"]
        command += ["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "100"]
        return Child(f"mongod-{port}", command, log=self._folder / f"mongod-{port}.log")

    def client(self, user: str, password: str, **options: Any) -> MongoClient[dict[str, Any]]:
        certificate = {"tlsCertificateKeyFile": str(self.secrets / "mongo-client")}
        more = {"username": user, "password": password} if user else {}
        tls = {"tls": True, "tlsCAFile": str(self.secrets / "mongo-ca"), **certificate, **more, **options}
        return MongoClient(self.hosts, replicaSet=SET, serverSelectionTimeoutMS=5_000, **tls)

    def close(self) -> None:
        for child in self.children:
            child.kill()


@pytest.fixture
def members(tmp_path: Path, secrets: Path) -> Iterator[Members]:
    made = Members(tmp_path, secrets)
    yield made
    made.close()


def formed(members: Members) -> None:
    done = CliRunner().invoke(main, ["cluster", "replica-set", "--secrets", str(members.secrets), *members.hosts])
    assert done.exit_code == 0, done.output


def password_of_the_url(secrets: Path) -> str:
    return (secrets / "mongo-url").read_text().partition(f"{USER}:")[2].partition("@")[0]


def test_members_become_one_set_that_lets_in_its_users_alone_also_when_it_is_formed_again(members: Members) -> None:
    formed(members)
    formed(members)

    with members.client(USER, password_of_the_url(members.secrets)) as ours:
        ours["mailroom"]["things"].insert_one({"_id": 1})
        assert ours.admin.command("getParameter", transactionLifetimeLimitSeconds=1)["ok"]
        with pytest.raises(OperationFailure, match="not authorized"):
            ours["elsewhere"]["things"].insert_one({"_id": 1})
    with members.client("admin", (members.secrets / "mongo-admin-password").read_text()) as admin:
        wait_for(lambda: len(admin.secondaries) == 2, within_s=30, what="two secondaries follow")
    with members.client("", "") as nobody, pytest.raises(OperationFailure, match="requires authentication"):
        nobody["mailroom"]["things"].find_one()


def test_without_a_certificate_nobody_is_let_in(members: Members) -> None:
    formed(members)

    password = password_of_the_url(members.secrets)
    with members.client(USER, password, tlsCertificateKeyFile=None) as without, pytest.raises(ConnectionFailure):
        without["mailroom"]["things"].find_one()


def test_a_member_that_lost_its_data_makes_no_second_set(members: Members, tmp_path: Path) -> None:
    formed(members)
    first = members.ports[0]
    members.children[0].kill()
    shutil.rmtree(tmp_path / f"mongo-{first}")
    members.children[0] = members._start(first)

    formed(members)

    with members.client("admin", (members.secrets / "mongo-admin-password").read_text()) as admin:
        wait_for(lambda: len(admin.secondaries) == 2, within_s=60, what="all three are one set again")
