"""Redis as all of this package uses it: a client whose calls are bounded in time, and the Lua scripts beside it."""

import contextlib
from collections.abc import Iterator
from importlib import resources
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError

from mailroom.domain.errors import TakesNoWrites, Unavailable

_CALL_S: Final = 3.0
TRY_S: Final = 2.0  # for a write that is only tried
_TRIED: Final = "mailroom:tried"
_TRIED_KEPT_MS: Final = 60_000
_HEALTH_S: Final = 15  # a connection that was idle for so long is looked at before it is used


def connect(url: str) -> Redis:
    """Opens nothing until it is used. Thread-safe; what it tells are strings."""
    return Redis.from_url(
        url,
        socket_timeout=_CALL_S,
        socket_connect_timeout=_CALL_S,
        decode_responses=True,
        health_check_interval=_HEALTH_S,
    )


def scripts(redis: Redis, *names: str) -> list[Any]:
    """The Lua scripts of these names, to be called."""
    folder = resources.files("mailroom.coordination") / "lua"
    return [redis.register_script((folder / f"{name}.lua").read_text()) for name in names]


# Why Redis refuses to write, by a part of its error that scripts' errors contain too.
_REFUSALS: Final = {
    "command not allowed when used memory": "its memory is full (maxmemory)",
    "against a read only replica": "it is a read-only replica",
    "NOREPLICAS": "fewer replicas are in reach than min-replicas-to-write asks for",
    "MISCONF": "it cannot write to its disk",
    "no permissions to run": "its user may not write",
}


@contextlib.contextmanager
def redis_answers(redis: Redis) -> Iterator[None]:
    """Raises TakesNoWrites if Redis refuses to write, and Unavailable if it does not answer."""
    try:
        yield
    except RedisError as error:
        words = str(error)
        why = next((why for refusal, why in _REFUSALS.items() if refusal in words), None)
        if why is None:
            raise Unavailable(f"Redis did not answer: {type(error).__name__} {words}") from error
        # The address may lead to another server by now: an old connection would stay with the demoted one.
        redis.connection_pool.disconnect(inuse_connections=False)
        raise TakesNoWrites("Redis", why) from error


class RedisWrites:
    """Tries whether Redis takes a write, over a connection of its own that waits for no more than a moment."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url, socket_timeout=TRY_S, socket_connect_timeout=TRY_S, decode_responses=True)

    def check(self) -> None:
        """Raises TakesNoWrites, Unavailable."""
        with redis_answers(self._redis):
            self._redis.set(_TRIED, "1", px=_TRIED_KEPT_MS)

    def close(self) -> None:
        self._redis.close()
