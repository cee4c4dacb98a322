"""How far back MongoDB and Redis remember."""

from mailroom.coordination.mirror import Mirror
from mailroom.services.operations.restore import CLOCKS_APART
from mailroom.storage.cluster import restore_mark
from tests.support.system import System


def is_remembered(system: System) -> bool:
    """True once MongoDB has come clearly further than Redis' last loss of memory: of what happens after a copy that is
    made now, Redis will know."""
    mirror = Mirror(system.servers.redis_url, of=system.db.name)
    since, (_, marked_at) = mirror.memory_since(), restore_mark.mark(system.db)
    mirror.close()
    return marked_at is not None and marked_at > since + CLOCKS_APART
