"""Audiences that change, by the services themselves."""

from datetime import datetime, timedelta
from typing import Any

from mailroom.domain.ids import AudienceId, RunId, ScheduleId
from mailroom.services.audiences import contacts
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.audiences.lists import NewAudience
from mailroom.services.planning import asked_runs, plan
from mailroom.storage.database import Db, server_now
from tests.support.builders import stored_schedule
from tests.support.planned import expand_all, hold


def an_audience(db: Db, *names: str, key: str = "k", **variables: Any) -> AudienceId:
    """A listed audience of these people at example.org."""
    rows = [a_row(name, **variables) for name in names] or None
    made = audience_lists.create(db, NewAudience(f"Audience {key}", rows), owner="tests", key=key)
    return made.audience.id


def a_row(name: str, **variables: Any) -> dict[str, Any]:
    return {"address": f"{name}@example.org", "name": name.title(), "variables": {"city": "Rome"} | variables}


def put(db: Db, audience: AudienceId, name: str, **variables: Any) -> None:
    contacts.put(db, audience, a_row(name, **variables), source="tests")


def remove(db: Db, audience: AudienceId, *names: str) -> None:
    contacts.remove_many(db, audience, [f"{name}@example.org" for name in names])


def a_schedule_to(db: Db, audience: AudienceId, **changes: Any) -> ScheduleId:
    return stored_schedule(db, **{"recipients": (), "audience": audience} | changes).id


def run_now(db: Db, schedule: ScheduleId, key: str = "k") -> RunId:
    return asked_runs.run_now(db, schedule, owner="tests", key=key)[0].id


def plan_all(db: Db, schedule: ScheduleId, *, now: datetime | None = None, token: int = 1) -> None:
    """Decide what is due, and write every message."""
    held = hold(db, schedule, token=token)
    plan.plan_due(db, held, mark=0, now=now or server_now(db))
    expand_all(db, held)


def mailed(db: Db, run: RunId) -> dict[str, str]:
    """Who gets mail of a run, by name, with the text."""
    rows = db.messages.find({"run_id": run})
    return {doc["address"].partition("@")[0]: "".join(doc.get("parts", {}).values()) for doc in rows}


def people(db: Db, run: RunId) -> list[str]:
    return sorted(mailed(db, run))


A_MOMENT = timedelta(milliseconds=5)
