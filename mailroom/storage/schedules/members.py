"""Addresses in the collection `recipients` (see audiences.py), found by their start."""

from mailroom.domain.ids import AudienceId
from mailroom.storage.database import Db, guarded


@guarded
def addresses_from(db: Db, audience: AudienceId, start: str, *, limit: int) -> list[str]:
    """The first folded addresses of an audience with this beginning."""
    between = {"$gte": {"a": audience, "k": start}, "$lt": {"a": audience, "k": f"{start}\uffff"}}
    rows = db.recipients.find({"_id": between}, {"_id": 1}).sort("_id", 1).limit(limit)
    return [doc["_id"]["k"] for doc in rows]
