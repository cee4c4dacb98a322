"""Redis fails over, with or without its last write, and the old master answers for a minute still: whoever speaks to
which of the two, at each step anew, each mail goes out once and a stop is a stop.
"""

from collections.abc import Sequence

from tests.interleavings import bugs
from tests.interleavings.director import Choose, Menu
from tests.interleavings.exploring import Told, explore
from tests.interleavings.fences import MemoryFences
from tests.interleavings.world import World

NEAR = ("redis", "provider: call")
WHO = Menu.SWITCH | Menu.CRASH | Menu.FREEZE | Menu.FAIL_OVER


def test_no_schedule_with_a_fail_over_and_another_deviation_sends_twice_or_loses() -> None:
    explored = explore(lambda choose: World(choose, WHO, near=NEAR), deviations=2, most=1_500)

    print(f"{explored.tried} schedules")
    assert not explored.found, explored.found


def test_no_random_schedule_with_a_fail_over_does() -> None:
    for sizes in ((2,), (1, 1)):
        explored = explore(
            lambda choose, sizes=sizes: World(choose, WHO | Menu.LATE, sizes=sizes, near=(*NEAR, "transaction")),
            deviations=0,
            walks=300,
            daring=0.15,
        )

        assert not explored.found, explored.found


def test_no_schedule_crosses_a_fence_after_the_answer_to_a_stop() -> None:
    explored = explore(
        lambda choose: World(choose, WHO, near=(*NEAR, "holds"), stops=True), deviations=0, walks=300, daring=0.12
    )

    assert not explored.found, explored.found


def test_a_fail_over_that_is_not_noticed_is_found() -> None:
    """The replica had not been told of a crossing, and its sender is gone."""
    explored = explore(
        lambda choose: World(choose, Menu.CRASH | Menu.FAIL_OVER, near=NEAR, fences=bugs.SameIdentity),
        deviations=2,
        most=3_000,
    )

    assert explored.found, f"not found in {explored.tried} schedules"
    assert "twice" in explored.found.why
    print(f"found in schedule {explored.tried}:", *explored.found.deviations, sep="\n  ")


def stopped_at_another_master() -> str:
    """s1 has claimed at the old master; a person stops all sending at the new one. Returns what broke."""
    told = Told(
        "Redis fails over, s1.loop before  etcd: take lanes",
        "person-3.hand goes before s1.fencer before  redis: cross",
        "person-3.hand  redis: mirror hold  at the other master",
    )
    explored = explore(lambda _: World(told, WHO, stops=True), deviations=0, most=1)
    assert not told.left, f"the schedule went another way: {told.left}"
    return explored.found.why if explored.found else ""


def test_a_stop_at_one_master_is_not_answered_while_a_claim_may_cross_at_another() -> None:
    assert stopped_at_another_master() == ""


def test_and_would_be_answered_if_it_believed_any_redis() -> None:
    with bugs.a_stop_believes_any_redis():
        assert "after it was answered" in stopped_at_another_master()


def overtaken_at_another_master(fences: type[MemoryFences]) -> str:
    """s1 sleeps between its claim and its crossing. s2 takes the lane at the new master, judges at the old one, and
    crosses at the new one. When it has called, s1 wakes up, connected to the old one, and its other threads are quicker
    than its heartbeat. Returns what broke."""
    told = Told(
        "freeze of s1.fencer before  redis: cross",
        "Redis fails over, s2.loop before  etcd: take lanes",
        "s2.loop  redis: enter  at the other master",
        "s2.loop  redis: judge  at the other master",
        "s2.fencer  redis: cross  at the other master",
        "thaw of s1",
        " goes before s1.loop before  etcd: keep alive",
    )
    worlds: list[World] = []

    def choose(options: Sequence[str]) -> int:
        too_early = told.left[:1] == ["thaw of s1"] and not worlds[0].provider.accepted
        return 0 if too_early else told(options)

    def make(_: Choose) -> World:
        worlds.append(World(choose, WHO, fences=fences))
        return worlds[0]

    explored = explore(make, deviations=0, most=1)
    assert not told.left, f"the schedule went another way: {told.left}"
    return explored.found.why if explored.found else ""


def test_a_holder_that_entered_its_lane_at_one_master_judges_by_another_one() -> None:
    assert overtaken_at_another_master(MemoryFences) == ""


def test_and_would_send_twice_if_its_token_were_not_recorded_where_it_reads() -> None:
    assert "twice" in overtaken_at_another_master(bugs.ReadsAsAnybody)
