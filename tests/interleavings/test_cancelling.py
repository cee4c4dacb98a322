"""A cancelled run gets no new dispatch, whatever its planner is doing at that moment."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from mailroom.services.planning import plan
from tests.interleavings import bugs
from tests.interleavings.director import EVERYTHING
from tests.interleavings.exploring import explore
from tests.interleavings.planning_world import PlanningWorld


@pytest.fixture(autouse=True)
def small_chunks() -> Iterator[None]:
    with patch.object(plan, "CHUNK_RECIPIENTS", 3):
        yield


def test_no_schedule_gives_a_cancelled_run_a_new_dispatch() -> None:
    explored = explore(lambda choose: PlanningWorld(choose, EVERYTHING), deviations=1, walks=520)

    assert not explored.found, explored.found


def test_a_chunk_that_is_not_bound_to_its_runs_state_is_found() -> None:
    with bugs.chunks_are_written_whatever_the_run_is():
        explored = explore(lambda choose: PlanningWorld(choose, EVERYTHING), deviations=2, most=2_000)

    assert explored.found, f"not found in {explored.tried} schedules"
    assert "the run was cancelled" in explored.found.why
    print(f"found in schedule {explored.tried}:", *explored.found.deviations, sep="\n  ")
