"""Faults of one sender at a time, or of all their leases."""

import contextlib
import signal
import time
from pathlib import Path

from local.children import Child
from mailroom.coordination.etcd import Etcd
from mailroom.domain.errors import Unavailable
from tests.chaos.proxy import Way
from tests.chaos.world import IDLE_LIMIT_S, World


def point(world: World) -> int:
    """Senders that are armed kill themselves at a step; new ones are started in their place."""
    armed = next((sender for sender in world.senders if sender.point is None and not sender.steady), None)
    if armed is not None:
        armed.child.kill()
        return 1
    wait_until = time.monotonic() + 2
    while time.monotonic() < wait_until:
        if died := world.keep_senders():
            return died
        time.sleep(0.05)
    # It was armed with a point that nobody passes at the moment: let it try another one.
    world.rng.choice(world.senders).child.kill()
    return 1


def kill_sender(world: World) -> int:
    """SIGKILL at any moment."""
    world.any_sender().child.kill()
    return 1


def stop_sender(world: World) -> int:
    """SIGTERM: it drains."""
    world.any_sender().child.stop(grace_s=10)
    return 1


def freeze_shortly(world: World) -> int:
    """SIGSTOP for less than the lease."""
    return _freeze(world, world.rng.uniform(0.2, 1.2))


def freeze_beyond_lease(world: World) -> int:
    """SIGSTOP for longer than the lease, and less than the provider's idle limit."""
    return _freeze(world, world.lease_ttl_s + 0.7)


def freeze_beyond_idle_limit(world: World) -> int:
    """SIGSTOP for longer than lease and idle limit."""
    return _freeze(world, IDLE_LIMIT_S + 1.5)


def freeze_at_point(world: World) -> int:
    """A sender that stops itself at a step, beyond its lease, and goes on there."""
    name = world._next_point()
    sender = world.start_sender(point=name, CHAOS_SIGNAL="SIGSTOP")
    world.senders.append(sender)
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline and not is_stopped(sender.child):
        time.sleep(0.05)
    time.sleep(world.lease_ttl_s + 0.7)
    sender.signal(signal.SIGCONT)
    time.sleep(0.3)
    world.senders.remove(sender)
    sender.child.stop(grace_s=8)
    return 1


def cut_off(world: World) -> int:
    """One sender cannot reach one store, the others can."""
    return _block(world, Way.CUT)


def hang_way(world: World) -> int:
    """Between one sender and one store nothing passes, though connections stand."""
    return _block(world, Way.FROZEN)


def lose_lease(world: World) -> int:
    """Somebody revokes every sender's lease in etcd; none of them is told."""
    client = Etcd(world.system.settings.stores.etcd_urls)
    revoked = 0
    with contextlib.suppress(Unavailable):
        for kv in client.range("/mailroom/senders/").kvs:
            client.revoke(kv.lease)
            revoked += 1
    client.close()
    return max(revoked, 1)


def move_clock(world: World) -> int:
    """A sender on a host whose clock is wrong by an hour or a day, either way, works beside the others for a while."""
    offset = world.rng.choice((-86_400, -3_600, -5, 5, 3_600, 86_400))
    sender = world.start_sender(CHAOS_CLOCK=str(offset))
    time.sleep(3)
    sender.child.stop(grace_s=8)
    return 1


def _freeze(world: World, seconds: float) -> int:
    sender = world.any_sender()
    sender.signal(signal.SIGSTOP)
    time.sleep(seconds)
    sender.signal(signal.SIGCONT)
    return 1


def is_stopped(child: Child) -> bool:
    """True while SIGSTOP holds it."""
    try:
        return Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def _block(world: World, way: Way) -> int:
    ways = world.any_sender().ways
    chosen = ways[world.rng.choice(sorted(ways))]
    for proxy in chosen:
        proxy.way = way
    time.sleep(world.rng.uniform(1, 4))
    for proxy in chosen:
        proxy.way = Way.OPEN
    return 1
