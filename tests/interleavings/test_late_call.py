"""A schedule that once broke the promise: a doubt that is marked earlier than its fence was crossed.

All waiting is counted from that mark, so the time is read after the fences. Here the pump of s2 waits 15 s for a store
before it takes a lane; meanwhile s1, still the holder, crosses at 4 s and freezes.
"""

from datetime import timedelta

from tests.interleavings.exploring import Told
from tests.interleavings.provider import IDLE_LIMIT_S
from tests.interleavings.world import START, World

_SECOND_DUE_S = 4


def a_late_call_of_a_frozen_sender() -> World:
    """s1 wakes in the last moment in which its connection lives, and its request is on its way for as long as it may
    be."""
    told = Told(
        "s2.pump goes before s1.pump before  etcd: grant",
        "stall of s2.pump before  etcd: take lanes",
        "d00000, attempt 1  accepted, the answer is lost",  # so that s1 opens another connection for the second
        "freeze of s1.line before  provider: call for run-1-d00001",
        "thaw of s1",
        "d00001, attempt 1  on its way for long",
    )

    def choose(options: list[str]) -> int:
        too_early = told.left[:1] == ["thaw of s1"] and world.director.now < _SECOND_DUE_S + IDLE_LIMIT_S
        return 0 if too_early else told(options)

    world = World(choose, sizes=(1, 1))
    world.db.dispatches.docs["run-1-d00001"]["not_before"] = START + timedelta(seconds=_SECOND_DUE_S)
    return world


def test_a_doubt_is_not_marked_earlier_than_its_fence_was_crossed() -> None:
    a_late_call_of_a_frozen_sender().run()
