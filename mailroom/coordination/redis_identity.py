"""Redis' identity, by which an emptied or replaced Redis is noticed.

One memory that has lost nothing has one identity, and no other memory ever has the same. A restart, a fail-over, a
replacement and an emptied Redis each make another one, and so does a server that was master, became a replica, and is
master again. Only a master tells it. While a fail-over goes on, the old and the new master may both answer for a time:
what was asked of one says nothing about the other. So whoever needs both an answer and the memory that it comes from
asks for the identity in the same transaction.

After a change, a missing fence proves nothing (`domain/dispatches/fences.py`). The fences are seeded again by
`services/dispatching/fences.py`, and a sender's lanes are entered again by `sender/lanes.py`.
"""

import secrets
from typing import Any, Final

from redis import Redis

from mailroom.coordination.redis_client import scripts

IDENTITY: Final = "mailroom:identity"  # a hash, see lua/redis_identity.lua


class Identity:
    """The question for the identity of the Redis behind one client."""

    def __init__(self, redis: Redis) -> None:
        (self._script,) = scripts(redis, "redis_identity")

    def ask(self, pipe: Any) -> None:
        """Put the question first in a transaction; its answer is a text."""
        self._script(keys=[IDENTITY], args=[secrets.token_hex(8)], client=pipe)
