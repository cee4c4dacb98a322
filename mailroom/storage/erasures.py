"""Collection `erasures`: each erasure of a person, from when it was asked for; the journal of who asked, when, and how
many documents it took. Never removed.

    _id        erasure id;  asked_at, asked_by
    address    folded; absent once the erasure is done
    name       what stands for the address since (domain/erasures.py)
    state, phase, after, waits, counts, step, done_at
               see domain/erasures.py. A step of the work changes them in its transaction, and `step` by one: so each
               step counts once, however many processes work
    next_at    not worked at before; absent once it is done

Written by who asks, and by senders' tidying.

Indexes: `address` (unique, partial) for the one erasure of an address that is not done; `next_at` (partial) for those
to be worked at; `name, asked_at` for the erasures of an address.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pymongo import DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from mailroom.domain.erasures import Erasure, ErasurePhase, ErasureState
from mailroom.domain.ids import ErasureId
from mailroom.storage.database import AlreadyThere, Db, Document, Session, guarded

COLLECTION: Final = "erasures"
INDEXES: Final = (
    IndexModel([("address", 1)], unique=True, partialFilterExpression={"address": {"$exists": True}}, name="open"),
    IndexModel([("next_at", 1)], partialFilterExpression={"next_at": {"$exists": True}}),
    IndexModel([("name", 1), ("asked_at", DESCENDING)]),
)


def add(db: Db, new: Erasure, *, session: Session) -> None:
    """Raises AlreadyThere: another request has asked for the same."""
    document = {
        "_id": new.id,
        "address": new.address,
        "name": new.name,
        "state": new.state,
        "asked_at": new.asked_at,
        "asked_by": new.asked_by,
        "phase": new.phase,
        "after": new.after,
        "waits": list(new.waits),
        "counts": dict(new.counts),
        "step": new.step,
        "next_at": new.asked_at,
    }
    try:
        db.erasures.insert_one(document, session=session)
    except DuplicateKeyError:
        raise AlreadyThere from None


def open_of(db: Db, key: str, *, session: Session) -> Erasure | None:
    """The erasure of a folded address that is not done."""
    doc = db.erasures.find_one({"address": key}, session=session)
    return _erasure(doc) if doc else None


@guarded
def of_name(db: Db, name: str, *, limit: int) -> list[Erasure]:
    """The newest erasures of an address, by its name."""
    rows = db.erasures.find({"name": name}).sort("asked_at", DESCENDING).limit(limit)
    return [_erasure(doc) for doc in rows]


@guarded
def due(db: Db, *, now: datetime, limit: int) -> list[Erasure]:
    """Erasures to be worked at, the longest waiting first."""
    return [_erasure(doc) for doc in db.erasures.find({"next_at": {"$lte": now}}).sort("next_at", 1).limit(limit)]


def advance(db: Db, before: Erasure, after: Erasure, *, next_at: datetime | None, session: Session) -> None:
    """Store how far an erasure has come, in the transaction of the step. `next_at`: None once it is done. Raises
    AlreadyThere: another process has made the step."""
    change: Document = {
        "$set": {
            "state": after.state,
            "phase": after.phase,
            "after": after.after,
            "waits": list(after.waits),
            "counts": dict(after.counts),
            "step": before.step + 1,
        }
    }
    if next_at is None:
        change["$set"]["done_at"] = after.done_at
        change["$unset"] = {"address": "", "next_at": ""}
    else:
        change["$set"]["next_at"] = next_at
    standing = {"_id": before.id, "step": before.step}
    if not db.erasures.update_one(standing, change, session=session).matched_count:
        raise AlreadyThere


@guarded
def put_off(db: Db, id_: ErasureId, *, until: datetime) -> None:
    """Do not work at an erasure before this time."""
    db.erasures.update_one({"_id": id_, "next_at": {"$exists": True}}, {"$set": {"next_at": until}})


def _erasure(doc: Mapping[str, Any]) -> Erasure:
    return Erasure(
        id=ErasureId(doc["_id"]),
        address=doc.get("address", ""),
        name=doc["name"],
        state=ErasureState(doc["state"]),
        asked_at=doc["asked_at"],
        asked_by=doc["asked_by"],
        phase=ErasurePhase(doc["phase"]),
        after=doc["after"],
        waits=tuple(doc["waits"]),
        counts=doc["counts"],
        step=doc["step"],
        done_at=doc.get("done_at"),
    )
