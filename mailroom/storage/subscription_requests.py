"""Collection `subscription_requests`: who asked by a form for a topic that has this confirmed, and by which mail. One
document for a topic and an address: it holds back further mails, however often the form is posted.

    _id         topic, `/`, folded address
    address     as it was typed first, in the form to send to;  name  absent where none was given
    asked_at    when the form was posted; the mail and its link are made of it
    until       when the link ends
    expires_at  when the document is removed (TTL): nothing hangs on it any more

Written by the form. The link works by itself, without the document.

Indexes: `_id` for each form that is posted; `expires_at` (TTL).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from mailroom.domain.addresses import fold
from mailroom.domain.confirm_links import SubscriptionRequest
from mailroom.storage.database import Db, Document, Session, drop_unset, guarded

COLLECTION: Final = "subscription_requests"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("expires_at", 1)], name="ended", expireAfterSeconds=0),)


@guarded
def put_unless_standing(
    db: Db, asked: SubscriptionRequest, *, renewed_before: datetime, expires_at: datetime
) -> SubscriptionRequest:
    """Store a request, unless an earlier one of the same topic and address stands: one from `renewed_before` or later
    whose link has not ended when this one is asked. Returns the one that stands now: of many at once, all get the
    same."""
    id_ = f"{asked.topic}/{fold(asked.address)}"
    given_up = {"$or": [{"asked_at": {"$lt": renewed_before}}, {"until": {"$lte": asked.asked_at}}]}
    new = _document(asked, expires_at)
    while True:
        try:
            stored = db.subscription_requests.find_one_and_replace(
                {"_id": id_, **given_up}, new, upsert=True, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError:  # an earlier one stands
            stored = db.subscription_requests.find_one({"_id": id_})
        if stored is not None:  # it may be removed in between
            return _request(asked.topic, stored)


@guarded
def stored_of(db: Db, key: str, topics: Collection[str]) -> Sequence[Mapping[str, object]]:
    """All that is stored of the requests of a folded address for these topics."""
    rows = db.subscription_requests.find({"_id": {"$in": [f"{topic}/{key}" for topic in topics]}})
    return [{"topic": doc.pop("_id").partition("/")[0], **doc} for doc in rows]


def erase(db: Db, key: str, topics: Collection[str], *, session: Session) -> int:
    """Remove the requests of a folded address for these topics. Returns how many there were."""
    ids = [f"{topic}/{key}" for topic in topics]
    return db.subscription_requests.delete_many({"_id": {"$in": ids}}, session=session).deleted_count


def _document(asked: SubscriptionRequest, expires_at: datetime) -> Document:
    return drop_unset(
        {
            "address": asked.address,
            "name": asked.name or None,
            "asked_at": asked.asked_at,
            "until": asked.until,
            "expires_at": expires_at,
        }
    )


def _request(topic: str, doc: Mapping[str, Any]) -> SubscriptionRequest:
    return SubscriptionRequest(doc["address"], topic, doc.get("name", ""), doc["asked_at"], doc["until"])
