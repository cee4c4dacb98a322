"""Faults of the mailbox that bounces come to, and of whoever reads it. Only where there is one."""

import contextlib
import time

from pymongo.errors import PyMongoError

from tests.chaos.world import World
from tests.support.dovecot import Dovecot


def kill_mailbox_server(world: World) -> int:
    """SIGKILL to it and its children, in the middle of whatever they do."""
    server = _server(world)
    server.kill()
    time.sleep(world.rng.uniform(0, 2))
    server.start()
    return 1


def freeze_mailbox_server(world: World) -> int:
    """It stands still, with the connections to it open."""
    with _server(world).frozen():
        time.sleep(world.rng.uniform(0.5, 3.5))
    return 1


def lose_mailbox_lease(world: World) -> int:
    """Whoever reads the mailbox is forgotten: another sender begins to read it at once, and the first one, if it still
    lives, goes on beside it."""
    with contextlib.suppress(PyMongoError):
        world.system.db.cluster.update_many({"_id": {"$regex": "^mailbox/"}}, {"$unset": {"holder": "", "until": ""}})
    return 1


def _server(world: World) -> Dovecot:
    assert world.mailbox is not None
    return world.mailbox
