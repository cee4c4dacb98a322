"""Collection `tokens`: access tokens of the API and the pages. The secret itself is never stored.

_id          token id, the public part
hash         SHA-256 of the secret part (32 random bytes: no slow hash is needed)
name, scopes, created_at, expires_at, revoked_at
last_used_at time of the last use, to the minute
owner        the owner of its Idempotency-Keys, templates and limits; a rotation keeps it. Absent: the token's own id
rotated_to, ends_at   id of the newest token that replaces this token, and the end of this token after a rotation
requests_per_minute, mails_per_day   limits of this token; absent: those of the settings
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pymongo import IndexModel

from mailroom.storage.database import Db, Document, Session, drop_unset, guarded

COLLECTION: Final = "tokens"
INDEXES: Final[Sequence[IndexModel]] = ()  # always queried by _id
_USED_STEP: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class StoredToken:
    id: str
    hash: str
    name: str
    scopes: frozenset[str]
    created_at: datetime
    owner: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    rotated_to: str | None = None
    ends_at: datetime | None = None
    requests_per_minute: int | None = None
    mails_per_day: int | None = None


@guarded
def add(db: Db, token: StoredToken) -> None:
    db.tokens.insert_one(_document(token))


def rotate(db: Db, old_id: str, new: StoredToken, *, ends_at: datetime, now: datetime, session: Session) -> bool:
    """Store `new` and let the old token end at `ends_at`. False if the old token is no longer valid."""
    valid = {
        "_id": old_id,
        "revoked_at": {"$exists": False},
        **{name: {"$not": {"$lte": now}} for name in ("expires_at", "ends_at")},
    }
    change = {"$set": {"rotated_to": new.id}, "$min": {"ends_at": ends_at}}
    if db.tokens.update_one(valid, change, session=session).matched_count == 0:
        return False
    db.tokens.insert_one(_document(new), session=session)
    return True


@guarded
def find(db: Db, token_id: str) -> StoredToken | None:
    doc = db.tokens.find_one({"_id": token_id})
    return _token(doc) if doc else None


@guarded
def everyone(db: Db) -> list[StoredToken]:
    """All tokens, newest first. There are few."""
    return [_token(doc) for doc in db.tokens.find().sort("created_at", -1)]


@guarded
def revoke(db: Db, token_id: str, *, now: datetime) -> bool:
    """Revoke a token. False if it does not exist or was revoked before."""
    revoked = db.tokens.update_one({"_id": token_id, "revoked_at": {"$exists": False}}, {"$set": {"revoked_at": now}})
    return revoked.matched_count == 1


@guarded
def note_use(db: Db, token: StoredToken, *, now: datetime) -> None:
    """Note a use of the token, with at most one write a minute."""
    if token.last_used_at is None or now - token.last_used_at >= _USED_STEP:
        db.tokens.update_one({"_id": token.id}, {"$max": {"last_used_at": now}})


def _document(token: StoredToken) -> Document:
    return drop_unset(
        {
            "_id": token.id,
            "hash": token.hash,
            "name": token.name,
            "scopes": sorted(token.scopes),
            "owner": token.owner,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
            "requests_per_minute": token.requests_per_minute,
            "mails_per_day": token.mails_per_day,
        }
    )


def _token(doc: Document) -> StoredToken:
    return StoredToken(
        id=doc["_id"],
        hash=doc["hash"],
        name=doc["name"],
        scopes=frozenset(doc["scopes"]),
        created_at=doc["created_at"],
        owner=doc["owner"] if "owner" in doc else doc["_id"],
        expires_at=doc.get("expires_at"),
        revoked_at=doc.get("revoked_at"),
        last_used_at=doc.get("last_used_at"),
        rotated_to=doc.get("rotated_to"),
        ends_at=doc.get("ends_at"),
        requests_per_minute=doc.get("requests_per_minute"),
        mails_per_day=doc.get("mails_per_day"),
    )
