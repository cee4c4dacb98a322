"""Who did not get a mail, and is sent it once more by another run or mail: in the collection `messages`.

    sent_again   of a message that did not reach its recipient: the run or mail that carries it instead, for good

So nobody is mailed twice by asking twice, nor by requeueing what another run carries already. Whoever gave a sign of
having the mail (delivered, opened, clicked, complained) was reached, whatever a bounce said.

Index: `listed` of document.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mailroom.domain.ids import DispatchId, RunId
from mailroom.domain.messages import UNREACHED
from mailroom.storage import kept_counts
from mailroom.storage.cluster import restored_fences
from mailroom.storage.database import Db, Document, Session, guarded
from mailroom.storage.dispatches import resends

_NONE: Final[Document] = {"$exists": False}
_SIGNS: Final = ("delivered_at", "first_opened_at", "first_clicked_at", "complained_at", "unsubscribed_at")
_COUNTS: Final = ("opens", "machine_opens", "clicks", "machine_clicks")
_A_STEP: Final = 1_000


@guarded
def count(db: Db, run_id: RunId, *, session: Session | None = None) -> int:
    """How many of a run did not get their mail and are not sent it by another one; the own calls of some of them may
    still go."""
    return db.messages.count_documents(_query(run_id) | {"sent_again": _NONE}, session=session)


@guarded
def page(db: Db, run_id: RunId, *, after: str, limit: int) -> list[Mapping[str, Any]]:
    """Messages in the order of their ids."""
    query = _query(run_id) | {"_id": {"$gt": after}}
    return list(db.messages.find(query, {"parts": 0}).sort("_id", 1).limit(limit).hint("listed"))


@guarded
def left(db: Db, run_id: RunId, *, after: str, limit: int) -> tuple[list[Mapping[str, Any]], bool]:
    """At most so many, in the order of their ids, that may be sent again now, and whether there are more. Not among
    them is what another one carries, and what may still go, or have gone, by a call of its own."""
    found: list[Mapping[str, Any]] = []
    while len(found) <= limit:
        query = _query(run_id) | {"sent_again": _NONE, "_id": {"$gt": after}}
        rows = list(db.messages.find(query, {"parts": 0}).sort("_id", 1).limit(_A_STEP).hint("listed"))
        if not rows:
            break
        held = _held(db, [row["dispatch_id"] for row in rows if row.get("dispatch_id")])
        found += [row for row in rows if row.get("dispatch_id") not in held]
        after = rows[-1]["_id"]
    return found[:limit], len(found) > limit


def take(db: Db, rows: Sequence[Mapping[str, Any]], by: RunId, *, session: Session) -> bool:
    """Have these carried by another run or mail, for good. False if one is not as it was read: then give the
    transaction up."""
    taken = {"$set": {"sent_again": by}}
    ids = {"_id": {"$in": [row["_id"] for row in rows]}}
    kept_counts.mark_within(db, kept_counts.of_messages(row["_id"] for row in rows), session)
    marked = db.messages.update_many(ids | _UNREACHED | {"sent_again": _NONE}, taken, session=session)
    if marked.matched_count != len(rows):
        return False
    # As they stand now: a split may have given them others since they were read.
    now = db.messages.find(ids | {"dispatch_id": {"$exists": True}}, {"dispatch_id": 1}, session=session)
    carried = sorted({doc["dispatch_id"] for doc in now})
    return resends.note_resent(db, carried, by=by, session=session)


def _held(db: Db, ids: Sequence[DispatchId]) -> set[str]:
    """Those of the dispatches that may still go, or of which fences knew more than a restored MongoDB does."""
    return resends.may_still_go(db, ids) | set(restored_fences.among(db, ids))


_UNREACHED: Final[Document] = {
    "state": {"$in": sorted(UNREACHED)},
    **dict.fromkeys(_SIGNS, _NONE),
    **{name: {"$not": {"$gt": 0}} for name in _COUNTS},
}


def _query(run_id: RunId) -> Document:
    return {"run_id": run_id, **_UNREACHED}
