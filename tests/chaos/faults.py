"""Every fault: how it is done, and how it is healed. Each function does one, and returns how many it injected.

A fault that takes a store away waits until it is back: what is tested is what happens meanwhile and afterwards.
"""

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import requests

from local.children import Child
from mailroom.coordination.etcd import Etcd
from mailroom.coordination.redis_client import connect
from mailroom.domain.errors import Unavailable
from tests.chaos.proxy import Way
from tests.chaos.world import IDLE_LIMIT_S, World
from tests.support.memory import is_remembered
from tests.support.system import wait_for

WIRE: Final = {
    **dict.fromkeys(("429", "500_before", "500_after", "drop_before", "drop_after", "hang_before", "hang_after"), 4),
    **dict.fromkeys(("plain_200", "cut_json_after", "500_part_after"), 4),
    **dict.fromkeys(("401", "404"), 1),  # a lane waits a minute for each of these
}


def wire(world: World) -> int:
    """The provider misbehaves with some of the next calls."""
    fault, times = world.rng.choices(list(WIRE), weights=list(WIRE.values()))[0], world.rng.randint(1, 4)
    world.system.simulator.fail_next(fault, times)
    time.sleep(0.1)
    return times


def backup_wire(world: World) -> int:
    """The second provider misbehaves with some of its next calls."""
    times = world.backup.misbehave(world.rng)
    time.sleep(0.1)
    return times


def primary_down(world: World) -> int:
    """The first provider answers errors for longer than it takes to open its circuit: the second one takes over."""
    world.system.simulator.fail_next("500_before", times=12)
    time.sleep(1.5)
    return 12


def primary_well(world: World) -> int:
    """It is well again, and somebody says so: it gets the new work from now on. Heals, and counts for nothing."""
    world.system.simulator.heal()
    with contextlib.suppress(requests.RequestException):
        world.system.call("PATCH", "/v1/providers/mailgun", json={"enabled": True})
    return 0


def reorder(world: World) -> int:
    """Somebody puts the providers in another order while mail goes out."""
    order = world.rng.sample(["mailgun", world.backup.name], 2)
    with contextlib.suppress(requests.RequestException):
        world.system.call("PUT", "/v1/providers", json={"order": order})
    return 1


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


def kill_mongod(world: World) -> int:
    return _kill(world, world.servers.mongod, world.servers.start_mongod)


def kill_etcd(world: World) -> int:
    return _kill(world, world.servers.etcd, world.servers.start_etcd)


def kill_redis(world: World) -> int:
    return _kill(world, world.servers.redis, world.servers.start_redis)


def freeze_store(world: World) -> int:
    """A store stands still for everybody."""
    child = world.rng.choice([world.servers.mongod, world.servers.etcd, world.servers.redis])
    assert child is not None
    child.process.send_signal(signal.SIGSTOP)
    time.sleep(world.rng.uniform(0.5, 3.5))
    child.process.send_signal(signal.SIGCONT)
    return 1


def cut_off(world: World) -> int:
    """One sender cannot reach one store, the others can."""
    return _block(world, Way.CUT)


def hang_way(world: World) -> int:
    """Between one sender and one store nothing passes, though connections stand."""
    return _block(world, Way.FROZEN)


def empty_redis(world: World) -> int:
    with connect(world.servers.redis_url) as redis:
        redis.flushall()
    return 1


def stale_redis(world: World) -> int:
    """Redis comes back from a copy that is some seconds old."""
    copy = world.folder / "redis-copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(world.servers.folder / "redis", copy)
    time.sleep(world.rng.uniform(1, 3))
    assert world.servers.redis is not None
    world.servers.redis.kill()
    shutil.rmtree(world.servers.folder / "redis")
    shutil.copytree(copy, world.servers.folder / "redis")
    world.servers.start_redis()
    world.servers.wait_until_healthy()
    return 1


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


