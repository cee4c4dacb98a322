"""Collection `topics`: one document a topic. A topic is never removed: mail that went out names it.

    _id             the id; also the scope of suppressions
    name, postal_address, footer, version, created_at, updated_at, updated_by
    double_opt_in   absent where a form subscribes at once
    confirmation    the mail that asks to confirm: {sender, subject, text, html, within_s}; absent if never written

Written by people. Read when a schedule is saved, a single mail or a suppression is taken in, and a contact or the page
behind a link is shown.

Indexes: none but `_id`, in whose order topics are listed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from mailroom.domain.confirmations import NO_CONFIRMATION, Confirmation
from mailroom.domain.topics import Topic
from mailroom.storage.database import Db, Document, drop_unset, guarded

COLLECTION: Final = "topics"
INDEXES: Final[Sequence[IndexModel]] = ()


@guarded
def get_many(db: Db, ids: Sequence[str]) -> dict[str, Topic]:
    return {doc["_id"]: _topic(doc) for doc in db.topics.find({"_id": {"$in": list(ids)}})}


@guarded
def ids(db: Db) -> set[str]:
    """The ids of all topics."""
    return {doc["_id"] for doc in db.topics.find({}, {"_id": 1})}


@guarded
def page(db: Db, *, after: str, limit: int) -> list[Topic]:
    """In the order of the ids. `after`: the last id of the page before, '' for the first page."""
    return [_topic(doc) for doc in db.topics.find({"_id": {"$gt": after}}).sort("_id", 1).limit(limit)]


@guarded
def put(db: Db, topic: Topic, *, by: str) -> bool:
    """Store a new topic, or replace the version before. False if another version is stored."""
    doc = _document(topic) | {"updated_by": by}
    if topic.version > 1:
        before = {"_id": topic.id, "version": topic.version - 1}
        return db.topics.replace_one(before, doc).matched_count == 1
    try:
        db.topics.insert_one(doc)
    except DuplicateKeyError:
        return False
    return True


def _document(topic: Topic) -> Document:
    return {
        "_id": topic.id,
        "name": topic.name,
        "postal_address": topic.postal_address,
        "footer": topic.footer,
        "version": topic.version,
        "created_at": topic.created_at,
        "updated_at": topic.updated_at,
    } | drop_unset(
        {
            "double_opt_in": topic.double_opt_in or None,
            "confirmation": asdict(topic.confirmation) if topic.confirmation != NO_CONFIRMATION else None,
        }
    )


def _topic(doc: Mapping[str, Any]) -> Topic:
    return Topic(
        id=doc["_id"],
        name=doc["name"],
        postal_address=doc["postal_address"],
        footer=doc["footer"],
        version=doc["version"],
        created_at=doc["created_at"],
        updated_at=doc["updated_at"],
        double_opt_in=doc.get("double_opt_in", False),
        confirmation=Confirmation(**doc["confirmation"]) if "confirmation" in doc else NO_CONFIRMATION,
    )
