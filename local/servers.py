"""Real mongod, etcd and redis-server on one machine: started, healthy, their data in a folder, ended with us.

Each writes to its disk before it says yes: mongod is a one-node replica set (transactions need one) with its journal,
etcd syncs its log, Redis keeps an append-only file. They listen on the loopback only, and where a password is given,
they answer only to clients that know it: other users of the machine reach the loopback too.
"""

import json
import socket
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from redis import Redis
from redis.exceptions import RedisError

from local import binaries, passwords
from local.children import Child, wait_until_all
from local.folder_lock import FolderLock, lock_folder
from local.ports import free_port

START_S: Final = 60.0
STOP_S: Final = 10.0
_REPLICA_SET: Final = "mailroom"
TRANSACTION_S: Final = 3
HISTORY_S: Final = 30
_IDLE_FILE_S: Final = 10
# The only member waits for as long before it elects itself after a restart; by default that is ten seconds. Nobody else
# can be elected, so there is nothing to wait for.
_ELECTIONS: Final = {"electionTimeoutMillis": 100}


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the servers listen; free ports unless given."""

    mongo: int = field(default_factory=free_port)
    etcd: int = field(default_factory=free_port)
    etcd_peer: int = field(default_factory=free_port)
    redis: int = field(default_factory=free_port)


class Servers:
    """The three servers over one data folder. `with Servers.start(folder) as servers:` ends them at the end."""

    def __init__(self, folder: Path, ports: Ports, lock: FolderLock, password: str) -> None:
        self.folder, self.ports = folder, ports
        self.mongod = self.etcd = self.redis = None  # type: Child | None
        self._lock = lock
        self._password = password
        self._credentials = f"{passwords.USER}:{password}@" if password else ""

    @classmethod
    def start(cls, folder: Path, ports: Ports | None = None, *, ask_password: bool = False) -> Self:
        """All three, healthy. On the same folder again, they have the same data. With `ask_password` they ask every
        client for a password, which is kept in the folder and stands in the URLs; on a folder whose servers asked none
        so far as well.

        Raises BinaryMissing or ChildFailed, such as where the folder's servers run already; then none is left running.
        """
        servers = cls.begin(folder, ports, ask_password=ask_password)
        try:
            servers.wait_until_healthy()
        except BaseException:
            servers.stop()
            raise
        return servers

    @classmethod
    def begin(cls, folder: Path, ports: Ports | None = None, *, ask_password: bool = False) -> Self:
        """As `start`, but they may need another second: whoever has other work does it meanwhile, and calls
        `wait_until_healthy`."""
        lock = lock_folder(_folder(folder.absolute()))
        servers = cls(folder.absolute(), ports or Ports(), lock, passwords.kept(folder) if ask_password else "")
        try:
            if ask_password and passwords.asked_none_so_far(servers.folder):
                servers._make_user_of_old_data()
            servers.start_mongod()
            servers.start_etcd()
            servers.start_redis()
        except BaseException:
            servers.stop()
            raise
        return servers

    @property
    def mongo_url(self) -> str:
        source = "&authSource=admin" if self._password else ""
        return f"mongodb://{self._credentials}127.0.0.1:{self.ports.mongo}/?replicaSet={_REPLICA_SET}{source}"

    @property
    def etcd_url(self) -> str:
        return f"http://{self._credentials}127.0.0.1:{self.ports.etcd}"

    @property
    def redis_url(self) -> str:
        secret = f":{self._password}@" if self._password else ""
        return f"redis://{secret}127.0.0.1:{self.ports.redis}/0"

    @property
    def environment(self) -> dict[str, str]:
        """The settings with which our processes find these servers."""
        return {
            "MAILROOM_MONGO_URL": self.mongo_url,
            "MAILROOM_ETCD_URL": self.etcd_url,
            "MAILROOM_REDIS_URL": self.redis_url,
        }

    def start_mongod(self) -> Child:
        return self._start_mongod(passwords.mongod_options(self.folder, self._password))

    def _start_mongod(self, more: list[str]) -> Child:
        data = _folder(self.folder / "mongo")
        self.mongod = self._child(
            "mongod",
            [str(binaries.find(binaries.MONGOD)), "--dbpath", str(data), "--port", str(self.ports.mongo)]
            + ["--bind_ip", "127.0.0.1", "--replSet", _REPLICA_SET, "--wiredTigerCacheSizeGB", "1"]
            + ["--setParameter", "diagnosticDataCollectionEnabled=false", "--nounixsocket", "--quiet"]
            # A killed process leaves its open transaction behind, with locks on its lanes, for this long.
            + ["--setParameter", f"transactionLifetimeLimitSeconds={TRANSACTION_S}"]
            # A look for what is due passes over every dispatch that was claimed within this window (300 s by default).
            + ["--setParameter", f"minSnapshotHistoryWindowInSeconds={HISTORY_S}"]
            # Files of dropped collections stay open for this long. After 200 databases within the ten minutes that are
            # usual, mongod had no descriptor left, and ended.
            + ["--setParameter", f"wiredTigerFileHandleCloseIdleTime={_IDLE_FILE_S}"]
            # Every mail changes a page of a dozen indexes. With the default (5 % of the cache, small as it is) a page
            # is written again and again between two checkpoints.
            + ["--wiredTigerEngineConfigString", "eviction_dirty_target=20,eviction_dirty_trigger=40"]
            + more,
        )
        return self.mongod

    def start_etcd(self) -> Child:
        data = _folder(self.folder / "etcd")
        peer, client = f"http://127.0.0.1:{self.ports.etcd_peer}", f"http://127.0.0.1:{self.ports.etcd}"
        self.etcd = self._child(
            "etcd",
            [str(binaries.find(binaries.ETCD)), "--name", "local", "--data-dir", str(data)]
            + ["--listen-client-urls", client, "--advertise-client-urls", client]
            + ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
            + ["--initial-cluster", f"local={peer}", "--force-new-cluster=false"]
            + ["--auto-compaction-mode", "periodic", "--auto-compaction-retention", "1h", "--log-level", "warn"],
        )
        return self.etcd

    def start_redis(self) -> Child:
        data = _folder(self.folder / "redis")
        self.redis = self._child(
            "redis",
            [str(binaries.find(binaries.REDIS)), *passwords.redis_options(self.folder, self._password)]
            + ["--dir", str(data), "--port", str(self.ports.redis)]
            + ["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""],
        )
        return self.redis

    def wait_until_healthy(self) -> None:
        """Raises ChildFailed. They are asked in turn, so that mongod elects itself while etcd starts."""
        wait_until_all(
            [
                (child, healthy)
                for child, healthy in (
                    (self.mongod, lambda: self._mongod_is_primary(self._password)),
                    (self.etcd, self._etcd_answers),
                    (self.redis, self._redis_answers),
                )
                if child is not None
            ],
            timeout_s=START_S,
        )

    def children(self) -> list[Child]:
        return [child for child in (self.redis, self.etcd, self.mongod) if child is not None]

    def stop(self) -> None:
        """All ended, mongod last; their data stays in the folder."""
        for child in self.children():
            child.stop(grace_s=STOP_S)
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _child(self, name: str, command: list[str]) -> Child:
        return Child(name, command, log=self.folder / "logs" / f"{name}.log", inherits=[self._lock.fd])

    def _redis_answers(self) -> bool:
        try:
            with Redis.from_url(self.redis_url, socket_timeout=1) as client:
                return bool(client.ping())
        except RedisError:
            return False

    def _etcd_answers(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.ports.etcd}/health"
            with urllib.request.urlopen(url, timeout=1) as answer:
                healthy = bool(json.load(answer).get("health") == "true")
            return healthy and passwords.asked_by_etcd(f"127.0.0.1:{self.ports.etcd}", self._password)
        except (OSError, ValueError):
            return False

    def _mongod_is_primary(self, password: str) -> bool:
        url = f"mongodb://127.0.0.1:{self.ports.mongo}/?directConnection=true"
        if not _listens(self.ports.mongo):  # a client would look again only after half a second
            return False
        try:
            client: MongoClient[dict[str, Any]] = MongoClient(url, serverSelectionTimeoutMS=500)
            with client:
                hello = client.admin.command("hello")
                if hello.get("isWritablePrimary"):
                    return passwords.asked_by_mongod(client, password)
                if not hello.get("setName"):
                    self._form_replica_set(client, password)
                return False
        except PyMongoError:
            return False

    def _make_user_of_old_data(self) -> None:
        """Make the first user while mongod asks for no password yet. A replica set that moves to another port elects no
        primary until it gets a new configuration, which mongod takes only from a user that it knows."""
        child = self._start_mongod([])
        child.wait_until(lambda: self._mongod_is_primary(""), timeout_s=START_S)
        child.wait_until(lambda: self._mongod_is_primary(self._password), timeout_s=START_S)
        child.stop(grace_s=STOP_S)

    def _form_replica_set(self, client: MongoClient[dict[str, Any]], password: str) -> None:
        member = {"_id": 0, "host": f"127.0.0.1:{self.ports.mongo}"}
        try:
            client.admin.command("replSetInitiate", {"_id": _REPLICA_SET, "members": [member], "settings": _ELECTIONS})
        except OperationFailure:
            # Data from an earlier start under another port: the set knows its one member by its old address.
            with passwords.signed_in(client, password) as known:
                config = known.admin.command("replSetGetConfig")["config"]
                config["members"], config["version"] = [member], config["version"] + 1
                config["settings"] |= _ELECTIONS  # an earlier version waited longer
                known.admin.command("replSetReconfig", config, force=True)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
