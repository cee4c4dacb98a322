"""Collection `tokens`: who may use the API and the pages. The secret itself is never stored.

_id          token id, the public part
hash         SHA-256 of the secret part (32 random bytes: no slow hash is needed)
name, scopes, created_at, expires_at, revoked_at
last_used_at to the minute
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pymongo import IndexModel

from mailroom.storage.database import Db, Document, drop_unset, guarded

COLLECTION: Final = "tokens"
INDEXES: Final[Sequence[IndexModel]] = ()  # always asked by _id
_USED_STEP: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class StoredToken:
    id: str
    hash: str
    name: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@guarded
def add(db: Db, token: StoredToken) -> None:
    db.tokens.insert_one(
        drop_unset(
            {
                "_id": token.id,
                "hash": token.hash,
                "name": token.name,
                "scopes": sorted(token.scopes),
                "created_at": token.created_at,
                "expires_at": token.expires_at,
            }
        )
    )


@guarded
def find(db: Db, token_id: str) -> StoredToken | None:
    doc = db.tokens.find_one({"_id": token_id})
    return _token(doc) if doc else None


@guarded
def everyone(db: Db) -> list[StoredToken]:
    """Newest first. There are a few of them."""
    return [_token(doc) for doc in db.tokens.find().sort("created_at", -1)]


@guarded
def revoke(db: Db, token_id: str, *, now: datetime) -> bool:
    """True if the token was valid until now."""
    revoked = db.tokens.update_one({"_id": token_id, "revoked_at": {"$exists": False}}, {"$set": {"revoked_at": now}})
    return revoked.matched_count == 1


@guarded
def note_use(db: Db, token: StoredToken, *, now: datetime) -> None:
    """Remember that it was used; at most one write a minute."""
    if token.last_used_at is None or now - token.last_used_at >= _USED_STEP:
        db.tokens.update_one({"_id": token.id}, {"$max": {"last_used_at": now}})


def _token(doc: Document) -> StoredToken:
    return StoredToken(
        id=doc["_id"],
        hash=doc["hash"],
        name=doc["name"],
        scopes=frozenset(doc["scopes"]),
        created_at=doc["created_at"],
        expires_at=doc.get("expires_at"),
        revoked_at=doc.get("revoked_at"),
        last_used_at=doc.get("last_used_at"),
    )
