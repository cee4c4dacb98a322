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
state, such as runs to plan, to finish, or to pause with their schedule; `lists.a, due_at, _id` for the runs to an
audience; `unwritten` for cancelled runs whose messages are still to be written; `awaits_feed` (partial) for runs whose
feed is to be fetched; `created_at` for what was decided in an hour.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final

from pymongo import DESCENDING, IndexModel

from mailroom.domain.audience_versions import AudienceVersion, Selection
from mailroom.domain.ids import AudienceId, RunId, ScheduleId
from mailroom.domain.recipient_times import RecipientTime
from mailroom.domain.runs import Run, RunKind, RunState
from mailroom.storage.database import Document, drop_unset
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
        [("unwritten", 1), ("due_at", 1), ("schedule_id", 1)],
        name="unwritten",
        partialFilterExpression={"unwritten": True},
    ),
    IndexModel(
        [("awaits_feed", 1), ("schedule_id", 1)],
        name="awaits_feed",
        partialFilterExpression={"awaits_feed": {"$exists": True}},
    ),
    IndexModel([("created_at", 1)]),
)
# Dropped at start-up: each state of a run is a step through these indexes, and those with `state` above serve their
# questions as well. No version names them in a query.
OLD_INDEXES: Final = ("open_runs", "open_of_schedule", "planned")


def to_document(run: Run) -> Document:
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


def _fields_of(selection: Selection | None) -> Document:
    if selection is None:
        return {}
    return {"lists": _rows(selection.lists), "excluded": _rows(selection.excluded) or None}


def _rows(lists: Sequence[AudienceVersion]) -> list[Document]:
    return [drop_unset({"a": one.audience, "at": one.at, "only": one.only or None}) for one in lists]


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


def _recipient_time(doc: Document) -> RecipientTime:
    return RecipientTime(datetime.fromisoformat(doc["wall"]), doc["default_zone"], doc["starts_at"], doc["late_before"])


def _selection(doc: Document) -> Selection | None:
    return Selection(_lists(doc["lists"]), _lists(doc.get("excluded", ()))) if "lists" in doc else None


def _lists(rows: Sequence[Document]) -> tuple[AudienceVersion, ...]:
    return tuple(AudienceVersion(AudienceId(row["a"]), row.get("at"), row.get("only", "")) for row in rows)
