"""Finished schedules are archived by themselves: after their time, and never while something of them goes on."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mailroom.domain.dispatches.outcomes import InDoubt
from mailroom.domain.ids import ScheduleId
from mailroom.domain.schedules import Schedule, ScheduleState
from mailroom.services.dispatching.propagation import finish_runs
from mailroom.services.planning import asked_runs
from mailroom.services.reconciliation.resolve import Resolution, resolve
from mailroom.services.schedules import edit as edit_schedule
from mailroom.services.schedules import pause as schedule_pause
from mailroom.services.schedules import restore as schedule_restore
from mailroom.services.schedules.archive_finished import FinishedSchedules, archive_unless_it_goes_on
from mailroom.storage.database import Db, server_now
from mailroom.storage.schedules import last_runs, schedules
from tests.support.builders import stored_schedule
from tests.support.explaining import work_of
from tests.support.lines import TAKEN, Line, a_run

DAY = timedelta(days=1)
AGE = 30 * DAY


def finished(db: Db, *, since: timedelta = 31 * DAY, of: ScheduleId | None = None) -> Schedule:
    """A schedule that ended so long ago, with what it ran and sent long before."""
    id_ = of or stored_schedule(db).id
    ended = server_now(db) - since
    change = {"$set": {"state": ScheduleState.FINISHED, "updated_at": ended}, "$unset": {"next_run_at": ""}}
    db.schedules.update_one({"_id": id_}, change)
    db.runs.update_many({"schedule_id": id_}, {"$set": {"due_at": ended - DAY}})
    db.last_sent.update_one({"_id": id_}, {"$set": {"at": ended - DAY}})
    return schedules.get(db, id_)


def state(db: Db, id_: ScheduleId) -> str:
    return schedules.get(db, id_).state


def test_a_schedule_is_archived_when_it_has_been_finished_for_so_long(db: Db) -> None:
    old, young, active = finished(db), finished(db, since=29 * DAY), stored_schedule(db)
    paused = finished(db)
    db.schedules.update_one({"_id": paused.id}, {"$set": {"state": ScheduleState.PAUSED}})

    archived = FinishedSchedules(db, age=AGE).round()

    assert archived == 1
    assert [state(db, one.id) for one in (old, young, active, paused)] == ["archived", "finished", "active", "paused"]
    assert schedules.get(db, old.id).version == old.version + 1


def test_what_a_person_still_edits_or_runs_or_what_still_sends_is_not_old(db: Db) -> None:
    edited, ran, sent = finished(db), finished(db), finished(db)
    edit_schedule.edit(db, edited.id, {"name": "New"}, seen_version=None)
    run, _ = asked_runs.run_now(db, ran.id, owner="tests", key="k")
    db.runs.update_one({"_id": run.id}, {"$set": {"state": "finished"}})
    last_runs.note_sent(db, [run.id.replace(ran.id, sent.id)], at=server_now(db))

    assert FinishedSchedules(db, age=AGE).round() == 0
    assert [state(db, one.id) for one in (edited, ran, sent)] == ["finished"] * 3


def test_it_is_archived_only_once_the_last_outcome_of_its_runs_is_known(line: Line) -> None:
    db = line.db
    run, id_ = a_run(line, 1)
    rounds = FinishedSchedules(db, age=AGE)

    def round_(what: str) -> str:
        finished(db, of=id_)
        rounds.round()
        return f"{what}: {state(db, id_)}"

    db.runs.update_one({"_id": run}, {"$set": {"state": "planning"}})
    seen = [round_("planning")]
    db.runs.update_one({"_id": run}, {"$set": {"state": "planned"}})
    seen.append(round_("planned"))
    schedule_pause.pause_run(db, line.brakes, run, by="ann")
    seen.append(round_("paused"))
    schedule_pause.resume_run(db, line.brakes, run, by="ann")
    (claimed,) = line.cross(line.claim()).go
    line.record([claimed], InDoubt("no answer"))
    seen.append(round_("in doubt"))
    db.dispatches.update_one({"_id": claimed.id}, {"$set": {"state": "unknown"}})
    finish_runs(db, [run], now=server_now(db))
    assert db.runs.count_documents({"state": "finished"}) == 1
    seen.append(round_("unknown"))
    resolve(db, claimed.id, Resolution.WENT_OUT, by="ann")
    seen.append(round_("known"))

    waiting = ("planning", "planned", "paused", "in doubt", "unknown")
    assert seen == [*(f"{what}: finished" for what in waiting), "known: archived"]


def test_a_cancelled_run_whose_messages_are_still_to_be_written_holds_it_back(line: Line) -> None:
    run, id_ = a_run(line, 1)
    line.db.runs.update_one({"_id": run}, {"$set": {"state": "cancelled", "unwritten": True}})
    finished(line.db, of=id_)

    assert FinishedSchedules(line.db, age=AGE).round() == 0
    line.db.runs.update_one({"_id": run}, {"$unset": {"unwritten": ""}})
    assert FinishedSchedules(line.db, age=AGE).round() == 1


def run_it(db: Db, id_: ScheduleId) -> None:
    asked_runs.run_now(db, id_, owner="tests", key="k")


def rename_it(db: Db, id_: ScheduleId) -> None:
    edit_schedule.edit(db, id_, {"name": "New"}, seen_version=None)


@pytest.mark.parametrize("act", [run_it, rename_it])
def test_what_a_person_does_in_the_same_moment_goes_before(db: Db, act: Callable[[Db, ScheduleId], Any]) -> None:
    as_read = finished(db)

    act(db, as_read.id)

    assert archive_unless_it_goes_on(db, as_read, now=server_now(db)) is False
    assert state(db, as_read.id) == "finished"


def test_those_that_go_on_hold_up_no_other(db: Db) -> None:
    going_on = [finished(db, since=(50 - n) * DAY) for n in range(5)]
    db.runs.insert_many(
        {"_id": f"{one.id}-1", "schedule_id": one.id, "state": "planned", "due_at": server_now(db) - 60 * DAY}
        for one in going_on
    )
    last = finished(db, since=40 * DAY)
    rounds = FinishedSchedules(db, age=AGE, page=2)

    archived = [rounds.round() for _ in range(4)]

    assert archived == [0, 0, 1, 0]
    assert state(db, last.id) == "archived"
    again = finished(db, since=45 * DAY)
    assert sum(rounds.round() for _ in range(4)) == 1
    assert state(db, again.id) == "archived"


def test_ends_of_the_same_moment_are_all_reached(db: Db) -> None:
    ended = server_now(db) - 31 * DAY
    for _ in range(5):
        db.schedules.update_one({"_id": finished(db).id}, {"$set": {"updated_at": ended}})
    rounds = FinishedSchedules(db, age=AGE, page=2)

    assert sum(rounds.round() for _ in range(3)) == 5


def test_a_restored_schedule_comes_back_paused_and_stays(line: Line) -> None:
    old = finished(line.db)
    rounds = FinishedSchedules(line.db, age=AGE)
    rounds.round()

    restored, _ = schedule_restore.restore(line.db, line.brakes, old.id, by="ann")
    line.db.schedules.update_one({"_id": old.id}, {"$set": {"updated_at": server_now(line.db) - 60 * DAY}})

    assert restored.state == "paused"
    assert rounds.round() == 0
    line.db.schedules.update_one({"_id": old.id}, {"$set": {"next_run_at": None}})
    assert state(line.db, old.id) == "paused"


def test_a_schedule_that_sent_is_archived_with_its_runs_as_they_were(line: Line) -> None:
    run, id_ = a_run(line, 2)
    line.record(line.cross(line.claim()).go, TAKEN)
    finish_runs(line.db, [run], now=server_now(line.db))
    finished(line.db, of=id_)
    before = line.db.runs.find_one({"_id": run})

    assert FinishedSchedules(line.db, age=AGE).round() == 1
    assert line.db.runs.find_one({"_id": run}) == before
    assert line.db.messages.count_documents({"state": "sent"}) == 2


def test_a_round_without_a_finished_schedule_looks_at_none(db: Db) -> None:
    for _ in range(20):
        stored_schedule(db)

    work = work_of(db, lambda heard: FinishedSchedules(heard, age=AGE).round())

    assert work.documents == 0
    assert not work.walks_a_collection
