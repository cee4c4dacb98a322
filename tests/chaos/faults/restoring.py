"""MongoDB and etcd are put back to copies, and the documents are followed."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from local.children import Child
from tests.chaos.stories import Gap
from tests.chaos.world import World
from tests.support.memory import is_remembered
from tests.support.system import wait_for


def restore(world: World) -> int:
    """Then, as the documents say, `doctor --after-restore`, and what was promised since the copy is asked for again
    with the same keys. The copy is of a time that Redis remembers: where both have forgotten, nobody can know, and
    Mailroom says so and waits for a person."""
    wait_for(lambda: is_remembered(world.system), within_s=60, what="MongoDB came further than Redis' last loss")
    with _at_rest(world):
        copied_at = time.time()
        copies = _copy_stores(world)
    time.sleep(world.rng.uniform(3, 6))
    with _at_rest(world):
        for name, child, start in _restorable(world):
            assert child is not None
            child.kill()
            shutil.rmtree(world.servers.folder / name)
            shutil.copytree(copies / name, world.servers.folder / name)
            start()
        world.servers.wait_until_healthy()
        # A second, for what was under way as the copy was made.
        world.gaps.append(gap := Gap(copied_at - 1, time.time()))
        for story in world.stories:
            story.put_back(gap)
    _after_restore(world)
    world.telling.tell_all_again()
    _ask_again(world, gap)
    return 2


def _at_rest(world: World) -> ExitStack:
    """No story changes anything meanwhile."""
    with ExitStack() as stack:
        for story in world.stories:
            stack.enter_context(story.at_rest)
        return stack.pop_all()


def _ask_again(world: World, gap: Gap) -> None:
    """With the same keys for what was promised since the copy."""
    for mark, (_, answered) in list(world.asked.promised.items()):
        if answered >= gap.copied_at:
            wait_for(lambda mark=mark: world.asks.hand_in([mark]), within_s=60, what="the mail is promised again")
    for schedule, answered in list(world.asked.answered.items()):
        if answered >= gap.copied_at:
            wait_for(lambda schedule=schedule: world.asks.ask(schedule), within_s=60, what="the run is promised again")
    for story in world.stories:
        story.ask_again(gap)


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
