"""What runs hold of a person (see run_document.py): the address to which their planning came last."""

import re
from collections.abc import Collection
from typing import NamedTuple

from mailroom.domain.ids import RunId
from mailroom.domain.runs import RunState
from mailroom.storage.database import Db, Session


class LookedAtRun(NamedTuple):
    """`is_open`: whether messages of it may still be written."""

    id: RunId
    is_open: bool


def looked_at(db: Db, ids: Collection[RunId], *, session: Session) -> list[LookedAtRun]:
    """The stored ones among these runs."""
    rows = db.runs.find({"_id": {"$in": sorted(ids)}}, {"state": 1, "unwritten": 1}, session=session)
    return [LookedAtRun(RunId(doc["_id"]), doc["state"] == RunState.PLANNING or "unwritten" in doc) for doc in rows]


def forget_place(db: Db, ids: Collection[RunId], key: str, *, session: Session) -> None:
    """Take a folded address off these runs, to which their planning came last: nothing more of them is planned."""
    planned = {"_id": {"$in": sorted(ids)}, "planned_through": {"$regex": re.escape(key)}}
    db.runs.update_many(planned, {"$set": {"planned_through": ""}}, session=session)