def restore(world: World) -> int:
    """MongoDB and etcd are put back to copies; then, as the documents say, `doctor --after-restore`, and what was
    promised since the copy is asked for again with the same keys. The copy is of a time that Redis remembers: where
    both have forgotten, nobody can know, and Mailroom says so and waits for a person."""
    wait_for(lambda: is_remembered(world.system), within_s=60, what="MongoDB came further than Redis' last loss")
    with world.living.rest():
        copied_at = time.time()
        copies = _copy_stores(world)
    time.sleep(world.rng.uniform(3, 6))
    with world.living.rest():
        for name, child, start in _restorable(world):
            assert child is not None
            child.kill()
            shutil.rmtree(world.servers.folder / name)
            shutil.copytree(copies / name, world.servers.folder / name)
            start()
        world.servers.wait_until_healthy()
        world.living.put_back(copied_at)
    _after_restore(world)
    world.telling.tell_all_again()
    for mark, (_, answered) in list(world.asked.promised.items()):
        if answered >= copied_at - 1:
            wait_for(lambda mark=mark: world.asks.hand_in([mark]), within_s=60, what="the mail is promised again")
    for schedule, answered in list(world.asked.answered.items()):
        if answered >= copied_at - 1:
            wait_for(lambda schedule=schedule: world.asks.ask(schedule), within_s=60, what="the run is promised again")
    return 2


def _after_restore(world: World) -> None:
    said = ""

    def put_right() -> bool:
        nonlocal said
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", "doctor", "--after-restore"],
            env=world.system.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = done.stdout + done.stderr
        return done.returncode == 0

    try:
        wait_for(put_right, within_s=90, what="doctor --after-restore")
    except AssertionError as error:
        raise AssertionError(f"{error}; it said: {said}") from None


def _copy_stores(world: World) -> Path:
    copies = world.folder / "copies"
    shutil.rmtree(copies, ignore_errors=True)
    for name, child, start in _restorable(world):
        assert child is not None
        child.kill()
        shutil.copytree(world.servers.folder / name, copies / name)
        start()
    world.servers.wait_until_healthy()
    return copies


def _restorable(world: World) -> list[tuple[str, Child | None, Callable[[], Child]]]:
    servers = world.servers
    return [("mongo", servers.mongod, servers.start_mongod), ("etcd", servers.etcd, servers.start_etcd)]


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


def _kill(world: World, child: Child | None, start: Callable[[], Child]) -> int:
    assert child is not None
    child.kill()
    time.sleep(world.rng.uniform(0, 2))
    start()
    world.servers.wait_until_healthy()
    return 1


def _block(world: World, way: Way) -> int:
    ways = world.any_sender().ways
    chosen = ways[world.rng.choice(sorted(ways))]
    for proxy in chosen:
        proxy.way = way
    time.sleep(world.rng.uniform(1, 4))
    for proxy in chosen:
        proxy.way = Way.OPEN
    return 1


# How often each is chosen, in parts.
ALL: Final[dict[str, tuple[Callable[[World], int], int]]] = {
    "wire: the provider misbehaves": (wire, 30),
    "wire: the second provider misbehaves": (backup_wire, 10),
    "wire: the first provider is down": (primary_down, 4),
    "the first provider is well again": (primary_well, 25),
    "providers are reordered": (reorder, 4),
    "a sender is killed at a step": (point, 60),
    "a sender is killed": (kill_sender, 6),
    "a sender is told to stop": (stop_sender, 3),
    "a sender is frozen, shorter than its lease": (freeze_shortly, 4),
    "a sender is frozen beyond its lease": (freeze_beyond_lease, 3),
    "a sender is frozen beyond the idle limit": (freeze_beyond_idle_limit, 2),
    "a sender is frozen at a step": (freeze_at_point, 4),
    "mongod is killed": (kill_mongod, 2),
    "etcd is killed": (kill_etcd, 2),
    "redis is killed": (kill_redis, 2),
    "a store stands still": (freeze_store, 2),
    "a sender is cut off from a store": (cut_off, 3),
    "a sender's way to a store hangs": (hang_way, 3),
    "redis is emptied": (empty_redis, 1),
    "redis is replaced by a stale copy": (stale_redis, 1),
    "leases are lost": (lose_lease, 3),
    "a host's clock is wrong": (move_clock, 1),
    "mongodb and etcd are put back to copies": (restore, 1),
}
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
