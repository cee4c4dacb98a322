"""A MongoDB replica set and an etcd cluster of three members each, and a Redis master with two replicas under three
Sentinels, as processes of this machine.

Each member stands behind a proxy, under whose port the others and all clients know it: so a member can be killed,
frozen, or cut off from everybody while its process lives.
"""

import json
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from local import binaries
from local.children import Child, ChildFailed
from local.folder_lock import FolderLock, lock_folder
from local.ports import free_port
from local.servers import HISTORY_S, START_S, TRANSACTION_S, Ports, Servers
from tests.chaos.proxy import Proxy, Way
from tests.support.member import Member
from tests.support.sentinels import Sentinels

MEMBERS: Final = 3
_SET: Final = "mailroom"
_ASK_S: Final = 2.0
_ALREADY_INITIALIZED: Final = 23


class Clusters(Servers):
    """In the place of the three servers."""

    def __init__(self, folder: Path, ports: Ports, lock: FolderLock, password: str) -> None:
        super().__init__(folder, ports, lock, password)
        self.mongo = [self._mongo_member(number) for number in range(MEMBERS)]
        self.etcds = [self._etcd_member(number) for number in range(MEMBERS)]
        self.sentinels = Sentinels(folder, self._child, servers=MEMBERS)

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Nothing of it started."""
        return cls(folder, Ports(), lock_folder(folder), "")

    @property
    def members(self) -> list[Member]:
        return [*self.mongo, *self.etcds, *self.sentinels.members]

    def others(self, member: Member) -> list[Member]:
        return [other for other in self.members if other.store == member.store and other is not member]

    @property
    def mongo_url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{member.ways[0].port}" for member in self.mongo)
        return f"mongodb://{hosts}/?replicaSet={_SET}"

    @property
    def etcd_ports(self) -> list[int]:
        return [member.ways[0].port for member in self.etcds]

    @property
    def etcd_url(self) -> str:
        return ",".join(f"http://127.0.0.1:{port}" for port in self.etcd_ports)

    @property
    def redis_url(self) -> str:
        return self.sentinels.url

    def start_mongod(self) -> Child:
        for member in self.mongo:
            member.start()
        self._form_set()
        return self.mongo[0].child

    def start_etcd(self) -> Child:
        for member in self.etcds:
            member.start()
        return self.etcds[0].child

    def start_redis(self) -> Child:
        self.sentinels.start()
        return self.sentinels.members[0].child

    def wait_until_healthy(self) -> None:
        for store in (self.mongo, self.etcds, self.sentinels.members):
            self.wait_until_well(store)

    def wait_until_well(self, members: Sequence[Member], *, within_s: float = START_S) -> None:
        """Until each of these follows a leader, or leads. Raises ChildFailed."""
        deadline = time.monotonic() + within_s
        while missing := [member for member in members if not member.is_well()]:
            if time.monotonic() > deadline:
                names = ", ".join(f"{member.store}-{member.number}" for member in missing)
                raise ChildFailed(f"not well within {within_s:.0f} s: {names}\n{missing[0].child.tail()}")
            time.sleep(0.1)

    def leader(self, store: str) -> Member | None:
        return next((member for member in self.members if member.store == store and member.is_leader()), None)

    def step_down(self, primary: Member) -> None:
        """As a person does it, with all members of the replica set alive."""
        with _direct(primary.port) as client:
            client.admin.command("replSetStepDown", 10, secondaryCatchUpPeriodSecs=1)

    def cut_off(self, member: Member, way: Way) -> None:
        """From everybody, whoever connects."""
        for proxy in member.ways:
            proxy.way = way
        for other in self.others(member):
            other.shut_out([member.child.pid])

    def let_in(self, member: Member) -> None:
        for proxy in member.ways:
            proxy.way = Way.OPEN
        for other in self.others(member):
            other.shut_out(())

    def children(self) -> list[Child]:
        started = [member.child for member in reversed(self.members) if hasattr(member, "child")]
        return [*self.sentinels.watchers, *started]

    def stop(self) -> None:
        """At once: nobody needs their data any more."""
        self.sentinels.stop()
        for member in (*self.mongo, *self.etcds):
            member.close()
        self._lock.close()

    def _mongo_member(self, number: int) -> Member:
        port = free_port()
        return Member("mongo", number, port, self._start_mongo, _mongo_leads, _mongo_is_well, [Proxy(port)])

    def _etcd_member(self, number: int) -> Member:
        port, peer = free_port(), free_port()
        ways = [Proxy(port), Proxy(peer)]
        return Member(
            "etcd", number, port, lambda member: self._start_etcd(member, peer), _etcd_leads, etcd_is_well, ways
        )

    def _start_mongo(self, member: Member) -> Child:
        data = self.folder / f"mongo-{member.number}"
        data.mkdir(parents=True, exist_ok=True)
        return self._child(
            f"mongod-{member.number}",
            [str(binaries.find(binaries.MONGOD)), "--dbpath", str(data), "--port", str(member.port)]
            + ["--bind_ip", "127.0.0.1", "--replSet", _SET, "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "200"]
            + ["--setParameter", "diagnosticDataCollectionEnabled=false", "--nounixsocket", "--quiet"]
            + ["--setParameter", f"transactionLifetimeLimitSeconds={TRANSACTION_S}"]
            + ["--setParameter", f"minSnapshotHistoryWindowInSeconds={HISTORY_S}"],
        )

    def _start_etcd(self, member: Member, peer: int) -> Child:
        data = self.folder / f"etcd-{member.number}"
        client, others = member.ways[0].port, member.ways[1].port
        peers = ",".join(f"m{each.number}=http://127.0.0.1:{each.ways[1].port}" for each in self.etcds)
        return self._child(
            f"etcd-{member.number}",
            [str(binaries.find(binaries.ETCD)), "--name", f"m{member.number}", "--data-dir", str(data)]
            + ["--listen-client-urls", f"http://127.0.0.1:{member.port}"]
            + ["--advertise-client-urls", f"http://127.0.0.1:{client}"]
            + ["--listen-peer-urls", f"http://127.0.0.1:{peer}"]
            + ["--initial-advertise-peer-urls", f"http://127.0.0.1:{others}", "--initial-cluster", peers]
            + ["--auto-compaction-mode", "periodic", "--auto-compaction-retention", "1h", "--log-level", "error"],
        )

    def _form_set(self) -> None:
        members = [{"_id": m.number, "host": f"127.0.0.1:{m.ways[0].port}"} for m in self.mongo]
        settings = {"electionTimeoutMillis": 1_500, "heartbeatIntervalMillis": 500, "heartbeatTimeoutSecs": 2}
        config = {"_id": _SET, "members": members, "settings": settings}
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            try:
                with _direct(self.mongo[0].port) as client:
                    client.admin.command("replSetInitiate", config)
                    return
            except OperationFailure as error:
                if error.code == _ALREADY_INITIALIZED:
                    return
                time.sleep(0.2)
            except PyMongoError:
                time.sleep(0.2)
        raise ChildFailed("the replica set was not formed")


def _direct(port: int) -> MongoClient[dict[str, Any]]:
    return MongoClient(
        f"mongodb://127.0.0.1:{port}/?directConnection=true",
        serverSelectionTimeoutMS=int(_ASK_S * 1000),
        socketTimeoutMS=int(_ASK_S * 1000),
    )


def _mongo_leads(port: int) -> bool:
    with _direct(port) as client:
        return bool(client.admin.command("hello").get("isWritablePrimary"))


def _mongo_is_well(port: int) -> bool:
    with _direct(port) as client:
        seen = client.admin.command("replSetGetStatus")["members"]
    states = [member["stateStr"] for member in seen]
    return states.count("PRIMARY") == 1 and states.count("SECONDARY") == MEMBERS - 1


def _etcd_leads(port: int) -> bool:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/v3/maintenance/status", data=b"{}")
    with urllib.request.urlopen(asked, timeout=_ASK_S) as answer:
        status = json.load(answer)
    return bool(status["leader"] == status["header"]["member_id"])


def etcd_is_well(port: int, *, within_s: float = _ASK_S) -> bool:
    """It has a quorum: else it cannot say so."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=within_s) as answer:
        return bool(json.load(answer)["health"] == "true")
