"""When a schedule last ran and last sent: of its newest run, of what a provider accepted, and right after a crash."""

from datetime import datetime, timedelta

import pytest

from mailroom.domain.dispatches.model import Acceptance
from mailroom.domain.dispatches.outcomes import InDoubt, InPart, Refusal, Refused
from mailroom.domain.ids import ScheduleId
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.schedules import LastTimes
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.dispatching.propagation import finish_runs
from mailroom.services.dispatching.take_over import take_over
from mailroom.services.planning import asked_runs, plan
from mailroom.services.reconciliation.resolve import Resolution, resolve
from mailroom.services.resending import runs as resend_runs
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from mailroom.services.schedules import view as schedule_view
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import propagation
from mailroom.storage.messages import marks as message_marks
from mailroom.storage.schedules import last_runs
from tests.support.builders import make_due, recipients, stored_schedule
from tests.support.explaining import work_of
from tests.support.lines import TAKEN, Line, a_run
from tests.support.planned import hold, runs_of

HOUR = timedelta(hours=1)


def last(db: Db, schedule_id: ScheduleId) -> LastTimes:
    return schedule_view.last_times(db, [schedule_id])[schedule_id]


def within_the_last_minute(db: Db, moment: datetime | None) -> bool:
    return moment is not None and timedelta(seconds=-1) <= server_now(db) - moment <= timedelta(minutes=1)


def test_before_the_first_run_there_is_no_last_one(db: Db) -> None:
    assert last(db, stored_schedule(db).id) == LastTimes(None, None)


def test_the_last_run_is_named_by_its_due_instant_and_a_skipped_one_is_none(db: Db) -> None:
    schedule = stored_schedule(db, misfire={"policy": "skip"})
    first = make_due(db, schedule, since=2.5 * HOUR)
    plan.plan_due(db, hold(db, schedule.id), mark=0, now=server_now(db))

    schedule_lifecycle.skip_next(db, schedule.id)

    states = [(run.due_at, run.state) for run in runs_of(db, schedule.id)]
    assert states == [(first, "skipped"), (first + HOUR, "planning"), (first + 2 * HOUR, "skipped")]
    assert last(db, schedule.id).ran_at == first + HOUR


def test_a_run_that_was_asked_for_counts_and_so_does_a_resend(line: Line) -> None:
    run, id_ = a_run(line, 2)
    asked = last(line.db, id_).ran_at
    line.record(line.cross(line.claim()).go, Refused(Refusal.PERMANENT, "no", 400))
    finish_runs(line.db, [run], now=server_now(line.db))
    again, _ = resend_runs.run_again(line.db, run, owner="tests", key="again", batch_size=10)

    assert asked == runs_of(line.db, id_)[0].due_at
    assert last(line.db, id_).ran_at == again.due_at
    assert last(line.db, id_).sent_at is None


def test_the_last_sending_is_what_a_provider_accepted_last_to_the_second(line: Line) -> None:
    _, id_ = a_run(line, 4, batch=1)
    first, second, third, fourth = line.cross(line.claim()).go
    line.record([first], Refused(Refusal.PERMANENT, "no", 400))
    line.record([second], InDoubt("no answer"))
    before = last(line.db, id_).sent_at

    line.record([third], TAKEN)
    sent = last(line.db, id_).sent_at
    line.db.last_sent.update_one({"_id": id_}, {"$set": {"at": server_now(line.db).replace(microsecond=0) - HOUR}})
    line.record([fourth], TAKEN)

    assert before is None
    assert within_the_last_minute(line.db, sent)
    assert sent is not None
    assert sent.microsecond == 0
    assert within_the_last_minute(line.db, last(line.db, id_).sent_at)


def test_a_part_of_a_call_that_was_accepted_counts_and_so_does_a_persons_word(line: Line) -> None:
    _, in_part = a_run(line, 2)
    (claimed,) = line.cross(line.claim()).go
    line.record([claimed], InPart("250 ok", {"reader-0@example.org": Refused(Refusal.PERMANENT, "no", 550)}))
    _, by_word = a_run(line, 1)
    (doubted,) = line.cross(line.claim()).go
    line.record([doubted], InDoubt("no answer"))
    before = last(line.db, by_word).sent_at

    resolve(line.db, doubted.id, Resolution.WENT_OUT, by="ann")

    assert within_the_last_minute(line.db, last(line.db, in_part).sent_at)
    assert before is None
    assert within_the_last_minute(line.db, last(line.db, by_word).sent_at)


@pytest.mark.parametrize("recorded", ["nothing", "messages"])
def test_after_a_crash_between_the_call_and_its_record_the_take_over_notes_it(line: Line, recorded: str) -> None:
    _, id_ = a_run(line, 1)
    (claimed,) = line.cross(line.claim()).go
    line.fences.close([(claimed, Acceptance("mailgun", "id", 1))])
    if recorded == "messages":
        message_marks.mark_sent(line.db, [claimed.id], at=server_now(line.db))
    # What the messages tell, the schedule tells too, whoever died in between.
    told = line.db.messages.find_one({"dispatch_id": claimed.id})
    assert told
    assert (last(line.db, id_).sent_at is not None) == ("sent_at" in told) == (recorded == "messages")

    line.take(schedule_lane(id_), token=2)
    take_over(LaneWork(line.db, line.fences, line.held, "another"), [])

    assert within_the_last_minute(line.db, last(line.db, id_).sent_at)
    assert propagation.pending_propagation(line.db, limit=10) == []


def test_an_older_acceptance_that_is_recorded_late_moves_nothing_back(db: Db) -> None:
    schedule = stored_schedule(db)
    run, _ = asked_runs.run_now(db, schedule.id, owner="tests", key="k")
    now = server_now(db)

    for at in (now, now - HOUR, now):
        last_runs.note_sent(db, [run.id], at=at)

    assert last(db, schedule.id).sent_at == now.replace(microsecond=0)


def test_a_page_of_a_hundred_schedules_costs_two_questions_however_many_runs_they_had(db: Db) -> None:
    ids = [ScheduleId(f"sch_{n:03}") for n in range(100)]
    template = stored_schedule(db, recipients=recipients(1))
    run, _ = asked_runs.run_now(db, template.id, owner="tests", key="k")
    schedule, one = (db[name].find_one() for name in ("schedules", "runs"))
    assert schedule
    assert one
    db.schedules.insert_many([{**schedule, "_id": id_} for id_ in ids])
    states = ["finished"] * 15 + ["skipped"] * 25
    db.runs.insert_many(
        {**one, "_id": f"{id_}-{n}", "schedule_id": id_, "state": state, "due_at": run.due_at + n * HOUR}
        for id_ in ids
        for n, state in enumerate(states)
    )
    last_runs.note_sent(db, [one["_id"], *(f"{id_}-1" for id_ in ids[:50])], at=run.due_at)

    found = schedule_view.last_times(db, ids)
    work = work_of(db, lambda heard: schedule_view.last_times(heard, ids))

    assert {one.ran_at for one in found.values()} == {run.due_at + 14 * HOUR}
    assert [found[id_].sent_at is not None for id_ in (ids[0], ids[99])] == [True, False]
    assert work.questions == 2
    assert work.documents <= 450
    assert not work.walks_a_collection
