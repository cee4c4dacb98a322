"""Dispatches whose unreached messages another run or mail carries, in the collection `dispatches` (see document.py).

sent_again   the newest run or mail that carries one of its messages; a dispatch with this field is never requeued
"""

from collections.abc import Sequence
from typing import Final

from mailroom.domain.dispatches.states import OPEN, DispatchState
from mailroom.domain.ids import DispatchId, RunId
from mailroom.storage.database import Db, Session

_MAY_STILL_GO: Final = sorted({*OPEN, DispatchState.UNKNOWN, DispatchState.SPLIT})


def may_still_go(db: Db, ids: Sequence[DispatchId]) -> set[str]:
    """The dispatches among these whose call may still be made, or may have been made without a known outcome."""
    going = {"_id": {"$in": list(ids)}, "state": {"$in": _MAY_STILL_GO}}
    return {doc["_id"] for doc in db.dispatches.find(going, {"_id": 1})}


def note_resent(db: Db, ids: Sequence[DispatchId], *, by: RunId, session: Session) -> bool:
    """Note the run or mail that carries messages of these dispatches. False if one of them may still go: the caller
    must then abort the transaction.

    Each dispatch is written, not only read, so that a concurrent requeue collides.
    """
    db.dispatches.update_many({"_id": {"$in": list(ids)}}, {"$set": {"sent_again": by}}, session=session)
    going = {"_id": {"$in": list(ids)}, "state": {"$in": _MAY_STILL_GO}}
    return db.dispatches.find_one(going, {"_id": 1}, session=session) is None
