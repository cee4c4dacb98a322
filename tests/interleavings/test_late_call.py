"""A schedule that once broke the promise: a doubt that is marked earlier than its fence was crossed.

All waiting is counted from that mark, so the time is read after the fences. Here the loop of s2 waits 15 s for a store
before it takes a lane; meanwhile s1, still the holder, crosses at 4 s and freezes.
"""

from datetime import timedelta

from tests.interleavings.director import START
from tests.interleavings.exploring import Told
from tests.interleavings.provider import IDLE_LIMIT_S
from tests.interleavings.world import World

_SECOND_DUE_S = 4


def a_late_call_of_a_frozen_sender() -> tuple[World, Told]:
    """s1 wakes in the last moment in which its connection lives, and its request is on its way for as long as it may
    be. Returns the world, and the course that it is to take."""
    told = Told(
        "s2.loop goes before s1.loop before  etcd: grant",
        "stall of s2.loop before  etcd: take lanes",
        "d00000, attempt 1  accepted, the answer is lost",  # so that s1 opens another connection for the second
        "freeze of s1.caller before  provider: call for run-1-d00001",
        "thaw of s1",
        "d00001, attempt 1  on its way for long",
    )

    def choose(options: list[str]) -> int:
        too_early = told.left[:1] == ["thaw of s1"] and world.director.now < _SECOND_DUE_S + IDLE_LIMIT_S
        return 0 if too_early else told(options)

    world = World(choose, sizes=(1, 1))
    world.db.dispatches.docs["run-1-d00001"]["not_before"] = START + timedelta(seconds=_SECOND_DUE_S)
    return world, told


def test_a_doubt_is_not_marked_earlier_than_its_fence_was_crossed() -> None:
    world, told = a_late_call_of_a_frozen_sender()

    world.run()

    assert not told.left, f"the schedule went another way: {told.left}"
