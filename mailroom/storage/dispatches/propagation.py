"""States of dispatches that their messages do not know yet (see document.py): marked with `tell` until they do."""

from collections.abc import Sequence
from typing import Final

from pymongo import UpdateOne

from mailroom.domain.dispatches.model import Propagation
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import DispatchId
from mailroom.storage.database import Db, Document, guarded
from mailroom.storage.dispatches.document import first_of

_TO_PROPAGATE: Final = dict.fromkeys(("state", "accepted", "reason", "code", "first", "elsewhere"), 1)


@guarded
def pending_propagation(db: Db, *, limit: int) -> list[Propagation]:
    """States of dispatches that have not been propagated to their messages."""
    return [_propagation(doc) for doc in db.dispatches.find({"tell": True}, _TO_PROPAGATE).limit(limit)]


@guarded
def pending_propagation_of(db: Db, ids: Sequence[DispatchId]) -> list[Propagation]:
    """As `pending_propagation`, among these dispatches."""
    return [_propagation(doc) for doc in db.dispatches.find({"_id": {"$in": list(ids)}, "tell": True}, _TO_PROPAGATE)]


def _propagation(doc: Document) -> Propagation:
    first = next(iter(doc.get("accepted", ())), None)
    accepted_at = first["at"] if first else None
    return Propagation(
        DispatchId(doc["_id"]),
        DispatchState(doc["state"]),
        accepted_at,
        doc.get("reason") or "",
        doc.get("code"),
        first_of(doc),
        "elsewhere" in doc,
    )


@guarded
def note_propagated(db: Db, propagated: Sequence[Propagation]) -> None:
    """Clear `tell` if the dispatch still stands as it was propagated; otherwise set it again, because our older update
    may have overwritten a newer one."""
    writes: list[UpdateOne] = []
    for each in propagated:
        stands = {"state": each.state, "first": each.first, "elsewhere": {"$exists": each.moved}}
        changed = [
            {"state": {"$ne": each.state}},
            {"first": {"$ne": each.first}},
            {"elsewhere": {"$exists": not each.moved}},
        ]
        writes.append(UpdateOne({"_id": each.id, **stands}, {"$unset": {"tell": ""}}))
        writes.append(UpdateOne({"_id": each.id, "$or": changed}, {"$set": {"tell": True}}))
    if writes:
        db.dispatches.bulk_write(writes, ordered=False)
