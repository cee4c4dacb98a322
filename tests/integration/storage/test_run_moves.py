"""Every trigger in every state, on a real MongoDB: a run moves as MOVES says, or stays as it is."""

from dataclasses import replace

import pytest

from mailroom.domain.ids import AudienceId, RunId, ScheduleId
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.runs import MOVES, Run, RunKind, RunState, RunTrigger
from mailroom.storage import lanes
from mailroom.storage.database import Db, Session, in_transaction
from mailroom.storage.schedules import awaited_feeds, run_moves, run_planning, runs
from mailroom.storage.schedules.run_planning import Step
from tests.support.builders import NOW
from tests.support.planned import hold

SCHEDULE = ScheduleId("sch_1")


def stored_in(db: Db, state: RunState, **changes: object) -> Run:
    run = Run(
        id=RunId(f"{SCHEDULE}-{state}"),
        schedule_id=SCHEDULE,
        kind=RunKind.DUE,
        state=state,
        due_at=NOW,
        revision=1,
        audience=AudienceId("aud_1"),
        recipients=1,
        created_at=NOW,
    )
    run = replace(run, **changes)  # type: ignore[arg-type]
    in_transaction(db, lambda session: runs.add_many(db, [run], session=session))
    return run


def plan(db: Db, run: Run) -> None:
    """Write its last chunk."""
    held = {schedule_lane(id_): token for id_, token in hold(db, SCHEDULE).items()}

    def work(session: Session) -> None:
        with lanes.under(db, held, session) as guard:
            run_planning.advance(db, [Step(run, "bo@example.org", 1, 1, True)], now=NOW, guard=guard)

    in_transaction(db, work)


def skip(db: Db, run: Run) -> bool:
    held = {schedule_lane(id_): token for id_, token in hold(db, SCHEDULE).items()}

    def work(session: Session) -> bool:
        with lanes.under(db, held, session) as guard:
            return awaited_feeds.skip(db, run.id, "nothing new in its feed", guard=guard)

    return in_transaction(db, work)


def move(db: Db, trigger: RunTrigger, run: Run) -> None:
    match trigger:
        case RunTrigger.PLANNED:
            plan(db, run)
        case RunTrigger.FINISHED:
            run_moves.finish(db, [run.id], now=NOW)
        case RunTrigger.CANCELLED:
            in_transaction(db, lambda session: run_moves.cancel(db, run.id, now=NOW, session=session))
        case RunTrigger.REOPENED:
            run_moves.reopen(db, [run.id])
        case RunTrigger.SKIPPED:
            skip(db, run)


@pytest.mark.parametrize("trigger", list(RunTrigger))
def test_a_run_moves_as_the_table_says_and_not_otherwise(db: Db, trigger: RunTrigger) -> None:
    leaves, arrives = MOVES[trigger]
    seen, wanted = {}, {}
    for state in RunState:
        run = stored_in(db, state, awaits_feed=NOW if trigger is RunTrigger.SKIPPED else None)
        move(db, trigger, run)
        seen[state], wanted[state] = runs.get(db, run.id).state, arrives if state in leaves else state

    assert seen == wanted


def test_a_cancelled_run_stays_cancelled_when_the_rest_of_its_messages_is_written(db: Db) -> None:
    run = stored_in(db, RunState.CANCELLED, unwritten=True)

    plan(db, run)

    after = runs.get(db, run.id)
    assert (after.state, after.unwritten, after.placed) == (RunState.CANCELLED, False, 1)


def test_a_resent_run_is_cancelled_in_planning_without_writing_the_rest_down(db: Db) -> None:
    run = stored_in(db, RunState.PLANNING, source=RunId("sch_1-earlier"))

    move(db, RunTrigger.CANCELLED, run)

    after = runs.get(db, run.id)
    assert (after.state, after.unwritten) == (RunState.CANCELLED, False)


def test_a_run_in_planning_that_waits_for_no_feed_or_is_paused_is_not_skipped(db: Db) -> None:
    run = stored_in(db, RunState.PLANNING)
    paused = stored_in(db, RunState.PLANNING, id=RunId(f"{SCHEDULE}-paused"), awaits_feed=NOW)
    db.runs.update_one({"_id": paused.id}, {"$set": {"paused_at": NOW}})

    assert (skip(db, run), skip(db, paused)) == (False, False)
    assert {runs.get(db, one.id).state for one in (run, paused)} == {RunState.PLANNING}
