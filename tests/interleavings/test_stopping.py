"""Once it is answered that all sending is stopped, no fence is crossed; and nothing is lost or doubled by a stop."""

from tests.interleavings import bugs
from tests.interleavings.director import EVERYTHING, Menu
from tests.interleavings.exploring import explore
from tests.interleavings.world import World

NEAR = ("redis", "transaction", "holds")


def test_no_schedule_crosses_a_fence_after_the_answer() -> None:
    menu = Menu.SWITCH | Menu.CRASH | Menu.STALL
    explored = explore(lambda choose: World(choose, menu, near=NEAR, stops=True), deviations=2, most=500)

    assert not explored.found, explored.found


def test_no_random_schedule_does_whatever_is_lost_or_forgotten() -> None:
    explored = explore(
        lambda choose: World(choose, EVERYTHING, sizes=(1, 1), stops=True), deviations=0, walks=120, daring=0.1
    )

    assert not explored.found, explored.found


def test_a_fence_that_heeds_no_hold_is_found() -> None:
    explored = explore(
        lambda choose: World(choose, Menu.SWITCH, near=NEAR, stops=True, fences=bugs.NoHoldHeeded),
        deviations=2,
        most=3_000,
    )

    assert explored.found, f"not found in {explored.tried} schedules"
    assert "after it was answered" in explored.found.why
    print(f"found in schedule {explored.tried}:", *explored.found.deviations, sep="\n  ")
