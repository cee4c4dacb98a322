"""Segments by what readers did with the mail of the last days."""

from datetime import timedelta

import pytest

from mailroom.domain.audience_versions import ListChoice
from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import AudienceId, RunId, message_id
from mailroom.domain.limits import MAX_FILTER_DAY_RUNS
from mailroom.services.audiences import counting, segments
from mailroom.storage.database import Db, server_now
from tests.support.builders import stored_schedule
from tests.support.living import a_schedule_to, an_audience, people, plan_all, run_now

DAY, KEPT = timedelta(days=1), timedelta(days=90)


def a_run_of(db: Db, audience: AudienceId, *, ago: timedelta, opened: str = "", clicked: str = "") -> RunId:
    """A run that was due so long ago, of which one contact opened, and one clicked, the mail."""
    run = run_now(db, schedule := a_schedule_to(db, audience), f"{ago}")
    plan_all(db, schedule)
    db.runs.update_one({"_id": run}, {"$set": {"due_at": server_now(db) - ago}})
    for name, field in ((opened, "opens"), (clicked, "clicks")):
        db.messages.update_one({"_id": message_id(run, f"{name}@example.org")}, {"$set": {field: 1}})
    return run


def found(db: Db, audience: AudienceId, filter_: str) -> int:
    choice = segments.unsaved(db, audience, filter_, events_kept=KEPT)
    return counting.count(db, [choice]).found


def test_readers_are_found_by_what_became_of_the_mail_of_these_days(db: Db) -> None:
    audience = an_audience(db, "ann", "bo", "cy")
    a_run_of(db, audience, ago=20 * DAY, opened="bo")
    a_run_of(db, audience, ago=40 * DAY, opened="ann")
    a_run_of(db, audience, ago=2 * DAY, clicked="cy")

    assert found(db, audience, "opened in last 30 days") == 1
    assert found(db, audience, "opened in last 60 days") == 2
    assert found(db, audience, "opened in last 60 days and not opened in last 30 days") == 1
    assert found(db, audience, "not clicked in last 7 days") == 2
    assert found(db, audience, "clicked in last 1 day") == 0
    assert found(db, audience, "opened in last 2 runs or clicked in last 7 days") == 2


def test_a_run_goes_to_whom_such_a_segment_finds_at_its_due_instant(db: Db) -> None:
    audience = an_audience(db, "ann", "bo", "cy")
    a_run_of(db, audience, ago=20 * DAY, opened="bo")
    made = segments.create(db, audience, name="Awake", filter_="opened in last 30 days", by="cleo", events_kept=KEPT)
    schedule = stored_schedule(db, recipients=(), segments=[made.id]).id

    run = run_now(db, schedule, "segment")
    plan_all(db, schedule)

    assert people(db, run) == ["bo"]


def test_days_that_reach_past_what_is_kept_are_refused_when_they_are_saved(db: Db) -> None:
    audience = an_audience(db, "ann")

    with pytest.raises(InvalidInput, match="events are kept for 90 days"):
        segments.create(db, audience, name="All", filter_="opened in last 91 days", by="cleo", events_kept=KEPT)

    assert segments.page(db, audience, after="", limit=9) == []


def test_of_very_many_runs_the_latest_hundred_count(db: Db) -> None:
    audience = an_audience(db, "ann", "bo")
    run = a_run_of(db, audience, ago=2 * DAY, opened="bo")
    model = db.runs.find_one({"_id": run})
    now = server_now(db)
    newer = [
        model | {"_id": f"x-{n}", "due_at": now - DAY + n * timedelta(minutes=1)} for n in range(MAX_FILTER_DAY_RUNS)
    ]

    before = found(db, audience, "opened in last 30 days")
    db.runs.insert_many(newer)
    after = counting.count(db, [ListChoice(audience, None, "opened in last 30 days")]).found

    assert (before, after) == (1, 0)
