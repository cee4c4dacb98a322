"""The planner's steps: in which lanes it takes its turn, how much it composes, and what ends it."""

from collections import Counter

import pytest

from mailroom.domain.ids import Lane
from mailroom.domain.lane_names import schedule_lane
from mailroom.storage.cluster import restore_mark
from mailroom.storage.holds import OnHold
from tests.support.planned import note_composed, runs_of
from tests.support.planning import LARGE, Planning
from tests.support.system import wait_for


def test_it_takes_its_turn_only_in_lanes_in_which_something_is_to_be_planned(planning: Planning) -> None:
    large, small = planning.begin(LARGE), planning.begin(10)
    planning.hold(10)

    planning.steps()

    asked = Counter(frozenset(lanes) for lanes in planning.turns.asked)
    assert asked == {frozenset({schedule_lane(large)}): 3, frozenset({schedule_lane(small)}): 1}
    assert (planning.placed(large), planning.placed(small)) == (LARGE, 10)


def test_of_two_large_runs_one_is_planned_to_its_end_and_each_chunk_is_composed_once(
    planning: Planning, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed = note_composed(monkeypatch)
    first, second = planning.begin(LARGE), planning.begin(LARGE)

    planning.steps()

    assert [run.schedule_id for run in composed] == [first] * 3 + [second] * 3


def test_while_a_large_run_yields_the_next_one_is_planned_and_no_chunk_is_composed_twice(
    planning: Planning, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed = note_composed(monkeypatch)
    first, second = planning.begin(LARGE), planning.begin(LARGE)

    assert planning.planner.step()
    assert planning.planner.step()  # nobody has claimed anything meanwhile
    assert (planning.placed(first), planning.placed(second)) == (1_000, 1_000)
    planning.claim()
    planning.steps()

    assert Counter(run.schedule_id for run in composed) == {first: 3, second: 3}


def test_a_large_run_on_hold_comes_after_all_others(planning: Planning) -> None:
    held, other = planning.begin(LARGE), planning.begin(LARGE)
    (run,) = runs_of(planning.db, held)
    planning.guard.on_hold = OnHold(runs={run.id: held})

    for _ in range(3):
        planning.planner.step()
        planning.claim()

    assert (planning.placed(held), planning.placed(other)) == (0, LARGE)


def test_a_lane_is_active_from_the_beginning_of_its_turn(planning: Planning) -> None:
    lane = schedule_lane(planning.begin(10))
    idle: list[list[Lane]] = []
    planning.turns.while_planning = lambda: idle.append(planning.in_flight.idle_lanes(before=1.0))

    planning.steps()

    assert idle == [[lane]]
    assert planning.in_flight.idle_lanes(before=1.0) == []


def test_after_a_chunk_of_a_run_on_hold_it_yields_to_nobody(planning: Planning) -> None:
    schedule = planning.begin(LARGE)
    (run,) = runs_of(planning.db, schedule)
    planning.guard.on_hold = OnHold(runs={run.id: schedule})

    while planning.planner.step():
        pass

    assert planning.placed(schedule) == LARGE
    assert planning.since == []


def test_after_a_chunk_that_may_go_it_tells_from_when_on_and_yields(planning: Planning) -> None:
    schedule = planning.begin(LARGE)

    assert planning.planner.step()
    assert not planning.planner.step()

    assert planning.placed(schedule) == 1_000
    assert planning.since == [min(doc["not_before"] for doc in planning.db.dispatches.find())]


def test_once_it_was_told_to_end_it_takes_no_further_turn(planning: Planning) -> None:
    large, small = planning.begin(LARGE), planning.begin(10)
    planning.turns.while_planning = planning.planner.end  # while the batch of small runs is stored

    assert planning.planner.step()

    assert (planning.placed(large), planning.placed(small)) == (0, 10)


def test_a_chunk_is_not_stored_into_a_mongodb_that_was_restored_meanwhile(planning: Planning) -> None:
    """It was put right already: its mark is above the one that was seen, but what was read before may be lost."""
    schedule = planning.begin(10)

    def put_right() -> None:
        restore_mark.raise_mark(planning.db, remembers=True)

    planning.turns.while_planning = put_right

    planning.planner.step()

    assert (planning.placed(schedule), planning.rechecks, planning.broken) == (0, [True], [])


def test_an_error_that_nobody_foresaw_does_not_end_it(planning: Planning, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sender.planner._AWAY_S", 0.01)
    monkeypatch.setattr("sender.planner._NO_LANES_S", 0.01)
    schedule, reads, read = planning.begin(10), [0], planning.planner._clocks.read

    def fails_once() -> object:
        reads[0] += 1
        if reads[0] == 1:
            raise RuntimeError("a bug")
        return read()

    monkeypatch.setattr(planning.planner._clocks, "read", fails_once)
    planning.planner.start()

    wait_for(lambda: planning.placed(schedule) == 10, within_s=10, what="it goes on")
    assert planning.planner.alive
    planning.planner.end()
    planning.planner.finish(within_s=5)
    assert not planning.planner.alive
