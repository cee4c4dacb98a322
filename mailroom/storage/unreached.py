"""Who did not get a mail, and is sent it once more by another run or mail: in `messages` and `dispatches`.

    sent_again   of a message that did not reach its recipient: the run or mail that carries it instead, for good.
                 Of a dispatch that failed: the one that carries messages of it; it is not requeued any more

So nobody is mailed twice by asking twice, nor by requeueing what another run carries already.

Index: `listed` of messages.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mailroom.domain.dispatches import OPEN, DispatchState
from mailroom.domain.ids import RunId
from mailroom.domain.messages import UNREACHED, MessageState
from mailroom.storage.database import Db, Document, Session, guarded

_NOT_YET: Final[Document] = {"$exists": False}
_MAY_STILL_GO: Final = sorted({*OPEN, DispatchState.UNKNOWN})


@guarded
def count(db: Db, run_id: RunId) -> int:
    """How many of a run did not get their mail and are not sent it by another one."""
    return db.messages.count_documents(_query(run_id) | {"sent_again": _NOT_YET})


@guarded
def page(db: Db, run_id: RunId, *, after: str, limit: int, left: bool = False) -> list[Mapping[str, Any]]:
    """Messages in the order of their ids; only those that nobody sends again yet where `left`."""
    query = _query(run_id) | {"_id": {"$gt": after}}
    if left:
        query["sent_again"] = _NOT_YET
    return list(db.messages.find(query, {"parts": 0}).sort("_id", 1).limit(limit).hint("listed"))


def take(db: Db, rows: Sequence[Mapping[str, Any]], by: RunId, *, session: Session) -> bool:
    """Have these carried by another run or mail, for good. False if one is not as it was read: then give the
    transaction up."""
    taken = {"$set": {"sent_again": by}}
    unreached = {"_id": {"$in": [row["_id"] for row in rows]}, "state": {"$in": sorted(UNREACHED)}}
    marked = db.messages.update_many(unreached | {"sent_again": _NOT_YET}, taken, session=session)
    if marked.matched_count != len(rows):
        return False
    refused = {row["dispatch_id"] for row in rows if row["state"] == MessageState.FAILED and row.get("dispatch_id")}
    if not refused:
        return True
    # Written, not only read: whoever requeues one of them in this moment collides.
    db.dispatches.update_many({"_id": {"$in": sorted(refused)}}, taken, session=session)
    going = {"_id": {"$in": sorted(refused)}, "state": {"$in": _MAY_STILL_GO}}
    return db.dispatches.find_one(going, {"_id": 1}, session=session) is None


def _query(run_id: RunId) -> Document:
    return {"run_id": run_id, "state": {"$in": sorted(UNREACHED)}}
