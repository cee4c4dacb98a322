"""Access tokens. A token's text is shown once, when it is created; only a digest of its secret is stored."""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.errors import AccessRefused, Fault, InvalidInput, TokenNotFound
from mailroom.domain.limits import MAX_NAME
from mailroom.domain.principals import SCOPES, Principal
from mailroom.storage import tokens
from mailroom.storage.database import Db, in_transaction
from mailroom.storage.tokens import StoredToken

OVERLAP: Final = timedelta(hours=24)  # a rotated token stays valid for so long
MAX_OVERLAP_S: Final = 30 * 86_400
_CACHED_S: Final = 1.0
_MOST_CACHED: Final = 1_000
_FORM: Final = re.compile(r"mr_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


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
    if old is None or not _valid(old, now):
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


def authenticate(db: Db, presented: str, *, now: datetime) -> Principal:
    """The principal of the presented token. Raises AccessRefused, in the same words for every reason."""
    form = _FORM.fullmatch(presented)
    stored = tokens.find(db, form[1]) if form else None
    # Compared even without a stored token, so that the time taken reveals nothing.
    matches = hmac.compare_digest(digest(form[2] if form else ""), stored.hash if stored else digest("-"))
    if stored is None or not matches or not _valid(stored, now):
        raise AccessRefused("the token is missing, wrong, expired or revoked")
    tokens.note_use(db, stored, now=now)
    return _principal(stored)


class TokenCache:
    """Caches authenticated tokens for a second, so that a busy caller costs no query for each request. A token revoked
    by another process therefore stays valid for up to a second more. Thread-safe."""

    def __init__(self, db: Db, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._db, self._monotonic = db, monotonic
        self._cached: dict[str, tuple[Principal, float]] = {}

    def authenticate(self, presented: str, *, now: datetime) -> Principal:
        """Raises AccessRefused."""
        name, at = digest(presented), self._monotonic()
        cached = self._cached.get(name)
        if cached is not None and at < cached[1]:
            return cached[0]
        if len(self._cached) >= _MOST_CACHED:
            self._cached = {}
        principal = authenticate(self._db, presented, now=now)
        self._cached[name] = principal, at + _CACHED_S
        return principal

    def forget(self) -> None:
        """Empty the cache: a token was revoked or rotated in this process."""
        self._cached = {}


def still_valid(db: Db, token_id: str, *, now: datetime) -> Principal:
    """The principal of a token that was authenticated before (a page's session). Raises AccessRefused."""
    stored = tokens.find(db, token_id)
    if stored is None or not _valid(stored, now):
        raise AccessRefused("the session's token is expired or revoked")
    return _principal(stored)


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


def id_of(text: str) -> str:
    """The public part of a token's text."""
    form = _FORM.fullmatch(text)
    return form[1] if form else ""


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


def digest(secret: str) -> str:
    """The stored form of a secret. The secret is random, so no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _text(id_: str, secret: str) -> str:
    return f"mr_{id_}_{secret}"


def _known(stored: StoredToken) -> KnownToken:
    shown = {name: getattr(stored, name) for name in KnownToken.__dataclass_fields__}
    ends = [moment for moment in (stored.expires_at, stored.ends_at) if moment]
    return KnownToken(**shown | {"expires_at": min(ends, default=None)})


def _principal(stored: StoredToken) -> Principal:
    return Principal(
        stored.id, stored.name, stored.scopes, stored.owner, stored.requests_per_minute, stored.mails_per_day
    )


def _valid(token: StoredToken, now: datetime) -> bool:
    return token.revoked_at is None and all(end is None or now < end for end in (token.expires_at, token.ends_at))
