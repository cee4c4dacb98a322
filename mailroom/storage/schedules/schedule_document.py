"""Collection `schedules`: one document a schedule.

    _id              schedule id
    name, state      `active`, `paused`, `finished`, `archived`
    name_key, name_starts
                     the name as lists sort it, and its parts as searches compare them (see domain/name_keys.py)
    named            the name that these two were made from: a process of the release before renames without them
    recurrence       kind, time_zone, anchor, and what the kind needs; starts_at, ends_at, max_runs
    misfire          policy, grace_s
    revision         int, the newest content revision (collection `contents`)
    version          int, raised by every edit and change of state: the ETag
    decided          int, due instants decided so far
    decided_through  every due instant up to here has its run or its recorded decision
    next_run_at      when planning looks at it next: the first due instant after that; absent when there is none
    delivery         `recipient_time`; absent: everybody gets a run at its due instant
    default_time_zone  for contacts without a zone; absent: that of the recurrence
    next_due_at      where it goes out in each recipient's own time: the first due instant. `next_run_at` moves towards
                     the wall time in the earliest zone of its contacts (see domain/beginnings.py)
    request_digest   of the request that made it under an Idempotency-Key
    rule_since       when the recurrence was last edited; absent where it never was
    created_at, updated_at, paused_at
    restored_at, restored_by
                     since when it is out of the archive, and by whom; absent once it is resumed or archived again
    asked            int, raised by each run that a person asks for, so that such a run collides with a pause
    set_aside        why planning paused it: the reason why its rule cannot be computed; absent otherwise

Edited by the API and pages (guarded by `version`); moved on by planning (guarded by `decided_through` and `version`
in one transaction with the lane's token).

Indexes: `state, next_run_at` finds what is due, and pages the list by it; `created_at, _id` pages the list; so do
`state, created_at` and `state, name_key`; `state, name_starts` finds names; `ended` (partial: finished ones) finds
those to archive.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import DESCENDING, IndexModel

from mailroom.domain.beginnings import first_look
from mailroom.domain.ids import ScheduleId
from mailroom.domain.name_keys import name_key, word_starts
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.recurrence.model import Kind, Recurrence
from mailroom.domain.schedules import Misfire, MisfirePolicy, Schedule, ScheduleState
from mailroom.storage.database import Document, drop_unset
from mailroom.storage.paging import Index

COLLECTION: Final = "schedules"
BY_NEXT_RUN: Final[Index] = [("state", 1), ("next_run_at", 1), ("_id", 1)]
BY_CREATION: Final[Index] = [("state", 1), ("created_at", DESCENDING), ("_id", DESCENDING)]
BY_NAME: Final[Index] = [("state", 1), ("name_key", 1), ("_id", 1)]
BY_WORD: Final[Index] = [("state", 1), ("name_starts", 1)]
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel([("created_at", DESCENDING), ("_id", DESCENDING)]),
    *(IndexModel(list(index)) for index in (BY_NEXT_RUN, BY_CREATION, BY_NAME, BY_WORD)),
    IndexModel(
        [("updated_at", 1), ("_id", 1)], name="ended", partialFilterExpression={"state": ScheduleState.FINISHED}
    ),
)
OLD_INDEXES: Final = ("state_1_next_run_at_1",)  # dropped at the start; BY_NEXT_RUN replaces it


def to_document(schedule: Schedule) -> Document:
    return drop_unset(
        {
            "_id": schedule.id,
            "name": schedule.name,
            **name_fields(schedule.name),
            "state": schedule.state,
            "recurrence": _recurrence_document(schedule.recurrence),
            "misfire": {"policy": schedule.misfire.policy, "grace_s": schedule.misfire.grace_s},
            "revision": schedule.revision,
            "version": schedule.version,
            "decided": schedule.decided,
            "decided_through": schedule.decided_through,
            **next_look(schedule, schedule.next_run_at, since=schedule.updated_at),
            "delivery": schedule.delivery if schedule.delivery is DeliveryTime.RECIPIENT_TIME else None,
            "default_time_zone": schedule.default_time_zone or None,
            "created_at": schedule.created_at,
            "updated_at": schedule.updated_at,
            "paused_at": schedule.paused_at,
            "restored_at": schedule.restored_at,
            "restored_by": schedule.restored_by or None,
            "set_aside": schedule.set_aside or None,
            "rule_since": schedule.rule_since,
        }
    )


def as_seen(seen: Schedule) -> Document:
    """Finds the schedule if nobody has changed it, and no instant was decided, since it was read."""
    return {"_id": seen.id, "version": seen.version, "decided_through": seen.decided_through}


def name_fields(name: str) -> Document:
    """The fields that a document has beside its name, for lists."""
    return {"name_key": name_key(name), "name_starts": word_starts(name), "named": name}


def next_look(schedule: Schedule, due_at: datetime | None, *, since: datetime | None) -> Document:
    """When planning looks at the schedule for this due instant, but not before `since`."""
    in_own_time = schedule.delivery is DeliveryTime.RECIPIENT_TIME
    return drop_unset(
        {"next_run_at": first_look(schedule, due_at, since=since), "next_due_at": due_at if in_own_time else None}
    )


def _recurrence_document(rule: Recurrence) -> Document:
    return drop_unset(
        {
            "kind": rule.kind,
            "time_zone": rule.time_zone,
            "anchor": rule.anchor,
            "expression": rule.expression or None,
            "at": rule.at.isoformat() if rule.at else None,  # local time: text, so that nothing takes it for UTC
            "seconds": rule.seconds or None,
            "starts_at": rule.starts_at,
            "ends_at": rule.ends_at,
            "max_runs": rule.max_runs,
        }
    )


def from_document(doc: Document) -> Schedule:
    return Schedule(
        id=ScheduleId(doc["_id"]),
        name=doc["name"],
        state=ScheduleState(doc["state"]),
        recurrence=_recurrence(doc["recurrence"]),
        misfire=Misfire(MisfirePolicy(doc["misfire"]["policy"]), doc["misfire"]["grace_s"]),
        revision=doc["revision"],
        version=doc["version"],
        decided=doc["decided"],
        decided_through=doc["decided_through"],
        next_run_at=doc.get("next_due_at", doc.get("next_run_at")),
        created_at=doc["created_at"],
        updated_at=doc["updated_at"],
        paused_at=doc.get("paused_at"),
        restored_at=doc.get("restored_at"),
        restored_by=doc.get("restored_by", ""),
        set_aside=doc.get("set_aside", ""),
        rule_since=doc.get("rule_since"),
        delivery=DeliveryTime(doc.get("delivery", DeliveryTime.SCHEDULE_TIME)),
        default_time_zone=doc.get("default_time_zone", ""),
        look_at=doc.get("next_run_at") if "next_due_at" in doc else None,
    )


def _recurrence(doc: Mapping[str, Any]) -> Recurrence:
    return Recurrence(
        kind=Kind(doc["kind"]),
        time_zone=doc["time_zone"],
        anchor=doc["anchor"],
        expression=doc.get("expression", ""),
        at=datetime.fromisoformat(doc["at"]) if "at" in doc else None,
        seconds=doc.get("seconds", 0),
        starts_at=doc.get("starts_at"),
        ends_at=doc.get("ends_at"),
        max_runs=doc.get("max_runs"),
    )
