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

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import DESCENDING, IndexModel, UpdateOne
from pymongo.errors import DuplicateKeyError

from mailroom.domain.beginnings import first_look
from mailroom.domain.errors import ScheduleNotFound, StaleEdit
from mailroom.domain.ids import ScheduleId
from mailroom.domain.misfire import Decisions
from mailroom.domain.name_keys import name_key, word_starts
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.recurrence.model import Kind, Recurrence
from mailroom.domain.schedules import MOVES, Misfire, MisfirePolicy, Schedule, ScheduleState, ScheduleTrigger
from mailroom.storage.database import MOST_COUNTED, Db, Document, Session, drop_unset, guarded
from mailroom.storage.guard import LaneGuard
from mailroom.storage.moves import leaving
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


class AlreadyStored(Exception):
    """A schedule with this id stands already."""


def add(db: Db, schedule: Schedule, *, request_digest: str, session: Session) -> None:
    """Raises AlreadyStored."""
    try:
        db.schedules.insert_one(_document(schedule) | {"request_digest": request_digest}, session=session)
    except DuplicateKeyError:
        raise AlreadyStored(schedule.id) from None


@guarded
def get(db: Db, schedule_id: ScheduleId) -> Schedule:
    """Raises ScheduleNotFound."""
    doc = db.schedules.find_one({"_id": schedule_id})
    if doc is None:
        raise ScheduleNotFound(schedule_id)
    return from_document(doc)


@guarded
def names(db: Db, ids: Sequence[ScheduleId]) -> dict[ScheduleId, str]:
    """The names of these schedules, for lists of runs."""
    return {doc["_id"]: doc["name"] for doc in db.schedules.find({"_id": {"$in": list(ids)}}, {"name": 1})}


def paused_among(db: Db, ids: Collection[ScheduleId], *, session: Session) -> set[ScheduleId]:
    query = {"_id": {"$in": sorted(ids)}, "state": ScheduleState.PAUSED}
    return {ScheduleId(doc["_id"]) for doc in db.schedules.find(query, {"_id": 1}, session=session)}


@guarded
def page(db: Db, *, state: ScheduleState | None, before: tuple[datetime, str] | None, limit: int) -> list[Schedule]:
    """Newest first; archived ones only where asked for. `before` is the last row of the page before."""
    query: Document = {"state": state} if state else {"state": {"$ne": ScheduleState.ARCHIVED}}
    if before:
        created_at, last = before
        query["$or"] = [{"created_at": {"$lt": created_at}}, {"created_at": created_at, "_id": {"$lt": last}}]
    rows = db.schedules.find(query).sort([("created_at", DESCENDING), ("_id", DESCENDING)]).limit(limit)
    return [from_document(doc) for doc in rows]


def everyone(db: Db) -> Iterator[Schedule]:
    """Every schedule, whatever its state."""
    for doc in db.schedules.find():
        yield from_document(doc)


@guarded
def due(db: Db, *, now: datetime, limit: int) -> list[ScheduleId]:
    """Schedules with an undecided instant at `now`, longest waiting first."""
    query = {"state": ScheduleState.ACTIVE, "next_run_at": {"$lte": now}}
    rows = db.schedules.find(query, {"_id": 1}).sort("next_run_at", 1).limit(limit)
    return [ScheduleId(doc["_id"]) for doc in rows]


@guarded
def due_among(db: Db, ids: Sequence[ScheduleId], *, now: datetime, limit: int) -> list[Schedule]:
    """The due schedules among these."""
    query = {"_id": {"$in": list(ids)}, "state": ScheduleState.ACTIVE, "next_run_at": {"$lte": now}}
    return [from_document(doc) for doc in db.schedules.find(query).limit(limit)]


def move_on(db: Db, moves: Sequence[tuple[Schedule, Decisions]], *, now: datetime, guard: LaneGuard) -> bool:
    """Store that instants are decided, where each schedule still is as it was read. False if one is not: then the
    transaction is to be given up, nothing of it may stand."""
    writes = [
        UpdateOne(
            {
                "_id": schedule.id,
                "state": leaving(MOVES, ScheduleTrigger.CAME_TO_END),
                "version": schedule.version,
                "decided_through": schedule.decided_through,
            },
            _moved(schedule, decisions, now),
        )
        for schedule, decisions in moves
    ]
    return db.schedules.bulk_write(writes, ordered=False, session=guard.session).matched_count == len(writes)


