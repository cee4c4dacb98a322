"""How often a sender looks for lanes that want work."""

import pytest

from sender.lanes import AHEAD, pause_of_looks


def test_a_look_that_finds_nothing_is_followed_at_leisure_and_one_that_finds_something_at_once() -> None:
    assert pause_of_looks(0.0, found=False) == 0.5
    assert pause_of_looks(0.0, found=True) == 0.1


def test_slow_looks_take_a_tenth_of_the_time() -> None:
    assert pause_of_looks(0.1, found=True) == pytest.approx(0.9)


def test_after_a_look_that_the_store_held_up_the_next_one_still_comes_before_what_is_due() -> None:
    """A mongod that is killed, or stands still, holds up a look for seconds; it is no reason to look away for as many
    minutes, while instants pass and are skipped as misfires."""
    assert pause_of_looks(15.0, found=False) < AHEAD.total_seconds()
