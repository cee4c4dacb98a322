"""Collection `runs`: one document a run, or a recorded decision not to run.

    _id              run id, made from schedule and due instant (or the asker's key): it can exist once
    schedule_id, kind (`due`, `asked`, `again`), state, due_at (UTC), revision, audience, recipients, created_at
    source           of a resent run: the run whose unreached recipients it goes to
    lists            who it goes to: [{a: audience, at: version, only: filter}], an address by the first that holds it.
                     `at` is absent for an audience as it was made, `only` for a whole one. Absent: all of `audience`,
                     as it was made;  excluded: who it does not go to, alike
    template         the version of a stored template that its content is made of (see template_pins.py); absent without
    groups           of a resent run: the number of groups that its recipients are cut into, fixed when it is inserted.
                     Absent in runs from before 2026-11-29: their groups are named by three hexadecimal digits
    recipient_time   of one that goes out in each recipient's own time: wall (local time, as text), default_zone,
                     starts_at, late_before (see domain/recipient_times.py); absent otherwise
    planned_through  folded address (of one with a source: that run's message; in each recipient's own time: the place
                     in the slices, see domain/slice_places.py) up to which messages stand, '' before the first
    chunks           dispatches so far;  placed: members of the audience so far
    unwritten        true of one that was cancelled in planning, until the rest of its messages stand too, as cancelled
    planned_at, finished_at, cancelled_at
    paused_at, paused_by  since when, and by whom; only while it is paused. For display: claims read `holds`
    reason, due_through, instants   of a skipped run: why, and the range that it stands for
    awaits_feed      from when on its feed is fetched, for the first time or again; absent once the run has it, in runs
                     without a feed, and in ended ones. No message is written while it is there
    feed_tries, feed_problem        fetches that failed, and why the last one did

Inserted by planning and 'run now'; moved by the lane's holder in transactions that check the lane's token;
cancelled by the API.

Indexes: `schedule_id, due_at, _id` for a schedule's runs; `due_at, _id` for all runs; both with `state` for those in a
state; `lists.a, due_at, _id` for the runs to an audience; `state` (partial: open ones) for runs to plan or to finish;
`unwritten` for cancelled runs whose messages are still to be written; `awaits_feed` (partial) for runs whose feed is to
be fetched; `open_of_schedule` (partial: open ones) for runs that are paused or cancelled with their schedule.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final, NamedTuple

from pymongo import DESCENDING, IndexModel, UpdateOne

from mailroom.domain.audience_versions import AudienceVersion, Selection
from mailroom.domain.errors import RunNotFound
from mailroom.domain.ids import AudienceId, RunId, ScheduleId
from mailroom.domain.recipient_times import RecipientTime
from mailroom.domain.runs import MOVES, OPEN, Run, RunKind, RunState, RunTrigger
from mailroom.storage.database import Db, Document, Session, drop_unset, guarded
from mailroom.storage.guard import LaneGuard
from mailroom.storage.moves import leaving
from mailroom.storage.paging import Index
from mailroom.storage.template_pins import document_of, pin_of

COLLECTION: Final = "runs"
BY_DUE: Final[Index] = [("due_at", DESCENDING), ("_id", DESCENDING)]
OF_SCHEDULE: Final[Index] = [("schedule_id", 1), *BY_DUE]
IN_STATE: Final[Index] = [("state", 1), *BY_DUE]
OF_SCHEDULE_IN_STATE: Final[Index] = [("schedule_id", 1), ("state", 1), *BY_DUE]
TO_AUDIENCE: Final[Index] = [("lists.a", 1), *BY_DUE]
INDEXES: Final[Sequence[IndexModel]] = (
    *(IndexModel(list(index)) for index in (OF_SCHEDULE, BY_DUE, IN_STATE, OF_SCHEDULE_IN_STATE)),
    IndexModel(list(TO_AUDIENCE), partialFilterExpression={"lists": {"$exists": True}}),
    IndexModel(
        [("state", 1), ("due_at", 1), ("schedule_id", 1)],
        name="open_runs",
        partialFilterExpression={"state": {"$in": sorted(OPEN)}},
    ),
    IndexModel(
        [("unwritten", 1), ("due_at", 1), ("schedule_id", 1)],
        name="unwritten",
        partialFilterExpression={"unwritten": True},
    ),
    IndexModel(
        [("awaits_feed", 1), ("schedule_id", 1)],
        name="awaits_feed",
        partialFilterExpression={"awaits_feed": {"$exists": True}},
    ),
    IndexModel(
        [("schedule_id", 1), ("state", 1)],
        name="open_of_schedule",
        partialFilterExpression={"state": {"$in": sorted(OPEN)}},
    ),
    IndexModel([("created_at", 1)]),
    IndexModel([("state", 1), ("_id", 1)], name="planned", partialFilterExpression={"state": RunState.PLANNED}),
)


def add_many(db: Db, runs: Sequence[Run], *, session: Session) -> None:
    """In the transaction that decides them. An instant that has its run or its record already keeps it."""
    writes = [UpdateOne({"_id": run.id}, {"$setOnInsert": _document(run)}, upsert=True) for run in runs]
    if writes:
        db.runs.bulk_write(writes, ordered=False, session=session)


def add_once(db: Db, run: Run, *, session: Session) -> bool:
    """True if the run is new; False if it stands already."""
    made = {"$setOnInsert": _document(run)}
    return db.runs.update_one({"_id": run.id}, made, upsert=True, session=session).matched_count == 0


class LookedAtRun(NamedTuple):
    """`is_open`: whether messages of it may still be written."""

    id: RunId
    is_open: bool


@guarded
def ids_after(db: Db, run_id: str, *, limit: int) -> list[RunId]:
    """The ids of runs and of decisions not to run, in their order, after this one."""
    return [RunId(doc["_id"]) for doc in db.runs.find({"_id": {"$gt": run_id}}, {"_id": 1}).sort("_id", 1).limit(limit)]


def looked_at(db: Db, ids: Collection[RunId], *, session: Session) -> list[LookedAtRun]:
    """The stored ones among these runs."""
    rows = db.runs.find({"_id": {"$in": sorted(ids)}}, {"state": 1, "unwritten": 1}, session=session)
    return [LookedAtRun(RunId(doc["_id"]), doc["state"] == RunState.PLANNING or "unwritten" in doc) for doc in rows]


def forget_place(db: Db, ids: Collection[RunId], key: str, *, session: Session) -> None:
    """Take a folded address off these runs, to which their planning came last: nothing more of them is planned."""
    planned = {"_id": {"$in": sorted(ids)}, "planned_through": {"$regex": re.escape(key)}}
    db.runs.update_many(planned, {"$set": {"planned_through": ""}}, session=session)


@guarded
def get(db: Db, run_id: RunId) -> Run:
    """Raises RunNotFound."""
    doc = db.runs.find_one({"_id": run_id})
    if doc is None:
        raise RunNotFound(run_id)
    return from_document(doc)


@guarded
def find(db: Db, run_id: RunId) -> Run | None:
    doc = db.runs.find_one({"_id": run_id})
    return from_document(doc) if doc else None


@guarded
def page(db: Db, *, schedule_id: ScheduleId | None, before: tuple[datetime, str] | None, limit: int) -> list[Run]:
    """Latest due instant first. `before` is the last row of the page before."""
    query: Document = {"schedule_id": schedule_id} if schedule_id else {}
    if before:
        due_at, last = before
        query["$or"] = [{"due_at": {"$lt": due_at}}, {"due_at": due_at, "_id": {"$lt": last}}]
    rows = db.runs.find(query).sort([("due_at", DESCENDING), ("_id", DESCENDING)]).limit(limit)
    return [from_document(doc) for doc in rows]


@guarded
def schedules_in_planning(db: Db, *, limit: int) -> list[ScheduleId]:
    """Schedules with a run whose messages can be written now, longest waiting first; of cancelled runs last."""
    rows = [
        doc for which in _TO_WRITE for doc in db.runs.find(which, {"schedule_id": 1}).sort("due_at", 1).limit(limit)
    ]
    return list(dict.fromkeys(ScheduleId(doc["schedule_id"]) for doc in rows))[:limit]


@guarded
def in_planning(db: Db, schedules: Sequence[ScheduleId], *, limit: int) -> list[Run]:
    """For each of these schedules its earliest run whose messages do not all stand yet, and that does not wait for its
    feed; longest due first, and runs to write down only after runs to send."""
    found: dict[str, Run] = {}
    for which in _TO_WRITE:
        rows = db.runs.aggregate(
            [
                {"$match": {**which, "schedule_id": {"$in": list(schedules)}}},
                {"$sort": {"due_at": 1}},
                # One a schedule: a backlog of one does not hide the others.
                {"$group": {"_id": "$schedule_id", "run": {"$first": "$$ROOT"}}},
                {"$replaceRoot": {"newRoot": "$run"}},
                {"$sort": {"due_at": 1}},
                {"$limit": limit},
            ]
        )
        for doc in rows:
            found.setdefault(doc["schedule_id"], from_document(doc))
    return list(found.values())[:limit]


_TO_WRITE: Final[Sequence[Document]] = (
    {"state": RunState.PLANNING, "awaits_feed": {"$exists": False}},
    {"unwritten": True},
)


@guarded
def awaiting_feeds(db: Db, schedules: Collection[ScheduleId], *, now: datetime, limit: int) -> list[Run]:
    """Runs of these schedules whose feeds are to be fetched now, longest waiting first; without paused runs."""
    query = {"awaits_feed": {"$lte": now}, "schedule_id": {"$in": sorted(schedules)}, "paused_at": {"$exists": False}}
    return [from_document(doc) for doc in db.runs.find(query).sort("awaits_feed", 1).hint("awaits_feed").limit(limit)]


@guarded
def schedules_awaiting_feeds(db: Db, *, now: datetime, limit: int, but: Collection[RunId]) -> list[ScheduleId]:
    """Schedules with a run whose feed is to be fetched now, longest waiting first; runs in `but` do not count."""
    query = {"awaits_feed": {"$lte": now}, "_id": {"$nin": sorted(but)}}
    rows = db.runs.find(query, {"schedule_id": 1}).sort("awaits_feed", 1).hint("awaits_feed").limit(limit)
    return list(dict.fromkeys(ScheduleId(doc["schedule_id"]) for doc in rows))


@guarded
def feed_came(db: Db, run_id: RunId) -> None:
    """The run has its copy of the feed: its messages may be written."""
    db.runs.update_one({"_id": run_id}, {"$unset": {"awaits_feed": "", "feed_problem": ""}})


@guarded
def feed_failed(db: Db, run_id: RunId, problem: str, *, again_at: datetime) -> None:
    """Note a fetch that failed, of a run that still waits for its feed."""
    note = {"$set": {"awaits_feed": again_at, "feed_problem": problem}, "$inc": {"feed_tries": 1}}
    db.runs.update_one({"_id": run_id, "awaits_feed": {"$exists": True}}, note)


def skip(db: Db, run_id: RunId, reason: str, *, guard: LaneGuard) -> bool:
    """True if the run waited for its feed, was not paused, and is skipped now."""
    waiting = {"_id": run_id, "state": leaving(MOVES, RunTrigger.SKIPPED), "awaits_feed": {"$exists": True}}
    change = {"$set": {"state": MOVES[RunTrigger.SKIPPED][1], "reason": reason}, "$unset": {"awaits_feed": ""}}
    going = {**waiting, "paused_at": {"$exists": False}}
    return db.runs.update_one(going, change, session=guard.session).matched_count == 1


class Step(NamedTuple):
    """How far a run is planned: its members up to a place, so many more of them and of dispatches. `counts`: only now
    it is known how many members there are."""

    run: Run
    through: str
    members: int
    dispatches: int
    is_last: bool
    counts: bool = False


def advance(db: Db, steps: Sequence[Step], *, now: datetime, guard: LaneGuard) -> bool:
    """Write these steps down, provided that each run is in the state and stands where it was read. False if one does
    not."""
    writes = []
    for run, through, members, dispatches, is_last, counts in steps:
        counted = {"chunks": dispatches, "placed": members}
        change: Document = {"$set": {"planned_through": through}, "$inc": counted}
        if is_last and counts:
            change["$set"] |= {"recipients": run.placed + members}
        if is_last and run.unwritten:
            change["$unset"] = {"unwritten": ""}
        elif is_last:
            change["$set"] |= {"state": MOVES[RunTrigger.PLANNED][1], "planned_at": now}
        # Of a cancelled run the rest of the messages is written too; that moves no state.
        state = run.state if run.unwritten else leaving(MOVES, RunTrigger.PLANNED)
        expected = {"_id": run.id, "state": state, "planned_through": run.planned_through}
        writes.append(UpdateOne(expected, change))
    return db.runs.bulk_write(writes, ordered=False, session=guard.session).matched_count == len(writes)


@guarded
def finish(db: Db, run_ids: Sequence[RunId], *, now: datetime) -> int:
    """Mark planned runs as finished; the caller has seen that none of their dispatches is open."""
    done = db.runs.update_many(
        {"_id": {"$in": list(run_ids)}, "state": leaving(MOVES, RunTrigger.FINISHED)},
        {"$set": {"state": MOVES[RunTrigger.FINISHED][1], "finished_at": now}, "$unset": _NOT_PAUSED},
    )
    return done.modified_count


@guarded
def open_of(db: Db, schedules: Collection[ScheduleId], *, session: Session | None = None) -> dict[RunId, ScheduleId]:
    """The open runs of these schedules, each with its schedule."""
    query = {"schedule_id": {"$in": sorted(schedules)}, "state": {"$in": sorted(OPEN)}}
    rows = db.runs.find(query, {"schedule_id": 1}, session=session)
    return {RunId(doc["_id"]): ScheduleId(doc["schedule_id"]) for doc in rows}


@guarded
def under_way_among(db: Db, schedules: Collection[ScheduleId], *, session: Session | None = None) -> set[ScheduleId]:
    """The schedules among these with an open run, or with a run whose messages do not all stand yet."""
    of_these = {"schedule_id": {"$in": sorted(schedules)}}
    found = set(open_of(db, schedules, session=session).values())
    unwritten = db.runs.find({**of_these, "unwritten": True}, {"schedule_id": 1}, session=session)
    return found | {ScheduleId(doc["schedule_id"]) for doc in unwritten}


@guarded
def open_among(db: Db, run_ids: Collection[RunId]) -> dict[RunId, ScheduleId]:
    """The open runs among these, each with its schedule."""
    query = {"_id": {"$in": sorted(run_ids)}, "state": {"$in": sorted(OPEN)}}
    return {RunId(doc["_id"]): ScheduleId(doc["schedule_id"]) for doc in db.runs.find(query, {"schedule_id": 1})}


def mark_paused(db: Db, run_ids: Collection[RunId], *, by: str, now: datetime | None, session: Session) -> None:
    """Note since when, and by whom, these open runs are paused. Only for display: claims read `holds`."""
    query = {"_id": {"$in": sorted(run_ids)}, "state": {"$in": sorted(OPEN)}, "paused_at": {"$exists": False}}
    db.runs.update_many(query, {"$set": {"paused_at": now, "paused_by": by}}, session=session)


def mark_resumed(db: Db, run_ids: Collection[RunId], *, session: Session) -> None:
    db.runs.update_many({"_id": {"$in": sorted(run_ids)}}, {"$unset": _NOT_PAUSED}, session=session)


_NOT_PAUSED: Final = {"paused_at": "", "paused_by": ""}
_ENDED: Final = {**_NOT_PAUSED, "awaits_feed": ""}


def created_between(db: Db, since: datetime, until: datetime) -> Iterator[Run]:
    """Runs and recorded decisions not to run that were made in this time, oldest first."""
    for doc in db.runs.find({"created_at": {"$gte": since, "$lt": until}}).sort("created_at", 1):
        yield from_document(doc)


@guarded
def decided_instants(
    db: Db, schedule_id: ScheduleId, first: datetime, last: datetime
) -> list[tuple[datetime, datetime]]:
    """Ranges of due instants, most of one instant, for which there is a run or a recorded decision."""
    query = {"schedule_id": schedule_id, "due_at": {"$lte": last}, "kind": RunKind.DUE}
    found: list[tuple[datetime, datetime]] = []
    for doc in db.runs.find(query, {"due_at": 1, "due_through": 1}).sort([("due_at", -1), ("_id", -1)]):
        through: datetime = doc.get("due_through") or doc["due_at"]
        if through < first:
            break
        found.append((doc["due_at"], through))
    return found


@guarded
def newest_decision(db: Db, schedule_id: ScheduleId, through: datetime) -> Run | None:
    """The run, or the recorded decision not to run, of the schedule's newest due instants up to this one."""
    query = {"schedule_id": schedule_id, "due_at": {"$lte": through}, "kind": RunKind.DUE}
    doc = db.runs.find_one(query, sort=[("due_at", DESCENDING), ("_id", DESCENDING)])
    return from_document(doc) if doc else None


