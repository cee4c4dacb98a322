"""The planner's steps: in which lanes it takes its turn, how much it composes, and what ends it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from mailroom.domain.ids import Lane, ScheduleId
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.shares import NO_SHARES
from mailroom.services.planning import asked_runs
from mailroom.storage.cluster import restore_mark
from mailroom.storage.cluster.restore_mark import NEVER_RESTORED
from mailroom.storage.database import Db, server_now
from mailroom.storage.holds import NOTHING_HELD, OnHold
from sender.in_flight import InFlight
from sender.lane_turns import LaneTurns, Turn
from sender.planner import Planner
from tests.support.builders import recipients, stored_schedule
from tests.support.planned import hold, note_composed, runs_of
from tests.support.system import wait_for

LARGE = 2_500  # recipients: three chunks


class Turns(LaneTurns):
    """Notes what planning asks for. `while_planning` is called while it has its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[set[Lane]] = []
        self.while_planning: Callable[[], None] = lambda: None

    def plan_in(self, lanes: Iterable[Lane]) -> Turn:
        self.asked.append(set(lanes))
        turn = super().plan_in(self.asked[-1])
        self.while_planning()
        return turn


class Planning:
    """A planner with the lanes that it holds, and what it said of its work."""

    def __init__(self, db: Db) -> None:
        self.db, self.in_flight, self.turns = db, InFlight(), Turns()
        self.guard: Any = SimpleNamespace(
            is_fresh=True, seen=NEVER_RESTORED, on_hold=NOTHING_HELD, recheck=lambda: self.rechecks.append(True)
        )
        services: Any = SimpleNamespace(
            db=db,
            shares=NO_SHARES,
            adapters={"mailgun": SimpleNamespace(max_recipients=1_000)},
            settings=SimpleNamespace(sending=SimpleNamespace(batch_size=100)),
        )
        self.since: list[datetime] = []
        self.broken: list[Lane] = []
        self.rechecks: list[bool] = []
        self.planner = Planner(
            services, self.in_flight, self.guard, self.turns, planned=self.since.append, broken=self.broken.append
        )

    def hold(self, count: int) -> ScheduleId:
        """A schedule with so many recipients, in a held lane, that has nothing to plan."""
        schedule = stored_schedule(self.db, recipients=recipients(count))
        tokens = {schedule_lane(id_): token for id_, token in hold(self.db, schedule.id).items()}
        self.in_flight.take_lanes(tokens, at=0.0)
        return schedule.id

    def begin(self, count: int) -> ScheduleId:
        """As `hold`, with a run to plan."""
        schedule = self.hold(count)
        asked_runs.run_now(self.db, schedule, owner="tests", key=schedule)
        return schedule

    def steps(self) -> None:
        """Step until nothing is left to plan. What was planned is claimed after each step."""
        while self.planner.step():
            self.claim()

    def claim(self) -> None:
        """Claim in all lanes that planning has asked for: it yields none of them any more."""
        self.turns.claim_in(set().union(*self.turns.asked)).end()

    def placed(self, schedule: ScheduleId) -> int:
        return sum(run.placed for run in runs_of(self.db, schedule))


@pytest.fixture
def planning(db: Db, monkeypatch: pytest.MonkeyPatch) -> Iterator[Planning]:
    """On a machine of any speed: what was composed ahead stays fresh, and what is yielded is yielded until a claim."""
    monkeypatch.setattr("mailroom.services.planning.composing._FRESH_S", 60.0)
    monkeypatch.setattr("sender.lane_turns._YIELD_S", 60.0)
    planning = Planning(db)
    yield planning
    planning.planner.end()
    planning.planner._ahead.shutdown()


def test_it_takes_its_turn_only_in_lanes_in_which_something_is_to_be_planned(planning: Planning) -> None:
    large, small = planning.begin(LARGE), planning.begin(10)
    planning.hold(10)

    planning.steps()

    asked = Counter(frozenset(lanes) for lanes in planning.turns.asked)
    assert asked == {frozenset({schedule_lane(large)}): 3, frozenset({schedule_lane(small)}): 1}
    assert (planning.placed(large), planning.placed(small)) == (LARGE, 10)


def test_small_runs_are_announced_before_the_chunk_of_a_large_one_is_written(planning: Planning) -> None:
    large = planning.begin(LARGE)
    planning.begin(10)
    placed: list[int] = []
    planning.planner._planned = lambda _since: placed.append(planning.placed(large))

    planning.planner.step()

    assert placed == [0, 1_000]


def test_without_work_it_looks_again_at_the_next_due_instant_of_a_held_lane(planning: Planning) -> None:
    soon, later = planning.hold(1), planning.hold(1)
    at = server_now(planning.db) + timedelta(seconds=0.2)
    planning.db.schedules.update_one({"_id": soon}, {"$set": {"next_run_at": at}})
    planning.db.schedules.update_one({"_id": later}, {"$set": {"next_run_at": at + timedelta(hours=1)}})

    assert not planning.planner.step()

    assert 0 < planning.planner._pause_s < 0.2


def test_without_anything_due_it_looks_four_times_a_second(planning: Planning) -> None:
    planning.hold(1)

    assert not planning.planner.step()

    assert planning.planner._pause_s == 0.25


def test_what_did_not_get_its_turn_is_looked_at_again_soon(planning: Planning) -> None:
    schedule = planning.begin(1)
    claiming = planning.turns.claim_in([schedule_lane(schedule)])

    assert not planning.planner.step()

    assert planning.planner._pause_s == 0.05
    claiming.end()


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
