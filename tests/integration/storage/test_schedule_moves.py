"""Every trigger in every state, on a real MongoDB: a schedule moves as MOVES says, or stays as it is."""

from contextlib import suppress
from dataclasses import replace

import pytest

from mailroom.domain.errors import StaleEdit
from mailroom.domain.ids import ScheduleId
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.misfire import Decisions
from mailroom.domain.schedules import MOVES, Schedule, ScheduleState, ScheduleTrigger
from mailroom.storage import lanes
from mailroom.storage.database import Db, Session, in_transaction
from mailroom.storage.schedules import due_schedules, schedules
from tests.support.builders import NOW, a_schedule
from tests.support.planned import hold

T = ScheduleTrigger
THROUGH = Decisions((), (), NOW, 1, None)  # the last instant is decided


def move(db: Db, trigger: ScheduleTrigger, seen: Schedule) -> None:
    held = {schedule_lane(id_): token for id_, token in hold(db, seen.id).items()}

    def by_planning(session: Session) -> None:
        with lanes.under(db, held, session) as guard:
            if trigger is T.SET_ASIDE:
                due_schedules.set_aside(db, seen, "no such zone", now=NOW, guard=guard)
            else:
                due_schedules.move_on(db, [(seen, THROUGH)], now=NOW, guard=guard)

    def by_a_person(session: Session) -> None:
        after = replace(seen, version=seen.version + 1)
        schedules.replace(db, after, seen=seen, trigger=trigger, session=session)

    with suppress(StaleEdit):
        in_transaction(db, by_planning if trigger in (T.SET_ASIDE, T.CAME_TO_END) else by_a_person)


def stored_in(db: Db, state: ScheduleState) -> Schedule:
    schedule = replace(a_schedule(), id=ScheduleId(f"sch_{state}"), state=state, next_run_at=NOW)
    in_transaction(db, lambda session: schedules.add(db, schedule, request_digest="", session=session))
    return schedule


@pytest.mark.parametrize("trigger", list(ScheduleTrigger))
def test_a_schedule_moves_as_the_table_says_and_not_otherwise(db: Db, trigger: ScheduleTrigger) -> None:
    leaves, arrives = MOVES[trigger]
    seen, wanted = {}, {}
    for state in ScheduleState:
        schedule = stored_in(db, state)
        move(db, trigger, schedule)
        after = schedules.get(db, schedule.id)
        seen[state] = (after.state, after.version - schedule.version)
        wanted[state] = (arrives, 1) if state in leaves else (state, 0)

    assert seen == wanted


def test_a_person_brings_a_schedule_to_its_end_by_skipping_its_last_run(db: Db) -> None:
    schedule = stored_in(db, ScheduleState.ACTIVE)

    in_transaction(
        db, lambda s: schedules.replace(db, schedule, seen=schedule, trigger=ScheduleTrigger.CAME_TO_END, session=s)
    )

    assert schedules.get(db, schedule.id).state is ScheduleState.FINISHED


@pytest.mark.parametrize("state", list(ScheduleState))
def test_a_change_without_a_trigger_leaves_the_state_whatever_the_changed_schedule_says(
    db: Db, state: ScheduleState
) -> None:
    schedule = stored_in(db, state)
    changed = replace(schedule, name="Another", state=ScheduleState.ACTIVE)

    in_transaction(db, lambda session: schedules.replace(db, changed, seen=schedule, session=session))

    after = schedules.get(db, schedule.id)
    assert (after.name, after.state) == ("Another", state)