def recount(db: Db, record_id: RunId, instants: int, *, session: Session) -> None:
    """A recorded decision not to run stands for so many due instants."""
    db.runs.update_one({"_id": record_id, "state": RunState.SKIPPED}, {"$set": {"instants": instants}}, session=session)


def reopen(db: Db, run_ids: Collection[RunId], *, session: Session | None = None) -> None:
    """Finished runs have something to send again."""
    db.runs.update_many(
        {"_id": {"$in": sorted(run_ids)}, "state": leaving(MOVES, RunTrigger.REOPENED)},
        {"$set": {"state": MOVES[RunTrigger.REOPENED][1]}, "$unset": {"finished_at": ""}},
        session=session,
    )


@guarded
def planned_after(db: Db, run_id: RunId, *, limit: int) -> list[RunId]:
    """Runs that are planned and not yet finished, a page in the order of their ids."""
    query = {"state": RunState.PLANNED, "_id": {"$gt": run_id}}
    return [RunId(doc["_id"]) for doc in db.runs.find(query, {"_id": 1}).sort("_id", 1).limit(limit)]


def cancel(db: Db, run_id: RunId, *, now: datetime, session: Session) -> bool:
    """True if the run was open and is cancelled now. The recipients of a run in planning are still written down; not
    those of a run with a source, which goes on listing the recipients that this run did not come to."""
    cancelled: Document = {"state": MOVES[RunTrigger.CANCELLED][1], "cancelled_at": now}
    part_of = {"_id": run_id, "state": RunState.PLANNING, "source": {"$exists": False}}
    written_down = {"$set": {**cancelled, "unwritten": True}, "$unset": _ENDED}
    marked = db.runs.update_one(part_of, written_down, session=session)
    if marked.matched_count:
        return True
    is_open = {"_id": run_id, "state": leaving(MOVES, RunTrigger.CANCELLED)}
    change = {"$set": cancelled, "$unset": _ENDED}
    return db.runs.update_one(is_open, change, session=session).matched_count == 1


