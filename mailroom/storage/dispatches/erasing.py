"""What an erasure does to dispatches, in the collection `dispatches` (see document.py).

A call that is under way, or in doubt, is judged by the addresses of its messages: they stay until its outcome is known.
Each other dispatch gets a step on its trail. So of an erasure and a claim at the same moment one is aborted, and no
sender calls with an address that it has read before.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from pymongo import UpdateOne

from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.erasures import ERASURE, without
from mailroom.domain.ids import DispatchId, RunId
from mailroom.storage.database import Db, Document, Session
from mailroom.storage.dispatches.document import ids_of_run
from mailroom.storage.dispatches.trails import onto_trail

_UNDER_WAY: Final = frozenset({DispatchState.SENDING, DispatchState.IN_DOUBT})
_WORDS: Final = ("reason", "accepted")  # fields with words of providers


def under_way(db: Db, ids: Collection[DispatchId], *, session: Session) -> set[DispatchId]:
    """The dispatches among these of which a call may have been made, and nobody knows yet what became of it."""
    query = {"_id": {"$in": sorted(ids)}, "state": {"$in": sorted(_UNDER_WAY)}}
    return {DispatchId(doc["_id"]) for doc in db.dispatches.find(query, {"_id": 1}, session=session)}


def states_of(db: Db, run_id: RunId, *, session: Session) -> dict[DispatchId, DispatchState]:
    """The state of each dispatch of a single mail."""
    rows = db.dispatches.find({"_id": ids_of_run(run_id)}, {"state": 1}, session=session)
    return {DispatchId(doc["_id"]): DispatchState(doc["state"]) for doc in rows}


def is_under_way(state: DispatchState) -> bool:
    return state in _UNDER_WAY


def note_erasure(db: Db, ids: Collection[DispatchId], key: str, *, now: datetime, session: Session) -> None:
    """Note on these dispatches that somebody was erased, and take the folded address out of providers' words."""
    shown = dict.fromkeys((*_WORDS, "trail"), 1)
    docs = db.dispatches.find({"_id": {"$in": sorted(ids)}}, shown, session=session)
    writes = [UpdateOne({"_id": doc["_id"]}, _noted(doc, key, now)) for doc in docs]
    if writes:
        db.dispatches.bulk_write(writes, ordered=False, session=session)


def _noted(doc: Document, key: str, now: datetime) -> Document:
    trail = _cleared(doc.get("trail", []), key)
    cleared = {n: new for n in _WORDS if n in doc and (new := _cleared(doc[n], key)) != doc[n]}
    if trail == doc.get("trail", []):
        return {"$push": {"trail": onto_trail(now, ERASURE)}} | ({"$set": cleared} if cleared else {})
    return {"$set": cleared | {"trail": [*trail, {"at": now, "step": ERASURE}]}}


def _cleared(value: Any, key: str) -> Any:
    """The value without the address in any of its texts."""
    match value:
        case str():
            return without(value, key)
        case list():
            return [_cleared(one, key) for one in value]
        case dict():
            return {name: _cleared(one, key) for name, one in value.items()}
        case _:
            return value