@guarded
def look_later(db: Db, looks: Sequence[tuple[Schedule, datetime]]) -> None:
    """Let planning look at these schedules again later, where each still is as it was read. Nothing is decided."""
    writes = [
        UpdateOne(
            {"_id": seen.id, "version": seen.version, "decided_through": seen.decided_through},
            {"$set": {"next_run_at": at}},
        )
        for seen, at in looks
    ]
    if writes:
        db.schedules.bulk_write(writes, ordered=False)


def still_in(db: Db, seen: Schedule, *, session: Session) -> bool:
    """True if the schedule is still in the state that was seen. A change of state before the end of this transaction
    collides with it."""
    as_seen = {"_id": seen.id, "state": seen.state}
    return db.schedules.update_one(as_seen, {"$inc": {"asked": 1}}, session=session).matched_count == 1


def set_aside(db: Db, seen: Schedule, why: str, *, now: datetime, guard: LaneGuard) -> bool:
    """Pause a schedule whose rule cannot be computed. False if it has changed since it was read."""
    paused = MOVES[ScheduleTrigger.SET_ASIDE][1]
    fields = {"state": paused, "paused_at": now, "set_aside": why, "updated_at": now}
    stored = db.schedules.update_one(
        {
            "_id": seen.id,
            "state": leaving(MOVES, ScheduleTrigger.SET_ASIDE),
            "version": seen.version,
            "decided_through": seen.decided_through,
        },
        {"$set": fields | {"version": seen.version + 1}},
        session=guard.session,
    )
    return stored.matched_count == 1


def replace(
    db: Db, schedule: Schedule, *, seen: Schedule, trigger: ScheduleTrigger | None = None, session: Session
) -> None:
    """Store a changed schedule, provided that it still stands as it was seen: same version, same instants decided, and
    a state that the trigger leads away from; without a trigger the state stays.

    Raises ScheduleNotFound, StaleEdit.
    """
    fields = _document(schedule) | {"state": MOVES[trigger][1] if trigger else seen.state}
    del fields["_id"], fields["created_at"]
    unset = {name: "" for name in _UNSET if name not in fields}
    stored = db.schedules.update_one(
        {
            "_id": schedule.id,
            "state": leaving(MOVES, trigger) if trigger else seen.state,
            "version": seen.version,
            "decided_through": seen.decided_through,
        },
        {"$set": fields} | ({"$unset": unset} if unset else {}),
        session=session,
    )
    if stored.matched_count == 1:
        return
    if db.schedules.find_one({"_id": schedule.id}, {"_id": 1}, session=session) is None:
        raise ScheduleNotFound(schedule.id)
    raise StaleEdit(f"schedule {schedule.id} was changed in the same moment; try again")


_UNSET: Final = (
    *("next_run_at", "paused_at", "restored_at", "restored_by", "set_aside"),
    *("delivery", "default_time_zone", "next_due_at"),
)


@guarded
def request_digest(db: Db, schedule_id: ScheduleId) -> str | None:
    """The digest of the request that made this schedule; None if there is no such schedule."""
    doc = db.schedules.find_one({"_id": schedule_id}, {"request_digest": 1})
    return doc.get("request_digest", "") if doc else None


@guarded
def count_by_state(db: Db) -> Mapping[str, int]:
    """The number of schedules in each state, of each at most MOST_COUNTED."""
    return {
        state: db.schedules.count_documents({"state": state}, limit=MOST_COUNTED, hint=BY_CREATION)
        for state in ScheduleState
    }


def _moved(schedule: Schedule, decisions: Decisions, now: datetime) -> Document:
    fields: Document = {
        "decided_through": decisions.decided_through,
        "decided": decisions.decided,
        "updated_at": now,
    }
    if decisions.next_run_at is not None:
        return {"$set": fields | _next_of(schedule, decisions.next_run_at, since=schedule.look_at)}
    fields |= {"state": MOVES[ScheduleTrigger.CAME_TO_END][1], "version": schedule.version + 1}
    return {"$set": fields, "$unset": {"next_run_at": "", "next_due_at": ""}}


def _next_of(schedule: Schedule, due_at: datetime | None, *, since: datetime | None) -> Document:
    """When planning looks at the schedule for this due instant, but not before `since`."""
    in_own_time = schedule.delivery is DeliveryTime.RECIPIENT_TIME
    return drop_unset(
        {"next_run_at": first_look(schedule, due_at, since=since), "next_due_at": due_at if in_own_time else None}
    )


def _document(schedule: Schedule) -> Document:
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
            **_next_of(schedule, schedule.next_run_at, since=schedule.updated_at),
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


def name_fields(name: str) -> Document:
    """The fields that a document has beside its name, for lists."""
    return {"name_key": name_key(name), "name_starts": word_starts(name), "named": name}


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
