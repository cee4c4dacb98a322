"""Figures of the stores are read seldom, and never make `/metrics` wait for long."""

import threading
import time
from typing import Final

from mailroom.domain.errors import Unavailable
from mailroom.services.operations.system_figures import Figures, SystemFigures

SHOWN: Final[Figures] = {"mailroom_held": {(): 0.0}}
FRESH, OLD = {(): 1.0}, {(): 0.0}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Store:
    """Counts how often it is read."""

    def __init__(self) -> None:
        self.reads, self.away = 0, False

    def __call__(self) -> Figures:
        self.reads += 1
        if self.away:
            raise Unavailable("away")
        return SHOWN


def test_the_store_is_read_once_in_five_seconds_however_often_it_is_asked() -> None:
    store, clock = Store(), Clock()
    figures = SystemFigures(store, monotonic=clock)

    shown = [figures.look() for _ in range(20)]
    clock.now += 5.1
    figures.look()

    assert store.reads == 2
    assert shown == [{**SHOWN, "mailroom_figures_fresh": FRESH}] * 20


def test_figures_of_a_store_that_went_away_are_shown_for_half_a_minute_and_then_left_out() -> None:
    store, clock = Store(), Clock()
    figures = SystemFigures(store, monotonic=clock)
    figures.look()
    store.away = True

    clock.now += 29
    still = figures.look()
    clock.now += 2
    gone = figures.look()

    assert still == {**SHOWN, "mailroom_figures_fresh": FRESH}
    assert gone == {"mailroom_figures_fresh": OLD}


def test_a_store_that_hangs_delays_each_look_by_two_seconds_and_is_asked_once() -> None:
    hanging, reads = threading.Event(), []

    def hangs() -> Figures:
        reads.append(1)
        hanging.wait(20)
        return SHOWN

    figures = SystemFigures(hangs)
    began = time.monotonic()

    first, second = figures.look(), figures.look()

    took = time.monotonic() - began
    hanging.set()
    assert (first, second) == ({"mailroom_figures_fresh": OLD},) * 2
    assert took < 6
    assert len(reads) == 1
