"""Faults of the two providers, and of their order."""

import contextlib
import time
from typing import Final

import requests

from tests.chaos.world import World

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