def _document(run: Run) -> Document:
    return drop_unset(
        {
            "_id": run.id,
            "schedule_id": run.schedule_id,
            "kind": run.kind,
            "state": run.state,
            "due_at": run.due_at,
            "revision": run.revision,
            "audience": run.audience,
            "recipients": run.recipients,
            "created_at": run.created_at,
            "planned_through": run.planned_through,
            "chunks": run.chunks,
            "placed": run.placed,
            "planned_at": run.planned_at,
            "finished_at": run.finished_at,
            "reason": run.reason,
            "due_through": run.due_through,
            "instants": run.instants,
            "source": run.source,
            "groups": run.groups,
            **_fields_of(run.selection),
            "unwritten": run.unwritten or None,
            "awaits_feed": run.awaits_feed,
            "recipient_time": _recipient_time_fields(run.recipient_time) if run.recipient_time else None,
            "template": document_of(run.template),
        }
    )


def _recipient_time_fields(own: RecipientTime) -> Document:
    return {**asdict(own), "wall": own.wall.isoformat()}  # local time: text, so that nothing takes it for UTC


def _recipient_time(doc: Document) -> RecipientTime:
    return RecipientTime(datetime.fromisoformat(doc["wall"]), doc["default_zone"], doc["starts_at"], doc["late_before"])


