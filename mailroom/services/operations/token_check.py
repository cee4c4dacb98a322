"""Check access tokens: who presents this one, and is it valid?"""

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from mailroom.domain.errors import AccessRefused
from mailroom.domain.principals import Principal
from mailroom.storage import tokens
from mailroom.storage.database import Db
from mailroom.storage.tokens import StoredToken

_CACHED_S: Final = 1.0
_MOST_CACHED: Final = 1_000
_FORM: Final = re.compile(r"mr_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


def authenticate(db: Db, presented: str, *, now: datetime) -> Principal:
    """The principal of the presented token. Raises AccessRefused, in the same words for every reason."""
    form = _FORM.fullmatch(presented)
    stored = tokens.find(db, form[1]) if form else None
    # Compared even without a stored token, so that the time taken reveals nothing.
    matches = hmac.compare_digest(digest(form[2] if form else ""), stored.hash if stored else digest("-"))
    if stored is None or not matches or not is_valid(stored, now):
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
    if stored is None or not is_valid(stored, now):
        raise AccessRefused("the session's token is expired or revoked")
    return _principal(stored)


def token_id_of(text: str) -> str:
    """The public part of a token's text."""
    form = _FORM.fullmatch(text)
    return form[1] if form else ""


def digest(secret: str) -> str:
    """The stored form of a secret. The secret is random, so no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _principal(stored: StoredToken) -> Principal:
    return Principal(
        stored.id, stored.name, stored.scopes, stored.owner, stored.requests_per_minute, stored.mails_per_day
    )


def is_valid(token: StoredToken, now: datetime) -> bool:
    """True unless the token is revoked, expired, or rotated with its overlap over."""
    return token.revoked_at is None and all(end is None or now < end for end in (token.expires_at, token.ends_at))
