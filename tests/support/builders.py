"""Builders: a valid whole, so that a test says only the one thing that matters."""

from datetime import UTC, datetime, timedelta
from typing import Any

from mailroom.domain.dispatches.model import Claim, Claimable, Claimed, Dispatch, RecordedAcceptance
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.drafts import Draft
from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import ClaimId, DispatchId, Lane, RunId, ScheduleId, Token
from mailroom.domain.recurrence.checking import check_recurrence
from mailroom.domain.schedules import Misfire, MisfirePolicy, Schedule, ScheduleState
from mailroom.services.schedules import create as create_schedule
from mailroom.storage.database import Db

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def a_draft(**changes: Any) -> Draft:
    fields: dict[str, Any] = {
        "name": "Weekday digest",
        "sender": "Ann <ann@mg.example.com>",
        "subject": "Hello {{ name }}",
        "text": "Hello {{ name }} in {{ city }}",
        "html": "<p>Hello {{ name }}</p>",
        "recipients": [{"address": "bo@example.org", "name": "Bo", "variables": {"city": "Rome"}}],
        "recurrence": {"kind": "every", "seconds": 3600, "time_zone": "UTC"},
    }
    return Draft(**fields | changes)


def recipients(count: int) -> list[dict[str, Any]]:
    return [
        {"address": f"reader-{n}@example.org", "name": f"Reader {n}", "variables": {"city": "Rome"}}
        for n in range(count)
    ]


def stored_schedule(db: Db, **changes: Any) -> Schedule:
    """A schedule in the database."""
    return create_schedule.create(db, a_draft(**changes), owner="tests")[0].schedule


def make_due(db: Db, schedule: Schedule, *, since: timedelta) -> datetime:
    """Put a stored `every` schedule's clock back, as if Mailroom had been down. Returns the first due instant."""
    anchor = schedule.recurrence.anchor - since
    first = anchor + timedelta(seconds=schedule.recurrence.seconds)
    fields = {"recurrence.anchor": anchor, "decided_through": anchor, "next_run_at": first, "created_at": anchor}
    db.schedules.update_one({"_id": schedule.id}, {"$set": fields})
    db.contents.update_one({"_id": {"schedule": schedule.id, "revision": 1}}, {"$set": {"valid_from": anchor}})
    return first


def a_schedule(
    *, created: datetime = NOW, policy: str = "run_once", grace_s: int = 3600, **recurrence: Any
) -> Schedule:
    """A schedule value that was created, and decided through, at `created`."""
    rule = {"kind": "every", "seconds": 3600, "time_zone": "UTC"} | recurrence
    checked = check_recurrence(**rule, now=created)
    return Schedule(
        id=ScheduleId("sch_1"),
        name="Digest",
        state=ScheduleState.ACTIVE,
        recurrence=checked,
        misfire=Misfire(MisfirePolicy(policy), grace_s),
        revision=1,
        version=1,
        decided=0,
        decided_through=created,
        next_run_at=None,
        created_at=created,
        updated_at=created,
    )


def a_claimed(*, dispatch: str = "d1", claim: str = "c1", token: int = 5, attempt: int = 1, **changes: Any) -> Claimed:
    lane = Lane(changes.pop("lane", "schedule/sch_1"))
    fields: dict[str, Any] = {
        "id": DispatchId(dispatch),
        "run_id": RunId("run-1"),
        "schedule_id": ScheduleId("sch_1"),
        "claim": Claim(ClaimId(claim), lane, Token(token), "sender-1", changes.pop("redis_identity", "")),
        "attempt": attempt,
        "tries": 0,
        "revision": 1,
        "messages": 1,
        "digest": "digest-1",
        "provider": "mailgun",
        "account": "mg.example.com",
        "claimed_at": NOW,
    }
    return Claimed(**fields | changes)


def a_claimable(id_: str = "d1", *, lane: Lane, attempt: int = 0, **changes: Any) -> Claimable:
    usual = {
        "run_id": RunId("run-1"),
        "schedule_id": ScheduleId("sch_1"),
        "tries": 0,
        "revision": 1,
        "messages": 1,
        "digest": "digest",
        "not_before": NOW,
    }
    return Claimable(id=DispatchId(id_), lane=lane, attempt=attempt, **{**usual, **changes})


def a_dispatch(id_: str = "d1", *, state: DispatchState = DispatchState.PENDING, **changes: Any) -> Dispatch:
    usual = {
        "run_id": RunId("run-1"),
        "schedule_id": ScheduleId("sch_1"),
        "lane": Lane("schedule/sch_1"),
        "messages": 1,
        "attempt": 0,
        "tries": 0,
        "not_before": NOW,
    }
    return Dispatch(id=DispatchId(id_), state=state, **{**usual, **changes})


def an_acceptance(*, attempt: int = 1, by: str = "") -> RecordedAcceptance:
    return RecordedAcceptance("id-1", "mailgun", attempt, NOW, by)


def an_event(kind: EventKind, *, id_: str = "e1", at: datetime = NOW, **changes: Any) -> Event:
    fields: dict[str, Any] = {
        "id": f"mailgun/{id_}",
        "provider": "mailgun",
        "kind": kind,
        "at": at,
        "recipient": "bo@example.org",
        "run_id": None,
        "dispatch_id": None,
        "raw": "{}",
    }
    return Event(**fields | changes)
