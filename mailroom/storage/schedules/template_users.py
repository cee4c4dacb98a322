"""How many schedules use a stored template: those whose newest content names it (see contents.py), and that are not
archived. Counted in the index, whose rows are revisions."""

from collections.abc import Sequence
from typing import Final

from mailroom.domain.schedules import ScheduleState
from mailroom.domain.searches import BoundedCount
from mailroom.storage import paging
from mailroom.storage.database import Db, Document, guarded
from mailroom.storage.schedules import schedule_document
from mailroom.storage.schedules.contents import BY_TEMPLATE

_MOST_LOOKED_AT: Final = 20_000  # revisions, of all templates that are asked about: they are counted in 0.2 s
_IN_USE: Final = sorted(set(ScheduleState) - {ScheduleState.ARCHIVED})


@guarded
def count_users(db: Db, templates: Sequence[str], *, most: int = _MOST_LOOKED_AT) -> dict[str, BoundedCount]:
    """For each of these templates, how many schedules use it. Not exact where more than `most` revisions name them."""
    named: Document = {"template.name": {"$in": list(templates)}}
    is_exact = paging.count(db.contents, named, index=BY_TEMPLATE, most=most).is_exact
    rows = db.contents.aggregate(
        [
            {"$match": named},
            {"$limit": most},
            # The whole `_id` stands in the index: no content is fetched.
            {"$project": {"_id": 1, "template": "$template.name"}},
            # The newest revision of each schedule that names the template.
            {
                "$group": {
                    "_id": {"template": "$template", "schedule": "$_id.schedule"},
                    "revision": {"$max": "$_id.revision"},
                }
            },
            # Only where the schedule has no newer one, which says something else.
            {
                "$lookup": {
                    "from": schedule_document.COLLECTION,
                    "localField": "_id.schedule",
                    "foreignField": "_id",
                    "as": "schedule",
                }
            },
            {"$match": {"schedule.state": {"$in": _IN_USE}}},
            {"$match": {"$expr": {"$eq": ["$revision", {"$first": "$schedule.revision"}]}}},
            {"$group": {"_id": "$_id.template", "schedules": {"$sum": 1}}},
        ],
        hint=dict(BY_TEMPLATE),
    )
    found = {doc["_id"]: doc["schedules"] for doc in rows}
    return {name: BoundedCount(found.get(name, 0), is_exact) for name in templates}