def _fields_of(selection: Selection | None) -> Document:
    if selection is None:
        return {}
    return {"lists": _rows(selection.lists), "excluded": _rows(selection.excluded) or None}


def _rows(lists: Sequence[AudienceVersion]) -> list[Document]:
    return [drop_unset({"a": one.audience, "at": one.at, "only": one.only or None}) for one in lists]


def _selection(doc: Document) -> Selection | None:
    return Selection(_lists(doc["lists"]), _lists(doc.get("excluded", ()))) if "lists" in doc else None


def _lists(rows: Sequence[Document]) -> tuple[AudienceVersion, ...]:
    return tuple(AudienceVersion(AudienceId(row["a"]), row.get("at"), row.get("only", "")) for row in rows)


def from_document(doc: Document) -> Run:
    return Run(
        id=RunId(doc["_id"]),
        schedule_id=ScheduleId(doc["schedule_id"]),
        kind=RunKind(doc["kind"]),
        state=RunState(doc["state"]),
        due_at=doc["due_at"],
        revision=doc["revision"],
        audience=AudienceId(doc["audience"]) if doc.get("audience") else None,
        recipients=doc["recipients"],
        created_at=doc["created_at"],
        planned_through=doc["planned_through"],
        chunks=doc["chunks"],
        placed=doc.get("placed", 0),
        planned_at=doc.get("planned_at"),
        finished_at=doc.get("finished_at"),
        cancelled_at=doc.get("cancelled_at"),
        paused_at=doc.get("paused_at"),
        paused_by=doc.get("paused_by", ""),
        reason=doc.get("reason"),
        due_through=doc.get("due_through"),
        instants=doc["instants"],
        source=RunId(doc["source"]) if "source" in doc else None,
        groups=doc.get("groups"),
        selection=_selection(doc),
        template=pin_of(doc.get("template")),
        unwritten=doc.get("unwritten", False),
        awaits_feed=doc.get("awaits_feed"),
        feed_tries=doc.get("feed_tries", 0),
        feed_problem=doc.get("feed_problem", ""),
        recipient_time=_recipient_time(doc["recipient_time"]) if "recipient_time" in doc else None,
    )
