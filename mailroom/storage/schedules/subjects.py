"""Subjects of campaigns, for lists, from the collection `contents` (see contents.py): without the texts beside them,
which may be a million characters each."""

from collections.abc import Collection

from mailroom.domain.ids import ScheduleId
from mailroom.storage.database import Db, guarded


@guarded
def of_revisions(db: Db, named: Collection[tuple[ScheduleId, int]]) -> dict[tuple[ScheduleId, int], str]:
    """The subject of each of these revisions, as it was written: with its variables, not filled in."""
    ids = [{"schedule": schedule, "revision": revision} for schedule, revision in sorted(set(named))]
    rows = db.contents.find({"_id": {"$in": ids}}, {"subject": 1})
    return {(doc["_id"]["schedule"], doc["_id"]["revision"]): doc.get("subject", "") for doc in rows}
