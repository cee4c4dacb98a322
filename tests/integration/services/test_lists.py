"""Schedules and runs are found by name, state and time, sorted and counted."""

from datetime import timedelta

import pytest

from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import ScheduleId
from mailroom.domain.runs import RunState
from mailroom.domain.schedules import ScheduleState
from mailroom.domain.searches import (
    COUNTED,
    MOST_NAMED,
    BoundedCount,
    RunOrder,
    RunSearch,
    ScheduleOrder,
    ScheduleSearch,
)
from mailroom.services.planning import asked_runs, plan
from mailroom.services.reports import run_search
from mailroom.services.schedules import edit as edit_schedule
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from mailroom.services.schedules import search as schedule_search
from mailroom.storage import migrations
from mailroom.storage.database import Db, server_now
from tests.support.builders import make_due, stored_schedule
from tests.support.planned import hold

HOUR = timedelta(hours=1)


def names(db: Db, order: ScheduleOrder = ScheduleOrder.NAME, **search: object) -> list[str]:
    found = schedule_search.page(db, ScheduleSearch(**search), order, limit=50)  # type: ignore[arg-type]
    return [schedule.name for schedule in found]


def test_a_schedule_is_found_by_what_a_word_of_its_name_begins_with(db: Db) -> None:
    for name in ("Weekday digest for Rome", "DIGESTIF", "Indigestion", "März-Aktion: 50% off", "[a-z]* (digest"):
        stored_schedule(db, name=name)

    assert names(db, name="DIG") == ["[a-z]* (digest", "DIGESTIF", "Weekday digest for Rome"]
    assert names(db, name="digest for r") == ["Weekday digest for Rome"]
    assert names(db, name="marz aktion 50") == names(db, name="März-Aktion: 50%") == ["März-Aktion: 50% off"]
    assert names(db, name="gest") == []


def test_a_name_without_a_letter_is_refused_and_so_are_too_many_schedules(db: Db) -> None:
    stored_schedule(db)
    (model,) = db.schedules.find()
    db.schedules.insert_many({**model, "_id": f"sch_{number}"} for number in range(COUNTED))

    for wrong in (" ", ".*", "🙂"):
        with pytest.raises(InvalidInput, match="name: holds no letter"):
            names(db, name=wrong)
    with pytest.raises(InvalidInput, match="more than 10,000"):
        names(db, name="week")
    assert schedule_search.count(db, ScheduleSearch(name="week")) == BoundedCount(COUNTED, is_exact=False)
    assert len(names(db)) == 50


def test_a_renamed_schedule_is_found_by_its_new_name_only(db: Db) -> None:
    schedule = stored_schedule(db, name="Old")

    edit_schedule.edit(db, schedule.id, {"name": "New"}, seen_version=None)

    assert (names(db, name="new"), names(db, name="old")) == (["New"], [])


def test_schedules_of_an_earlier_version_are_found_once_their_names_are_filled_in(db: Db) -> None:
    stored_schedule(db, name="Digest")
    db.schedules.update_many({}, {"$unset": {"name_key": "", "name_starts": ""}})

    before = names(db, name="dig")
    filled = [migrations.migrate(db, within_s=5) for _ in range(2)]

    assert (before, filled, names(db, name="dig")) == ([], [{"names_filled_in": 1}, {}], ["Digest"])


def test_a_schedule_that_an_earlier_version_renames_meanwhile_is_found_by_its_new_name_after_the_next_start(
    db: Db,
) -> None:
    for name in ("Old", "Other"):
        stored_schedule(db, name=name)
    db.schedules.update_one({"name": "Old"}, {"$set": {"name": "New"}})

    meanwhile = migrations.migrate(db, within_s=5)
    starts = [migrations.migrate(db, within_s=5, at_start=True) for _ in range(2)]

    assert (meanwhile, starts) == ({}, [{"names_renewed": 1}, {}])
    assert (names(db, name="new"), names(db, name="old"), names(db)) == (["New"], [], ["New", "Other"])


def test_archived_schedules_are_listed_only_where_they_are_asked_for(db: Db) -> None:
    gone, paused = stored_schedule(db, name="Gone"), stored_schedule(db, name="Paused")
    stored_schedule(db, name="Going")
    schedule_lifecycle.archive(db, gone.id)
    schedule_lifecycle.pause(db, paused.id)

    assert names(db) == ["Going", "Paused"]
    assert names(db, state=ScheduleState.ARCHIVED) == names(db, name="gone", state=ScheduleState.ARCHIVED) == ["Gone"]
    assert names(db, name="gone") == []
    assert str(schedule_search.count(db, ScheduleSearch())) == "2"


def test_schedules_are_sorted_by_their_next_run_and_those_without_one_come_last(db: Db) -> None:
    for name, seconds in (("b", 7200), ("a", 3600), ("c", 10_800)):
        stored_schedule(db, name=name, recurrence={"kind": "every", "seconds": seconds, "time_zone": "UTC"})
    db.schedules.update_one({"name": "c"}, {"$set": {"state": "finished"}, "$unset": {"next_run_at": ""}})

    assert names(db, ScheduleOrder.NEXT_RUN) == ["a", "b", "c"]
    assert names(db, ScheduleOrder.NEXT_RUN_DOWN) == ["b", "a", "c"]


def test_runs_are_found_by_schedule_state_and_due_instant(db: Db) -> None:
    digest, offer = stored_schedule(db, name="The digest"), stored_schedule(db, name="Offer")
    first = make_due(db, digest, since=2.5 * HOUR)
    plan.plan_due(db, hold(db, digest.id), mark=0, now=server_now(db))
    asked_runs.run_now(db, offer.id, owner="tests", key="k")

    def found(order: RunOrder = RunOrder.EARLIEST_DUE, **search: object) -> list[tuple[str, RunState]]:
        rows = run_search.page(db, RunSearch(**search), order, limit=10)  # type: ignore[arg-type]
        assert run_search.count(db, RunSearch(**search)) == BoundedCount(len(rows), is_exact=True)  # type: ignore[arg-type]
        return [(row.schedule_name, row.run.state) for row in rows]

    skipped, planned = ("The digest", RunState.SKIPPED), ("The digest", RunState.PLANNING)
    asked = ("Offer", RunState.PLANNING)
    assert found() == [skipped, planned, asked]
    assert found(RunOrder.LATEST_DUE) == [asked, planned, skipped]
    assert found(schedule="dig") == found(schedule_id=digest.id) == [skipped, planned]
    assert found(schedule="dig", schedule_id=offer.id) == []
    assert found(state=RunState.PLANNING) == [planned, asked]
    assert found(schedule="off", state=RunState.SKIPPED) == []
    assert found(since=first, until=first + HOUR) == [skipped]
    assert found(since=first + HOUR, schedule="digest") == [planned]


def test_runs_of_too_many_schedules_are_not_listed_together(db: Db) -> None:
    stored_schedule(db)
    (model,) = db.schedules.find()
    db.schedules.insert_many({**model, "_id": f"sch_{number}"} for number in range(MOST_NAMED))

    with pytest.raises(InvalidInput, match="schedule: more than 200"):
        run_search.page(db, RunSearch(schedule="week"), limit=10)
    with pytest.raises(InvalidInput, match="schedule: holds no letter"):
        run_search.page(db, RunSearch(schedule="?"), limit=10)
    assert run_search.page(db, RunSearch(schedule_id=ScheduleId("sch_1")), limit=10) == []
