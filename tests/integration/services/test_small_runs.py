"""Small runs in a real MongoDB: they stand with all their mails as soon as they are decided, or not at all."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from mailroom.domain.errors import StaleToken
from mailroom.domain.ids import RunId, ScheduleId, Token
from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.domain.runs import RunState
from mailroom.domain.schedules import Schedule
from mailroom.domain.shares import NO_SHARES
from mailroom.services.planning import expanding, plan
from mailroom.services.planning.chunks import Cut
from mailroom.services.planning.progress import Progress
from mailroom.storage.cluster.restore_mark import Healthy
from mailroom.storage.database import Db, server_now
from tests.support.builders import make_due, recipients, stored_schedule
from tests.support.explaining import listened_to
from tests.support.planned import expand_all, hold, runs_of

CUT = Cut(2, NO_SHARES)


def due(db: Db, mails: int = 3, **changes: object) -> Schedule:
    schedule = stored_schedule(db, recipients=recipients(mails), **changes)
    make_due(db, schedule, since=timedelta(minutes=61))
    return schedule


def decide(db: Db, held: Mapping[ScheduleId, Token], **changes: object) -> Progress:
    return plan.plan_due(db, held, now=server_now(db), cut=CUT, **changes)  # type: ignore[arg-type]


def test_a_small_run_stands_just_as_if_it_had_been_decided_and_then_planned(db: Db) -> None:
    schedule, now = due(db), server_now(db)
    held, as_it_was = hold(db, schedule.id), db.schedules.find_one({"_id": schedule.id})
    assert as_it_was is not None

    plan.plan_due(db, held, now=now, cut=CUT)
    at_once = everything_of_runs(db)
    for collection in (db.runs, db.messages, db.dispatches):
        collection.delete_many({})
    db.schedules.replace_one({"_id": schedule.id}, as_it_was)
    plan.plan_due(db, held, now=now)
    expanding.expand(db, held, batch_size=2, now=now)

    assert at_once == everything_of_runs(db)
    assert [len(docs) for docs in at_once] == [1, 3, 2]


def everything_of_runs(db: Db) -> list[list[dict[str, object]]]:
    return [list(collection.find().sort("_id", 1)) for collection in (db.runs, db.messages, db.dispatches)]


def test_many_small_runs_are_decided_and_written_in_one_transaction(db: Db) -> None:
    held = hold(db, *(due(db, name=f"S{n}").id for n in range(20)))
    questions, listened = listened_to(db, every=True)

    decide(listened, held)

    assert db.runs.count_documents({"state": "planned"}) == 20
    assert db.messages.count_documents({}) == 60
    assert sorted(c["insert"] for c in questions.asked if "insert" in c) == ["dispatches", "messages", "runs"]
    assert sum("commitTransaction" in command for command in questions.asked) == 1


def test_what_may_go_is_told_when_it_stands(db: Db) -> None:
    schedule = due(db)
    told: list[tuple[set[RunId], int]] = []

    decide(
        db,
        hold(db, schedule.id),
        announce=lambda going: told.append((set(going), db.dispatches.count_documents({}))),
    )

    (run,) = runs_of(db, schedule.id)
    assert told == [({run.id}, 2)]


def test_of_more_runs_than_a_chunk_has_room_for_the_others_are_planned_next(db: Db) -> None:
    most = CHUNK_RECIPIENTS // 2 + 1
    held = hold(db, due(db, most, name="One").id, due(db, most, name="Two").id, due(db, 2, name="Three").id)

    decide(db, held)
    states = sorted(doc["state"] for doc in db.runs.find())
    expand_all(db, held)

    assert states == ["planned", "planned", "planning"]
    assert db.messages.count_documents({}) == 2 * most + 2


def test_a_mail_that_cannot_be_written_leaves_the_decision_and_the_other_runs(db: Db) -> None:
    good, bad = due(db, name="good"), due(db, name="bad")
    db.contents.update_one({"_id.schedule": bad.id}, {"$set": {"text": "{{ not valid"}})

    done = decide(db, hold(db, good.id, bad.id))

    assert (done.moved, done.broken) == ({good.id, bad.id}, frozenset())
    assert [run.state for run in runs_of(db, good.id)] == [RunState.PLANNED]
    assert [run.state for run in runs_of(db, bad.id)] == [RunState.PLANNING]
    assert {doc["schedule_id"] for doc in db.dispatches.find()} == {good.id}


def test_an_instant_that_has_its_run_already_keeps_it_and_gets_no_second_mail(db: Db) -> None:
    schedule = due(db)
    held = hold(db, schedule.id)
    before = db.schedules.find_one({"_id": schedule.id})
    assert before is not None
    decide(db, held)
    db.schedules.replace_one({"_id": schedule.id}, before)

    decide(db, held)

    (run,) = runs_of(db, schedule.id)
    assert run.state is RunState.PLANNED
    assert db.messages.count_documents({}) == 3


def test_a_holder_that_was_overtaken_writes_neither_run_nor_mail(db: Db) -> None:
    schedule = due(db)
    old = hold(db, schedule.id, token=1)
    hold(db, schedule.id, token=2)

    with pytest.raises(StaleToken):
        decide(db, old)

    assert (runs_of(db, schedule.id), db.messages.count_documents({})) == ([], 0)


@pytest.mark.parametrize("seen", [Healthy(remembers=True), Healthy()], ids=["put right once", "an older copy's span"])
def test_after_a_restore_mails_are_written_by_planning_that_looks_up_lost_calls(db: Db, seen: Healthy) -> None:
    schedule = due(db)
    if not seen.remembers:
        now = server_now(db)
        span = {"since": now - timedelta(hours=2), "through": now + timedelta(hours=2)}
        db.cluster.insert_one({"_id": "replay"} | span)

    decide(db, hold(db, schedule.id), seen=seen)

    assert [run.state for run in runs_of(db, schedule.id)] == [RunState.PLANNING]
    assert db.messages.count_documents({}) == 0
