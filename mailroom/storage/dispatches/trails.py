"""Audit trails cut off dispatches which are through, in the collection `dispatches` (see document.py)."""

from collections.abc import Sequence
from typing import Final

from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import RunId
from mailroom.storage.database import Db
from mailroom.storage.dispatches.document import ids_of_run

_THROUGH: Final = [DispatchState.ACCEPTED, DispatchState.FAILED, DispatchState.CANCELLED, DispatchState.SPLIT]


def cut(db: Db, runs: Sequence[RunId]) -> int:
    """Cut the trails off dispatches of these runs or mails. Acceptances stay: they are facts. Returns how many were
    cut."""
    count = 0
    for run_id in runs:
        with_trail = {"_id": ids_of_run(run_id), "state": {"$in": _THROUGH}, "trail.0": {"$exists": True}}
        count += db.dispatches.update_many(with_trail, {"$set": {"trail": []}}).modified_count
    return count
