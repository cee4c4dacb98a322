"""Redis as all of this package uses it: a client whose calls are bounded in time, and the Lua scripts beside it."""

import contextlib
from collections.abc import Iterator
from importlib import resources
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError

from mailroom.domain.errors import Unavailable

_CALL_S: Final = 3.0
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


@contextlib.contextmanager
def redis_answers() -> Iterator[None]:
    """Says Unavailable where Redis does not answer."""
    try:
        yield
    except RedisError as error:
        raise Unavailable(f"Redis did not answer: {type(error).__name__} {error}") from error
