"""Access tokens. A token's text is shown once, when it is created; only a digest of its secret is stored."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.errors import Fault, InvalidInput, TokenNotFound
from mailroom.domain.limits import MAX_NAME
from mailroom.domain.principals import SCOPES
from mailroom.services.operations.token_check import digest, is_valid
from mailroom.storage import tokens
from mailroom.storage.database import Db, in_transaction
from mailroom.storage.tokens import StoredToken

OVERLAP: Final = timedelta(hours=24)  # a rotated token stays valid for so long
MAX_OVERLAP_S: Final = 30 * 86_400


def create_token(
    db: Db,
    *,
    name: str,
    scopes: Collection[str],
    now: datetime,
    expires_at: datetime | None = None,
    requests_per_minute: int | None = None,
    mails_per_day: int | None = None,
) -> str:
    """Create a token. Returns its text, which cannot be read again. `requests_per_minute` and `mails_per_day` replace
    the limits of the settings for this token. Raises InvalidInput."""
    if not name.strip() or len(name) > MAX_NAME:
        raise InvalidInput(Fault("name", f"1 to {MAX_NAME} characters"))
    unknown = sorted(set(scopes) - SCOPES.keys())
    if unknown or not scopes:
        raise InvalidInput(Fault("scopes", f"one or more of {', '.join(SCOPES)}"))
    id_, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    stored = StoredToken(
        id=id_,
        hash=digest(secret),
        name=name.strip(),
        scopes=frozenset(scopes),
        created_at=now,
        owner=id_,
        expires_at=expires_at,
        requests_per_minute=requests_per_minute,
        mails_per_day=mails_per_day,
    )
    tokens.add(db, stored)
    return _text(id_, secret)


def rotate(db: Db, token_id: str, *, now: datetime, overlap: timedelta = OVERLAP) -> str:
    """Create a token with the owner, name, scopes, limits and lifetime of an old token. Returns its text.

    The old token stays valid for `overlap`, so that callers can change over; without an overlap it ends at once.
    Raises TokenNotFound for an old token that is not valid.
    """
    old = tokens.find(db, token_id)
    if old is None or not is_valid(old, now):
        raise TokenNotFound(token_id)
    id_, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    expires_at = now + (old.expires_at - old.created_at) if old.expires_at else None
    new = replace(old, id=id_, hash=digest(secret), created_at=now, expires_at=expires_at, last_used_at=None)
    rotated = in_transaction(
        db, lambda session: tokens.rotate(db, old.id, new, ends_at=now + overlap, now=now, session=session)
    )
    if not rotated:
        raise TokenNotFound(token_id)
    return _text(id_, secret)


@dataclass(frozen=True, slots=True)
class KnownToken:
    """A token without its secret, as it may be shown."""

    id: str
    name: str
    scopes: frozenset[str]
    owner: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    rotated_to: str | None
    requests_per_minute: int | None
    mails_per_day: int | None


def known(db: Db, token_id: str) -> KnownToken:
    """The token with this id. Raises TokenNotFound."""
    stored = tokens.find(db, token_id)
    if stored is None:
        raise TokenNotFound(token_id)
    return _known(stored)


def everyone(db: Db) -> list[KnownToken]:
    """All tokens, revoked ones included, newest first."""
    return [_known(stored) for stored in tokens.everyone(db)]


def revoke(db: Db, token_id: str, *, now: datetime) -> None:
    """Revoke a token for good. Raises TokenNotFound for a token that is not valid."""
    if not tokens.revoke(db, token_id, now=now):
        raise TokenNotFound(token_id)


def _text(id_: str, secret: str) -> str:
    return f"mr_{id_}_{secret}"


def _known(stored: StoredToken) -> KnownToken:
    shown = {name: getattr(stored, name) for name in KnownToken.__dataclass_fields__}
    ends = [moment for moment in (stored.expires_at, stored.ends_at) if moment]
    return KnownToken(**shown | {"expires_at": min(ends, default=None)})
