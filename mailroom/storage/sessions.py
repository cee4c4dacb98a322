"""Collection `sessions`: one document for each browser that is signed in to the pages.

    _id          SHA-256 of the id in the browser's cookie
    token_id     the token of the sign-in
    seen_at      time of the last request, to the minute or better (see services/operations/sessions.py)
    ends_at      end of the session in any case

Written by the pages, and removed at sign-out: the cookie is then without effect.

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
    """Note a request of the session."""
    db.sessions.update_one({"_id": session_id}, {"$max": {"seen_at": now}})


@guarded
def remove(db: Db, session_id: str) -> None:
    db.sessions.delete_one({"_id": session_id})
