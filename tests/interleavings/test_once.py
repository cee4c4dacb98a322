"""Each mail goes out once, whoever is killed, frozen or left without an answer, and at whatever step.

The steps of real senders, from taking a lane to settling a doubt, run on stand-ins for the servers; a director decides
what happens next (director.py). No schedule may break the promise (world.py: `check_now`, `_check`, and the provider's
own record), and each fault that is planted on purpose must be found by the same exploration.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.interleavings import bugs
from tests.interleavings.director import EVERYTHING, Menu
from tests.interleavings.exploring import Share, explore
from tests.interleavings.menus import ANSWERS, DECISIVE, PROCESSES, UNDRAINED
from tests.interleavings.world import World


@pytest.mark.parametrize("share", [Share(number, 4) for number in range(4)], ids=str)
@pytest.mark.parametrize("menu", [PROCESSES, ANSWERS, Menu.STALL | Menu.FREEZE], ids=["processes", "answers", "delays"])
def test_no_schedule_with_two_deviations_sends_twice_or_loses(menu: Menu, share: Share) -> None:
    explored = explore(lambda choose: World(choose, menu, near=DECISIVE), deviations=2, most=625, share=share)

    print(f"{explored.tried} schedules")
    assert not explored.found, explored.found


@pytest.mark.parametrize("sizes", [(2,), (1, 1)], ids=["one dispatch of two", "two dispatches"])
@pytest.mark.parametrize("daring", [0.04, 0.15])
def test_no_random_schedule_sends_twice_or_loses(sizes: tuple[int, ...], daring: float) -> None:
    explored = explore(lambda choose: World(choose, sizes=sizes), deviations=0, walks=400, daring=daring)

    assert not explored.found, explored.found


def test_whatever_the_lag_of_the_providers_log_nothing_goes_out_twice() -> None:
    for lag_s in (0, 1, 60):
        explored = explore(lambda choose, lag_s=lag_s: World(choose, lag_s=lag_s), deviations=0, walks=150, daring=0.08)

        assert not explored.found, explored.found


@dataclass(frozen=True)
class Planted:
    """A fault, what it is switched on with, and where it is looked for."""

    name: str
    world: dict[str, Any] = field(default_factory=dict)
    switched_on: Callable[[], AbstractContextManager[Any]] = nullcontext
    deviations: int = 2
    menu: Menu = EVERYTHING
    near: tuple[str, ...] = ("",)
    seen_as: tuple[str, ...] = ("twice", "its fence says released")


PLANTED = [
    Planted("every crossing goes", {"fences": bugs.EveryCrossingGoes}),
    Planted(
        "anyone releases, by a late release",
        {"fences": bugs.AnyoneReleases},
        deviations=3,
        menu=Menu.LOSE | Menu.LATE,
        near=("redis", "provider"),
    ),
    Planted(
        "anyone releases, by a frozen sender",
        {"fences": bugs.AnyoneReleases},
        deviations=3,
        menu=Menu.REFUSE | Menu.FREEZE,
        near=("redis", "provider: call"),
    ),
    Planted("doubts are judged at once", switched_on=bugs.doubts_are_judged_at_once),
    Planted(
        "no control is asked for",
        switched_on=bugs.no_control_is_asked_for,
        menu=Menu.CALLS | Menu.EMPTY,
        near=("provider",),
    ),
    Planted("reconnects inside an attempt", {"connection": bugs.Reconnecting}),
    Planted(
        "tokens are not checked",
        {"fences": bugs.NoTokenAsked},
        bugs.tokens_are_not_checked,
        menu=Menu.FREEZE | Menu.SWITCH,
        near=DECISIVE,
    ),
    Planted(
        "the heartbeat revives a lease that was given up",
        {"leases": bugs.Revives},
        bugs.keys_are_compared_after_an_error_alone,
        deviations=3,
        menu=Menu.BEAT | Menu.LOSE | Menu.REFUSE,
        near=("etcd: grant", "provider: call"),
        seen_as=UNDRAINED,
    ),
    Planted(
        "nobody compares what a lease holds with what is in hand",
        switched_on=bugs.nobody_compares_keys_with_hands,
        menu=Menu.LATE | Menu.LOSE,
        near=("etcd",),
        seen_as=UNDRAINED,
    ),
]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_fault_is_found(planted: Planted) -> None:
    with planted.switched_on():
        explored = explore(
            lambda choose: World(choose, planted.menu, near=planted.near, **planted.world),
            deviations=planted.deviations,
            most=3_000,
        )

    assert explored.found, f"not found in {explored.tried} schedules"
    assert any(words in explored.found.why for words in planted.seen_as)
    print(f"found in schedule {explored.tried}:", *explored.found.deviations, sep="\n  ")


@pytest.mark.parametrize("planted", [p for p in PLANTED if p.near != ("",)], ids=lambda planted: planted.name)
def test_where_a_fault_is_looked_for_there_is_none_without_it(planted: Planted) -> None:
    explored = explore(lambda choose: World(choose, planted.menu, near=planted.near), deviations=2, most=400)

    assert not explored.found, explored.found


def test_a_bug_that_a_sender_would_log_and_survive_is_found() -> None:
    with bugs.a_duty_of_the_loop_raises():
        explored = explore(lambda choose: World(choose, Menu(0)), deviations=0)

    assert explored.found
    assert "duty_failed" in explored.found.why
