"""Real mongod, etcd and redis-server on one machine: started, healthy, their data in a folder, ended with us.

Each writes to its disk before it says yes: mongod is a one-node replica set (transactions need one) with its journal,
etcd syncs its log, Redis keeps an append-only file. They listen on the loopback only.
"""

import json
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from redis import Redis
from redis.exceptions import RedisError

from local import binaries
from local.children import Child, free_port

START_S: Final = 60.0
STOP_S: Final = 10.0
_REPLICA_SET: Final = "mailroom"
TRANSACTION_S: Final = 3


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the servers listen; free ports unless given."""

    mongo: int = field(default_factory=free_port)
    etcd: int = field(default_factory=free_port)
    etcd_peer: int = field(default_factory=free_port)
    redis: int = field(default_factory=free_port)


class Servers:
    """The three servers over one data folder. `with Servers.start(folder) as servers:` ends them at the end."""

    def __init__(self, folder: Path, ports: Ports) -> None:
        self.folder, self.ports = folder, ports
        self.mongod = self.etcd = self.redis = None  # type: Child | None

    @classmethod
    def start(cls, folder: Path, ports: Ports | None = None) -> Self:
        """All three, healthy. On the same folder again, they have the same data.

        Raises BinaryMissing or ChildFailed; then none is left running.
        """
        servers = cls(folder.absolute(), ports or Ports())
        try:
            servers.start_mongod()
            servers.start_etcd()
            servers.start_redis()
            servers.wait_until_healthy()
        except BaseException:
            servers.stop()
            raise
        return servers

    @property
    def mongo_url(self) -> str:
        return f"mongodb://127.0.0.1:{self.ports.mongo}/?replicaSet={_REPLICA_SET}"

    @property
    def etcd_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.etcd}"

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.ports.redis}/0"

    @property
    def environment(self) -> dict[str, str]:
        """The settings with which our processes find these servers."""
        return {
            "MAILROOM_MONGO_URL": self.mongo_url,
            "MAILROOM_ETCD_URL": self.etcd_url,
            "MAILROOM_REDIS_URL": self.redis_url,
        }

    def start_mongod(self) -> Child:
        data = _folder(self.folder / "mongo")
        self.mongod = self._child(
            "mongod",
            [str(binaries.find(binaries.MONGOD)), "--dbpath", str(data), "--port", str(self.ports.mongo)]
            + ["--bind_ip", "127.0.0.1", "--replSet", _REPLICA_SET, "--wiredTigerCacheSizeGB", "1"]
            + ["--setParameter", "diagnosticDataCollectionEnabled=false", "--nounixsocket", "--quiet"]
            # A killed process leaves its open transaction behind, with locks on its lanes, for this long.
            + ["--setParameter", f"transactionLifetimeLimitSeconds={TRANSACTION_S}"],
        )
        return self.mongod

    def start_etcd(self) -> Child:
        data = _folder(self.folder / "etcd")
        peer = f"http://127.0.0.1:{self.ports.etcd_peer}"
        self.etcd = self._child(
            "etcd",
            [str(binaries.find(binaries.ETCD)), "--name", "local", "--data-dir", str(data)]
            + ["--listen-client-urls", self.etcd_url, "--advertise-client-urls", self.etcd_url]
            + ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
            + ["--initial-cluster", f"local={peer}", "--force-new-cluster=false"]
            + ["--auto-compaction-mode", "periodic", "--auto-compaction-retention", "1h", "--log-level", "warn"],
        )
        return self.etcd

    def start_redis(self) -> Child:
        data = _folder(self.folder / "redis")
        self.redis = self._child(
            "redis",
            [str(binaries.find(binaries.REDIS)), "--dir", str(data), "--port", str(self.ports.redis)]
            + ["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""],
        )
        return self.redis

    def wait_until_healthy(self) -> None:
        for child, healthy in (
            (self.redis, self._redis_answers),
            (self.etcd, self._etcd_answers),
            (self.mongod, self._mongod_is_primary),
        ):
            if child is not None:
                child.wait_until(healthy, timeout_s=START_S)

    def children(self) -> list[Child]:
        return [child for child in (self.redis, self.etcd, self.mongod) if child is not None]

    def stop(self) -> None:
        """All ended, mongod last; their data stays in the folder."""
        for child in self.children():
            child.stop(grace_s=STOP_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _child(self, name: str, command: list[str]) -> Child:
        return Child(name, command, log=self.folder / "logs" / f"{name}.log")

    def _redis_answers(self) -> bool:
        try:
            with Redis.from_url(self.redis_url, socket_timeout=1) as client:
                return bool(client.ping())
        except RedisError:
            return False

    def _etcd_answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.etcd_url}/health", timeout=1) as answer:  # noqa: S310 - our own URL
                return bool(json.load(answer).get("health") == "true")
        except (OSError, ValueError):
            return False

    def _mongod_is_primary(self) -> bool:
        url = f"mongodb://127.0.0.1:{self.ports.mongo}/?directConnection=true"
        try:
            client: MongoClient[dict[str, Any]] = MongoClient(url, serverSelectionTimeoutMS=500)
            with client:
                hello = client.admin.command("hello")
                if hello.get("isWritablePrimary"):
                    return True
                if not hello.get("setName"):
                    self._form_replica_set(client)
                return False
        except PyMongoError:
            return False

    def _form_replica_set(self, client: MongoClient[dict[str, Any]]) -> None:
        member = {"_id": 0, "host": f"127.0.0.1:{self.ports.mongo}"}
        # The only member waits for as long before it elects itself after a restart; by default that is ten seconds.
        settings = {"electionTimeoutMillis": 1_000}
        try:
            client.admin.command("replSetInitiate", {"_id": _REPLICA_SET, "members": [member], "settings": settings})
        except OperationFailure:
            # Data from an earlier start under another port: the set knows its one member by its old address.
            config = client.admin.command("replSetGetConfig")["config"]
            config["members"], config["version"] = [member], config["version"] + 1
            client.admin.command("replSetReconfig", config, force=True)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
