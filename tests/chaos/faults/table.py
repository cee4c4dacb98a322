"""All faults, and how often each is chosen."""

from collections.abc import Callable
from typing import Final

from tests.chaos.faults import mailboxes, providers, restoring, senders, stores
from tests.chaos.world import World

# How often each is chosen, in parts.
ALL: Final[dict[str, tuple[Callable[[World], int], int]]] = {
    "wire: the provider misbehaves": (providers.wire, 30),
    "wire: the second provider misbehaves": (providers.backup_wire, 10),
    "wire: the first provider is down": (providers.primary_down, 4),
    "the first provider is well again": (providers.primary_well, 25),
    "providers are reordered": (providers.reorder, 4),
    "a sender is killed at a step": (senders.point, 60),
    "a sender is killed": (senders.kill_sender, 6),
    "a sender is told to stop": (senders.stop_sender, 3),
    "a sender is frozen, shorter than its lease": (senders.freeze_shortly, 4),
    "a sender is frozen beyond its lease": (senders.freeze_beyond_lease, 3),
    "a sender is frozen beyond the idle limit": (senders.freeze_beyond_idle_limit, 2),
    "a sender is frozen at a step": (senders.freeze_at_point, 4),
    "mongod is killed": (stores.kill_mongod, 2),
    "etcd is killed": (stores.kill_etcd, 2),
    "redis is killed": (stores.kill_redis, 2),
    "a store stands still": (stores.freeze_store, 2),
    "a sender is cut off from a store": (senders.cut_off, 3),
    "a sender's way to a store hangs": (senders.hang_way, 3),
    "redis is emptied": (stores.empty_redis, 1),
    "redis is replaced by a stale copy": (stores.stale_redis, 1),
    "leases are lost": (senders.lose_lease, 3),
    "a host's clock is wrong": (senders.move_clock, 1),
    "mongodb and etcd are put back to copies": (restoring.restore, 1),
    "the mailbox server is killed": (mailboxes.kill_mailbox_server, 8),
    "the mailbox server stands still": (mailboxes.freeze_mailbox_server, 3),
    "a mailbox is read by two senders": (mailboxes.lose_mailbox_lease, 12),
}
# These need a mailbox.
OF_MAILBOXES: Final = frozenset(
    ["the mailbox server is killed", "the mailbox server stands still", "a mailbox is read by two senders"]
)
# These take a store away from everybody, where it is one server.
OF_SINGLE_STORES: Final = frozenset(
    [
        *("mongod is killed", "etcd is killed", "redis is killed", "a store stands still"),
        *("redis is replaced by a stale copy", "mongodb and etcd are put back to copies"),
    ]
)
# These may be done while a member of a cluster is away: they take a second or two.
QUICK: Final = frozenset(
    [
        *("wire: the provider misbehaves", "wire: the second provider misbehaves", "a sender is killed at a step"),
        *("a sender is killed", "a sender is frozen, shorter than its lease", "leases are lost"),
    ]
)


def in_parts(world: World) -> dict[str, int]:
    """The faults that there can be in this world, and how often each is chosen."""
    return {name: parts for name, (_, parts) in ALL.items() if world.mailbox is not None or name not in OF_MAILBOXES}
