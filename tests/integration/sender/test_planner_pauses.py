"""When the planner looks next, and what it tells between two chunks."""

from datetime import timedelta

from mailroom.domain.lane_names import schedule_lane
from mailroom.services.planning import plan
from mailroom.storage.database import server_now
from tests.support.planning import LARGE, Planning


def test_small_runs_are_announced_before_the_chunk_of_a_large_one_is_written(planning: Planning) -> None:
    large = planning.begin(LARGE)
    planning.begin(10)
    placed: list[int] = []
    planning.planner._planned = lambda _since: placed.append(planning.placed(large))

    planning.planner.step()

    assert placed == [0, 1_000]


def test_the_next_look_is_at_the_next_due_instant_of_a_held_schedule(planning: Planning) -> None:
    soon, later = planning.hold(1), planning.hold(1)
    now = server_now(planning.db)
    for schedule, after_s in ((soon, 0.1), (later, 0.2)):
        at = now + timedelta(seconds=after_s)
        planning.db.schedules.update_one({"_id": schedule}, {"$set": {"next_run_at": at}})

    pause = plan.until_next_due(planning.db, [soon, later], now=now, most=timedelta(seconds=0.25))

    assert pause == timedelta(seconds=0.1)


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
