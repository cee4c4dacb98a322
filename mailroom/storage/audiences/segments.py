"""Collection `segments`: one document a segment. A segment never changes.

    _id         segment id;  audience: the audience that it is a part of
    name, filter, created_at, created_by
    dropped     true once no schedule may name it any more; schedules that do keep its filter

Index `audience, dropped, _id` for the segments of an audience.
"""

from collections.abc import Sequence
from typing import Any, Final

from pymongo import IndexModel

from mailroom.domain.errors import SegmentNotFound
from mailroom.domain.ids import AudienceId, SegmentId
from mailroom.domain.segments.model import Segment
from mailroom.storage.database import Db, Document, guarded

COLLECTION: Final = "segments"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("audience", 1), ("dropped", 1), ("_id", 1)]),)
_KEPT: Final[Document] = {"dropped": {"$exists": False}}


@guarded
def add(db: Db, segment: Segment, *, by: str) -> None:
    db.segments.insert_one(
        {
            "_id": segment.id,
            "audience": segment.audience,
            "name": segment.name,
            "filter": segment.filter,
            "created_at": segment.created_at,
            "created_by": by,
        }
    )


@guarded
def get(db: Db, segment_id: SegmentId) -> Segment:
    """Raises SegmentNotFound."""
    doc = db.segments.find_one({"_id": segment_id, **_KEPT})
    if doc is None:
        raise SegmentNotFound(segment_id)
    return _segment(doc)


@guarded
def page(db: Db, audience: AudienceId, *, after: str, limit: int) -> list[Segment]:
    """The segments of an audience in the order of their ids, after this one."""
    rows = db.segments.find({"audience": audience, **_KEPT, "_id": {"$gt": after}}).sort("_id", 1).limit(limit)
    return [_segment(doc) for doc in rows]


@guarded
def of_all(db: Db, audiences: Sequence[AudienceId], *, limit: int) -> list[Segment]:
    """Segments of these audiences."""
    rows = db.segments.find({"audience": {"$in": list(audiences)}, **_KEPT}).sort([("audience", 1), ("_id", 1)])
    return [_segment(doc) for doc in rows.limit(limit)]


@guarded
def drop(db: Db, segment_id: SegmentId) -> None:
    """Raises SegmentNotFound."""
    if not db.segments.update_one({"_id": segment_id, **_KEPT}, {"$set": {"dropped": True}}).matched_count:
        raise SegmentNotFound(segment_id)


def _segment(doc: Any) -> Segment:
    return Segment(SegmentId(doc["_id"]), AudienceId(doc["audience"]), doc["name"], doc["filter"], doc["created_at"])
