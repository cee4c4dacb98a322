"""Collection `sessions`: one document a browser that is signed in to the pages.

    _id          SHA-256 of the id in the browser's cookie
    token_id     the token that it signed in with
    seen_at      when it last asked for a page, at least to the minute (see services/operations/sessions.py)
    ends_at      when it ends in any case

Written by the pages, and removed at sign-out: after that the cookie lets nobody in.

Indexes: `ends_at` (TTL).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pymongo import IndexModel

from mailroom.storage.database import Db, guarded

COLLECTION: Final = "sessions"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("ends_at", 1)], name="ended", expireAfterSeconds=0),)


@dataclass(frozen=True, slots=True)
class StoredSession:
    id: str
    token_id: str
    seen_at: datetime
    ends_at: datetime


@guarded
def add(db: Db, session: StoredSession) -> None:
    db.sessions.insert_one(
        {
            "_id": session.id,
            "token_id": session.token_id,
            "seen_at": session.seen_at,
            "ends_at": session.ends_at,
        }
    )


@guarded
def find(db: Db, session_id: str) -> StoredSession | None:
    doc = db.sessions.find_one({"_id": session_id})
    return StoredSession(doc["_id"], doc["token_id"], doc["seen_at"], doc["ends_at"]) if doc else None


@guarded
def touch(db: Db, session_id: str, *, now: datetime) -> None:
    """Note that the session has asked for a page."""
    db.sessions.update_one({"_id": session_id}, {"$max": {"seen_at": now}})


@guarded
def remove(db: Db, session_id: str) -> None:
    db.sessions.delete_one({"_id": session_id})
