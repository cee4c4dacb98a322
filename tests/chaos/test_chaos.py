"""The short form of `make chaos`, and its negative controls."""

import importlib
from pathlib import Path

import pytest

from tests.chaos.__main__ import run
from tests.chaos.controls import CONTROLS, doubles
from tests.chaos.points import POINTS, Point


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_every_step_at_which_chaos_kills_is_there(point: Point) -> None:
    """A sender that is armed with another one dies at its start, and is taken for one that was killed."""
    module, _, name = point.owner.partition(":")
    owner = importlib.import_module(module)

    assert callable(getattr(getattr(owner, name) if name else owner, point.function))


@pytest.mark.timeout(170)
def test_nothing_is_doubled_lost_or_unknown_while_everything_is_broken(tmp_path: Path) -> None:
    found = run(tmp_path, seed=4, schedules=8, recipients=100, mails=60, least_faults=40, senders=3, most_s=45.0)

    assert found.asked > 500
    assert (found.doubled, found.lost, found.unknown) == ([], [], [])


@pytest.mark.parametrize("control", CONTROLS)
def test_a_promise_that_is_switched_off_makes_doubles(control: str, tmp_path: Path) -> None:
    assert doubles(control, tmp_path, broken=True) > 0


def test_a_sender_that_was_overtaken_sends_nothing(tmp_path: Path) -> None:
    assert doubles("fence", tmp_path, broken=False) == 0
