"""Collection `remembered`: fences of calls that a restored MongoDB does not record, or records only in part.

    _id          dispatch id
    outcome, attempt, claim_id, digest, provider_id, crossed_at, provider, account, span
                 the fence, see coordination/lua/cross.lua
    kept_until   end of the retention of a fence (TTL index)

Written by the recovery after a restore of MongoDB; read before a fence is crossed. Without this copy, a later loss of
Redis would lose the only record of these calls.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo import IndexModel, ReplaceOne

from mailroom.domain.dispatches.fences import Fence, FenceState
from mailroom.domain.dispatches.outcomes import CalledAt
from mailroom.domain.ids import ClaimId, DispatchId, RunId
from mailroom.storage.database import Db, Document, drop_unset, guarded
from mailroom.storage.dispatches.document import ids_of_run

COLLECTION: Final = "remembered"
_MOST: Final = 1_000
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("kept_until", 1)], expireAfterSeconds=0),)


@guarded
def keep(db: Db, fences: Sequence[tuple[DispatchId, Fence]], *, now: datetime, kept_for: timedelta) -> None:
    """Store these fences for the time `kept_for`, in place of earlier copies."""
    writes = [ReplaceOne({"_id": id_}, _document(fence, now + kept_for), upsert=True) for id_, fence in fences]
    if writes:
        db.remembered.bulk_write(writes, ordered=False)


@guarded
def among(db: Db, ids: Sequence[DispatchId]) -> dict[DispatchId, Fence]:
    """The stored fences of these dispatches."""
    return {DispatchId(doc["_id"]): _fence(doc) for doc in db.remembered.find({"_id": {"$in": list(ids)}})}


@guarded
def beginning_with(db: Db, prefix: str) -> list[DispatchId]:
    """At most _MOST dispatches whose ids begin with `prefix`."""
    docs = db.remembered.find({"_id": {"$gte": prefix, "$lt": f"{prefix}\uffff"}}, {"_id": 1}).limit(_MOST)
    return [DispatchId(doc["_id"]) for doc in docs]


@guarded
def called_of_run(db: Db, run_id: RunId) -> dict[DispatchId, str]:
    """The dispatches of a run that were called, or may have been, each with its span; '' if unknown."""
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
