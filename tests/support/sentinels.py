"""A Redis master with replicas, and three Sentinels that watch them, as processes of this machine.

Each server stands behind a proxy. It is killed, frozen, cut off from everybody, or from the Sentinels and the other
servers alone: then it goes on as a master that does not know that it was replaced.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from local import binaries
from local.children import Child
from local.ports import free_port
from tests.chaos.proxy import Proxy
from tests.support.member import Member
from tests.support.system import wait_for

NAME: Final = "mailroom"
_SENTINELS: Final = 3
_ASK_S: Final = 2.0
_START_S: Final = 30.0
_DOWN_AFTER_MS: Final = 1_200

Start = Callable[[str, list[str]], Child]  # a name, and a command


class Sentinels:
    """`start` starts all of it; then `url` leads to the master of the moment."""

    def __init__(self, folder: Path, start_child: Start, *, servers: int = 3, password: str = "") -> None:
        self._folder, self._start_child, self._password = folder, start_child, password
        self.ports = [free_port() for _ in range(_SENTINELS)]
        self.watchers: list[Child] = []
        self.members = [self._member(number, servers) for number in range(servers)]

    @classmethod
    def of(cls, folder: Path, **rest: Any) -> Self:
        """With logs of its own. Nothing of it is started."""
        return cls(folder, lambda name, command: Child(name, command, log=folder / "logs" / f"{name}.log"), **rest)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return self.url_of(self.ports)

    def url_of(self, sentinel_ports: list[int]) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in sentinel_ports)
        password = quote(self._password, safe="")
        secret, asked = (f":{password}@", f"?sentinel_password={password}") if password else ("", "")
        return f"redis+sentinel://{secret}{hosts}/{NAME}/0{asked}"

    def start(self) -> None:
        """Returns when every Sentinel knows all of the others and all servers."""
        for member in self.members:
            member.start()
        wait_for(lambda: all(member.is_well() for member in self.members), within_s=_START_S, what="replicas follow")
        self.watchers = [self._start_sentinel(number) for number in range(_SENTINELS)]
        for port, watcher in zip(self.ports, self.watchers, strict=True):
            watcher.wait_until(partial(self._knows_all, port), timeout_s=_START_S)

    @property
    def master(self) -> Member:
        """The server that the Sentinels name, all of them."""
        return wait_for(self._named_by_all, within_s=_START_S, what="the Sentinels agree on a master")

    def others(self, member: Member) -> list[Member]:
        return [other for other in self.members if other is not member]

    def fail_over(self) -> None:
        """As a person does it, with all servers alive."""
        was = self.master
        wait_for(self._begins_to_fail_over, within_s=_START_S, what="a replica can be promoted")
        self.wait_for_another(was)
        self.wait_until_well()

    def _begins_to_fail_over(self) -> bool:
        """False while the Sentinel has not heard of a replica for long: on a busy machine, after a start."""
        with self.client(self.ports[0]) as sentinel:
            try:
                sentinel.execute_command("SENTINEL", "FAILOVER", NAME)
            except ResponseError as error:
                if "NOGOODSLAVE" in str(error):
                    return False
                raise
        return True

    def part(self, master: Member) -> None:
        """Cut a master off from the Sentinels and the other servers; its clients stay with it."""
        processes = [watcher.pid for watcher in self.watchers] + [other.child.pid for other in self.others(master)]
        master.shut_out(processes)

    def heal(self, master: Member) -> None:
        master.shut_out(())

    def wait_for_another(self, was: Member) -> Member:
        """The master that the Sentinels name in the place of this one."""
        wait_for(lambda: self._named_by_all() not in (None, was), within_s=_START_S, what="another master")
        return self.master

    def wait_until_well(self, *, within_s: float = 60.0) -> None:
        """Until one server leads, and all others follow it."""
        wait_for(lambda: all(member.is_well() for member in self.members), within_s=within_s, what="all follow one")

    def client(self, port: int) -> Redis:
        """Of a server or a Sentinel, at its own port."""
        return _client(port, self._password)

    def stop(self) -> None:
        """At once: nobody needs their data any more."""
        for watcher in self.watchers:
            watcher.kill()
        for member in self.members:
            member.close()

    def _member(self, number: int, servers: int) -> Member:
        port = free_port()

        def leads(port: int) -> bool:
            return self._replication(port)["role"] == "master"

        def well(port: int) -> bool:
            told = self._replication(port)
            if told["role"] == "master":
                return bool(told["connected_slaves"] == servers - 1)
            return bool(told["master_link_status"] == "up")

        return Member("redis", number, port, self._start_server, leads, well, [Proxy(port)])

    def _start_server(self, member: Member) -> Child:
        folder = self._folder / f"redis-{member.number}"
        first = self.members[0].ways[0].port
        if not folder.exists():
            folder.mkdir(parents=True)
            lines = [
                *(f"port {member.port}", "bind 127.0.0.1", f"dir {folder}"),
                *("appendonly yes", "appendfsync everysec", 'save ""'),
                *("repl-diskless-sync yes", "repl-diskless-sync-delay 0", "repl-ping-replica-period 1"),
                *("replica-announce-ip 127.0.0.1", f"replica-announce-port {member.ways[0].port}"),
                *([f"requirepass {self._password}", f"masterauth {self._password}"] if self._password else []),
                *([f"replicaof 127.0.0.1 {first}"] if member.number else []),
            ]
            (folder / "redis.conf").write_text("\n".join(lines) + "\n")
        # A fail-over changes the file: who is started again knows whom it follows.
        return self._start_child(f"redis-{member.number}", [_server(), str(folder / "redis.conf")])

    def _start_sentinel(self, number: int) -> Child:
        folder = self._folder / f"sentinel-{number}"
        folder.mkdir(parents=True)
        first = self.members[0].ways[0].port
        secret = self._password
        lines = [
            *(f"port {self.ports[number]}", "bind 127.0.0.1", f"dir {folder}"),
            f"sentinel monitor {NAME} 127.0.0.1 {first} {_SENTINELS // 2 + 1}",
            f"sentinel down-after-milliseconds {NAME} {_DOWN_AFTER_MS}",
            f"sentinel failover-timeout {NAME} 4000",
            f"sentinel parallel-syncs {NAME} 2",
            *([f"requirepass {secret}", f"sentinel auth-pass {NAME} {secret}"] if secret else []),
        ]
        (folder / "sentinel.conf").write_text("\n".join(lines) + "\n")
        return self._start_child(f"sentinel-{number}", [_server(), str(folder / "sentinel.conf"), "--sentinel"])

    def _knows_all(self, port: int) -> bool:
        return self._asked(port, lambda told: _is_whole(told, len(self.members))) is True

    def _named_by_all(self) -> Member | None:
        """The server that all living Sentinels name, if they name the same one and it says so too."""
        living = [port for port, child in zip(self.ports, self.watchers, strict=True) if child.alive()]
        named = {self._asked(port, lambda told: int(told["port"])) for port in living}
        if len(named) != 1:
            return None
        found = next((member for member in self.members if member.ways[0].port in named), None)
        return found if found and found.is_leader() else None

    def _asked(self, port: int, read: Callable[[Any], Any]) -> Any:
        """What is read in a Sentinel's words about the master; None without an answer."""
        try:
            with self.client(port) as sentinel:
                return read(sentinel.sentinel_master(NAME))
        except (RedisError, OSError, ValueError, KeyError):
            return None

    def _replication(self, port: int) -> Any:
        with self.client(port) as redis:
            return redis.info("replication")


def _client(port: int, password: str) -> Redis:
    return Redis("127.0.0.1", port, password=password or None, socket_timeout=_ASK_S, decode_responses=True)


def _is_whole(told: Any, servers: int) -> bool:
    others, replicas = int(told["num-other-sentinels"]), int(told["num-slaves"])
    return others == _SENTINELS - 1 and replicas == servers - 1


def _server() -> str:
    return str(binaries.find(binaries.REDIS))
