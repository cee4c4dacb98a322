"""Sessions of the pages, kept in MongoDB and not in the browser's cookie, so that a sign-out ends them for good.

A session ends at its sign-out, after a time without a page, after its lifetime, and with its token.
"""

import secrets
from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.errors import AccessRefused
from mailroom.domain.principals import Principal
from mailroom.services.operations.tokens import digest, still_valid
from mailroom.storage import sessions
from mailroom.storage.database import Db
from mailroom.storage.sessions import StoredSession

_STEP: Final = timedelta(minutes=1)  # `seen_at` is written once a minute at most


def begin(db: Db, who: Principal, *, lifetime: timedelta, now: datetime) -> str:
    """The id of a new session, for the browser's cookie. Only its digest is stored."""
    id_ = secrets.token_urlsafe(32)
    sessions.add(db, StoredSession(digest(id_), who.id, now, now + lifetime))
    return id_


def principal_of(db: Db, id_: str, *, idle: timedelta, now: datetime) -> Principal:
    """The caller whose session this is. Raises AccessRefused for a session that has ended or never was."""
    found = sessions.find(db, digest(id_)) if id_ else None
    if found is None:
        raise AccessRefused("there is no such session")
    if now >= min(found.ends_at, found.seen_at + idle):
        sessions.remove(db, found.id)
        raise AccessRefused("the session has expired")
    who = still_valid(db, found.token_id, now=now)
    if now - found.seen_at >= min(_STEP, idle / 4):
        sessions.touch(db, found.id, now=now)
    return who


def end(db: Db, id_: str) -> None:
    """End the session for good."""
    sessions.remove(db, digest(id_))
