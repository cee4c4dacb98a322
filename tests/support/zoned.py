"""Schedules that go out in each recipient's own time, by the services themselves; the tests hand in the time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from mailroom.domain.beginnings import first_look
from mailroom.domain.ids import AudienceId, RunId, ScheduleId
from mailroom.domain.recurrence.upcoming import next_after
from mailroom.domain.runs import Run
from mailroom.services.audiences import contacts
from mailroom.services.planning import plan
from mailroom.services.planning.composing import ChunkComposer
from mailroom.services.schedules import view as schedule_view
from mailroom.storage.database import Db
from tests.support.builders import stored_schedule
from tests.support.living import a_row, an_audience
from tests.support.planned import hold, runs_of

#: 09:00 on this day; the schedule's zone is Berlin. No clock changes near it.
DAY = datetime(2027, 2, 1)
TOKYO = datetime(2027, 2, 1, 0, tzinfo=UTC)
KOLKATA = datetime(2027, 2, 1, 3, 30, tzinfo=UTC)
BERLIN = datetime(2027, 2, 1, 8, tzinfo=UTC)
NEW_YORK = datetime(2027, 2, 1, 14, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ZONES: Mapping[str, datetime] = {
    "Asia/Tokyo": TOKYO,
    "Asia/Kolkata": KOLKATA,
    "Europe/Berlin": BERLIN,
    "Europe/Rome": BERLIN,
    "": BERLIN,
    "America/New_York": NEW_YORK,
}
FOUR = {"ann": "Asia/Tokyo", "bo": "Europe/Berlin", "cy": "America/New_York", "dee": ""}
DAILY = {"kind": "cron", "expression": "0 9 * * *", "time_zone": "Europe/Berlin"}


def people_in(db: Db, zones: Mapping[str, str], *, key: str = "k") -> AudienceId:
    """A listed audience of these people, each with a time zone or ''."""
    audience = an_audience(db, key=key)
    rows = [a_row(name) | ({"time_zone": zone} if zone else {}) for name, zone in zones.items()]
    contacts.add_many(db, audience, rows, on_invalid="refuse", source="tests")
    return audience


def move(db: Db, audience: AudienceId, name: str, zone: str) -> None:
    contacts.put(db, audience, a_row(name) | {"time_zone": zone}, source="tests")


def a_zoned_schedule(db: Db, audience: AudienceId | None, **changes: Any) -> ScheduleId:
    """Once, at 09:00 on DAY."""
    fields: dict[str, Any] = {
        "recurrence": {"kind": "once", "at": DAY.replace(hour=9), "time_zone": "Europe/Berlin"},
        "delivery": "recipient_time",
        **({"recipients": (), "audience": audience} if audience else {}),
    }
    return stored_schedule(db, **fields | changes).id


def put_back(db: Db, schedule_id: ScheduleId, *, to: datetime) -> datetime:
    """Let a schedule be made, and decided through, at this time in the past. Returns its first due instant."""
    schedule = schedule_view.get(db, schedule_id).schedule
    due = next_after(schedule.recurrence, to)
    assert due is not None
    fields = {"decided_through": to, "created_at": to, "next_due_at": due}
    look = first_look(schedule, due, since=to)
    db.schedules.update_one({"_id": schedule_id}, {"$set": {**fields, "next_run_at": look}})
    db.contents.update_one({"_id": {"schedule": schedule_id, "revision": 1}}, {"$set": {"valid_from": to}})
    return due


def decide(db: Db, schedule: ScheduleId, *, now: datetime, token: int = 1) -> list[Run]:
    """Look at a schedule, as planning does. Returns its runs."""
    plan.plan_due(db, hold(db, schedule, token=token), mark=0, now=now)
    return runs_of(db, schedule)


def expand(db: Db, schedule: ScheduleId, *, now: datetime, batch_size: int = 1_000, token: int = 1) -> None:
    held, composer = hold(db, schedule, token=token), ChunkComposer(db)
    while plan.expand(db, held, batch_size=batch_size, now=now, composer=composer).moved:
        pass


def plan_at(db: Db, schedule: ScheduleId, now: datetime, *, batch_size: int = 1_000) -> Run:
    """Decide the run and write all of its messages; there is one."""
    (run,) = decide(db, schedule, now=now)
    expand(db, schedule, now=now, batch_size=batch_size)
    return run


def times_of(db: Db, run: RunId) -> dict[str, datetime | None]:
    """When each recipient's call may go out, by name; None without a call. Each has one message."""
    may_go = {doc["_id"]: doc["not_before"] for doc in db.dispatches.find({"run_id": run})}
    rows = list(db.messages.find({"run_id": run}))
    found = {doc["address"].partition("@")[0]: may_go.get(doc.get("dispatch_id")) for doc in rows}
    assert len(found) == len(rows)
    return found
