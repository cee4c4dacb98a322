"""Collection `remembered`: what fences knew of dispatches that a restored database knows too little of.

    _id          dispatch id
    outcome, attempt, claim_id, digest, provider_id, crossed_at, provider, account, span
                 the fence, see coordination/lua/cross.lua
    kept_until   as long as a fence is kept (TTL index)

Written when a restored MongoDB is put right; read before a fence is crossed. Without it, a Redis that is emptied later
would take the only memory of these calls along.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo import IndexModel, ReplaceOne

from mailroom.domain.dispatches.fences import Fence, FenceState
from mailroom.domain.ids import ClaimId, DispatchId, RunId
from mailroom.domain.outcomes import CalledAt
from mailroom.storage.database import Db, Document, drop_unset, guarded
from mailroom.storage.dispatches.document import ids_of_run

COLLECTION: Final = "remembered"
_SOME: Final = 1_000
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("kept_until", 1)], expireAfterSeconds=0),)


@guarded
def keep(db: Db, fences: Sequence[tuple[DispatchId, Fence]], *, now: datetime, kept_for: timedelta) -> None:
    writes = [ReplaceOne({"_id": id_}, _document(fence, now + kept_for), upsert=True) for id_, fence in fences]
    if writes:
        db.remembered.bulk_write(writes, ordered=False)


@guarded
def among(db: Db, ids: Sequence[DispatchId]) -> dict[DispatchId, Fence]:
    return {DispatchId(doc["_id"]): _fence(doc) for doc in db.remembered.find({"_id": {"$in": list(ids)}})}


@guarded
def beginning_with(db: Db, prefix: str) -> list[DispatchId]:
    """Some of the dispatches whose ids begin so."""
    found = db.remembered.find({"_id": {"$gte": prefix, "$lt": f"{prefix}\uffff"}}, {"_id": 1}).limit(_SOME)
    return [DispatchId(doc["_id"]) for doc in found]


@guarded
def called_of_run(db: Db, run_id: RunId) -> dict[DispatchId, str]:
    """The dispatches of a run that were called, or may have been, each with its span."""
    of_run = {"_id": ids_of_run(run_id), "outcome": {"$in": _CALLED}}
    return {DispatchId(doc["_id"]): doc.get("span", "") for doc in db.remembered.find(of_run, {"span": 1})}


_CALLED: Final = [FenceState.CROSSED, FenceState.DONE]


def _document(fence: Fence, until: datetime) -> Document:
    return drop_unset(
        {
            "outcome": fence.state,
            "attempt": fence.attempt,
            "claim_id": fence.claim_id,
            "digest": fence.digest,
            "provider_id": fence.provider_id,
            "crossed_at": fence.crossed_at,
            "provider": fence.called_at.provider if fence.called_at else None,
            "account": fence.called_at.account if fence.called_at else None,
            "span": fence.span or None,
            "kept_until": until,
        }
    )


def _fence(doc: Any) -> Fence:
    return Fence(
        state=FenceState(doc["outcome"]),
        attempt=doc["attempt"],
        claim_id=ClaimId(doc["claim_id"]),
        digest=doc["digest"],
        provider_id=doc["provider_id"],
        crossed_at=doc.get("crossed_at"),
        called_at=CalledAt(doc["provider"], doc["account"]) if "provider" in doc else None,
        span=doc.get("span", ""),
    )
