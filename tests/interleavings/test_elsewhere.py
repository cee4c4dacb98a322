"""A mail that may go elsewhere goes twice at most, once by each provider, and what is told of it is true. Beside it, a
mail that waits goes out once."""

import pytest

from tests.interleavings import bugs
from tests.interleavings.director import Menu
from tests.interleavings.elsewhere_world import ElsewhereWorld
from tests.interleavings.exploring import explore
from tests.interleavings.menus import ANSWERS, DECISIVE, PROCESSES, UNDRAINED


@pytest.mark.parametrize("menu", [PROCESSES | Menu.CALLS, ANSWERS], ids=["processes", "answers"])
def test_no_schedule_sends_by_one_provider_twice(menu: Menu) -> None:
    explored = explore(lambda choose: ElsewhereWorld(choose, menu, both=False, near=DECISIVE), deviations=2, most=250)

    assert not explored.found, explored.found


@pytest.mark.parametrize("daring", [0.04, 0.15])
def test_no_random_schedule_sends_by_one_provider_twice(daring: float) -> None:
    explored = explore(lambda choose: ElsewhereWorld(choose, ~Menu(0)), deviations=0, walks=80, daring=daring)

    assert not explored.found, explored.found


def test_a_dispatch_that_is_tried_again_after_its_mail_went_elsewhere_is_found() -> None:
    with bugs.what_went_elsewhere_is_tried_again():
        explored = explore(
            lambda choose: ElsewhereWorld(choose, Menu.CALLS, both=False, near=DECISIVE), deviations=2, most=250
        )

    assert explored.found, f"not found in {explored.tried} schedules"
    assert any(words in explored.found.why for words in UNDRAINED)  # the dispatch's own condition refuses the write
