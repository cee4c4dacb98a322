"""Faults of the stores: each is one server here."""

import shutil
import signal
import time
from collections.abc import Callable

from local.children import Child
from mailroom.coordination.redis_client import connect
from tests.chaos.world import World


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


def _kill(world: World, child: Child | None, start: Callable[[], Child]) -> int:
    assert child is not None
    child.kill()
    time.sleep(world.rng.uniform(0, 2))
    start()
    world.servers.wait_until_healthy()
    return 1
