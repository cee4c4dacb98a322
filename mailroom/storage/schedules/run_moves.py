"""The moves of a run (see run_document.py) after its planning, and its pause, which is a mark and no state."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from mailroom.domain.ids import RunId
from mailroom.domain.runs import MOVES, OPEN, RunState, RunTrigger
from mailroom.storage.database import Db, Document, Session, guarded
from mailroom.storage.moves import leaving

_NOT_PAUSED: Final = {"paused_at": "", "paused_by": ""}
_ENDED: Final = {**_NOT_PAUSED, "awaits_feed": ""}


@guarded
def finish(db: Db, run_ids: Sequence[RunId], *, now: datetime) -> int:
    """Mark planned runs as finished; the caller has seen that none of their dispatches is open."""
    done = db.runs.update_many(
        {"_id": {"$in": list(run_ids)}, "state": leaving(MOVES, RunTrigger.FINISHED)},
        {"$set": {"state": MOVES[RunTrigger.FINISHED][1], "finished_at": now}, "$unset": _NOT_PAUSED},
    )
    return done.modified_count


def reopen(db: Db, run_ids: Collection[RunId], *, session: Session | None = None) -> None:
    """Finished runs have something to send again."""
    db.runs.update_many(
        {"_id": {"$in": sorted(run_ids)}, "state": leaving(MOVES, RunTrigger.REOPENED)},
        {"$set": {"state": MOVES[RunTrigger.REOPENED][1]}, "$unset": {"finished_at": ""}},
        session=session,
    )


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


def mark_paused(db: Db, run_ids: Collection[RunId], *, by: str, now: datetime | None, session: Session) -> None:
    """Note since when, and by whom, these open runs are paused. Only for display: claims read `holds`."""
    query = {"_id": {"$in": sorted(run_ids)}, "state": {"$in": sorted(OPEN)}, "paused_at": {"$exists": False}}
    db.runs.update_many(query, {"$set": {"paused_at": now, "paused_by": by}}, session=session)


def mark_resumed(db: Db, run_ids: Collection[RunId], *, session: Session) -> None:
    db.runs.update_many({"_id": {"$in": sorted(run_ids)}}, {"$unset": _NOT_PAUSED}, session=session)
