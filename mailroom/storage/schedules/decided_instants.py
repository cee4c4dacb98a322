"""The due instants of a schedule for which there is a run, or a recorded decision not to run (see run_document.py)."""

from datetime import datetime

from pymongo import DESCENDING

from mailroom.domain.ids import RunId, ScheduleId
from mailroom.domain.runs import Run, RunKind, RunState
from mailroom.storage.database import Db, Session, guarded
from mailroom.storage.schedules.run_document import from_document


@guarded
def ranges(db: Db, schedule_id: ScheduleId, first: datetime, last: datetime) -> list[tuple[datetime, datetime]]:
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
