"""Sessions of the pages. They are stored in MongoDB and not in the browser's cookie, so that a sign-out ends them.

A session ends at its sign-out, after a time without a page, after its lifetime, and with its token.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.errors import AccessRefused
from mailroom.domain.principals import Principal
from mailroom.services.operations.token_check import digest, still_valid
from mailroom.storage import sessions
from mailroom.storage.database import Db
from mailroom.storage.sessions import StoredSession

_STEP: Final = timedelta(minutes=1)  # `seen_at` is written once a minute at most


def begin(db: Db, actor: Principal, *, lifetime: timedelta, now: datetime) -> str:
    """Begin a session. Returns its id, for the browser's cookie. Only the digest of the id is stored."""
    id_ = secrets.token_urlsafe(32)
    sessions.add(db, StoredSession(digest(id_), actor.id, now, now + lifetime))
    return id_


def principal_of(db: Db, id_: str, *, idle: timedelta, now: datetime) -> Principal:
    """The principal of a session. Raises AccessRefused for an ended or unknown session."""
    stored = sessions.find(db, digest(id_)) if id_ else None
    if stored is None:
        raise AccessRefused("there is no such session")
    if now >= min(stored.ends_at, stored.seen_at + idle):
        sessions.remove(db, stored.id)
        raise AccessRefused("the session has expired")
    actor = still_valid(db, stored.token_id, now=now)
    if now - stored.seen_at >= min(_STEP, idle / 4):
        sessions.touch(db, stored.id, now=now)
    return actor


def end(db: Db, id_: str) -> None:
    """End the session."""
    sessions.remove(db, digest(id_))
