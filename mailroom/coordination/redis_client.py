"""The Redis client of this package: calls are bounded in time; the Lua scripts lie in the folder beside it."""

import contextlib
import copy
import threading
from collections.abc import Iterator
from importlib import resources
from typing import Any, Final
from weakref import WeakSet

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import (
    AskError,
    ClusterCrossSlotError,
    ClusterDownError,
    ConnectionError,
    MasterDownError,
    RedisError,
    TimeoutError,
)
from redis.retry import Retry
from redis.sentinel import Sentinel

from mailroom.coordination.redis_url import SentinelUrl, sentinel_url
from mailroom.domain.errors import TakesNoWrites, Unavailable
from mailroom.watching import stores

_CALL_S: Final = 3.0
_ASK_SENTINEL_S: Final = 1.0
TRY_S: Final = 2.0  # for a test write
_TRIED: Final = "mailroom:tried"
_TRIED_KEPT_MS: Final = 60_000
_HEALTH_S: Final = 15  # a connection that was idle for longer is checked before use


def connect(url: str, *, call_s: float = _CALL_S) -> Redis:
    """A client that connects at its first use. Thread-safe; its answers are strings.

    It repeats nothing: a call that was not answered raises an error after `call_s`, and no client of this process then
    uses a connection again that was idle. With a Sentinel URL each new connection goes to the master that the Sentinels
    name at that moment. A connection that stands may still lead to a master that was replaced: who relies on more
    compares Redis' identity (lua/redis_identity.lua) within the call.
    """
    bounds: dict[str, Any] = {
        "socket_timeout": call_s,
        "socket_connect_timeout": call_s,
        "decode_responses": True,
        "health_check_interval": _HEALTH_S,
        "retry": Retry(NoBackoff(), 0),
    }
    named = sentinel_url(url)
    made = Redis.from_url(url, **bounds) if named is None else _connect_by_sentinels(named, bounds)
    _pools.add(made.connection_pool)
    return made


class _Pools:
    """The connections of all clients of this process. A frozen master closes none of them: without this, each client
    would wait for it once, one after the other. Thread-safe."""

    def __init__(self) -> None:
        self._pools: WeakSet[ConnectionPool] = WeakSet()
        self._lock = threading.Lock()

    def add(self, pool: ConnectionPool) -> None:
        with self._lock:
            self._pools.add(pool)

    def close_idle(self) -> None:
        with self._lock:
            pools = list(self._pools)
        for pool in pools:
            pool.disconnect(inuse_connections=False)


_pools: Final = _Pools()


def _connect_by_sentinels(url: SentinelUrl, bounds: dict[str, Any]) -> Redis:
    of_servers: dict[str, Any] = dict(parse_url(url.server))  # type: ignore[no-untyped-call]
    del of_servers["host"]
    tls = {name: value for name, value in of_servers.items() if name.startswith("ssl_")}
    if of_servers.pop("connection_class", None) is not None:  # for TLS; the pool has its own
        tls["ssl"] = of_servers["ssl"] = True
    ask_s = min(_ASK_SENTINEL_S, bounds["socket_timeout"])
    times = {"socket_timeout": ask_s, "socket_connect_timeout": ask_s, "retry": Retry(NoBackoff(), 0)}
    of_sentinels = {"username": url.username, "password": url.password, **times, **tls}
    sentinels = _Sentinels(url.sentinels, sentinel_kwargs=of_sentinels)  # type: ignore[no-untyped-call]
    master: Redis = sentinels.master_for(url.service, **of_servers, **bounds)  # type: ignore[no-untyped-call]
    return master


class _Sentinels(Sentinel):
    """The library moves the Sentinel that answered to the front of its list, and loses one of the others when two
    threads do so at once. Here each thread changes a list of its own, and the last one stays."""

    def discover_master(self, service_name: str) -> Any:
        asked = copy.copy(self)
        asked.sentinels = list(self.sentinels)
        found = super(_Sentinels, asked).discover_master(service_name)  # type: ignore[no-untyped-call]
        self.sentinels = asked.sentinels
        return found


def scripts(redis: Redis, *names: str) -> list[Any]:
    """The Lua scripts of these names, as callables."""
    folder = resources.files("mailroom.coordination") / "lua"
    return [redis.register_script((folder / f"{name}.lua").read_text()) for name in names]


# Reasons for refused writes, by a part of Redis' error; errors of scripts contain it too.
_REFUSALS: Final = {
    "command not allowed when used memory": "its memory is full (maxmemory)",
    "against a read only replica": "it is a read-only replica",
    "NOREPLICAS": "fewer replicas are in reach than min-replicas-to-write asks for",
    "MISCONF": "it cannot write to its disk",
    "no permissions to run": "its user may not write",
    "replica-serve-stale-data": "it is a replica that has lost its master",
}
_OF_CLUSTERS: Final = (AskError, ClusterCrossSlotError, ClusterDownError)


@contextlib.contextmanager
def redis_answers(redis: Redis) -> Iterator[None]:
    """A round trip to Redis. Raises TakesNoWrites if Redis refuses to write, and Unavailable if it does not answer."""
    try:
        with stores.timed(stores.REDIS):
            yield
    except RedisError as error:
        stores.failed(stores.REDIS)
        why = _why_refused(error)
        if why is None:
            if isinstance(error, ConnectionError | TimeoutError):
                _pools.close_idle()
            raise Unavailable(f"Redis did not answer: {type(error).__name__} {error}") from error
        # The address may lead to another server now; an old connection would stay with the demoted server.
        redis.connection_pool.disconnect(inuse_connections=False)
        raise TakesNoWrites("Redis", why) from error


def _why_refused(error: RedisError) -> str | None:
    if isinstance(error, _OF_CLUSTERS) and not isinstance(error, MasterDownError):
        return "it is a Redis Cluster, with which Mailroom does not work"
    return next((why for refusal, why in _REFUSALS.items() if refusal in str(error)), None)


class RedisWrites:
    """Tests whether Redis takes a write, over a connection of its own with a short time-out."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url, call_s=TRY_S)

    def check(self) -> None:
        """Raises TakesNoWrites, Unavailable."""
        with redis_answers(self._redis):
            self._redis.set(_TRIED, "1", px=_TRIED_KEPT_MS)

    def close(self) -> None:
        self._redis.close()
