"""Tokens: who may do what. A token is shown once, when it is made; only a digest of its secret is kept."""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailroom.domain.errors import AccessRefused, Fault, InvalidInput, ScopeMissing, TokenNotFound
from mailroom.domain.limits import MAX_NAME
from mailroom.storage import tokens
from mailroom.storage.database import Db
from mailroom.storage.tokens import StoredToken

SCOPES: Final = {
    "admin": "everything",
    "read": "look at schedules, runs, reports and mails",
    "schedules": "make and change schedules, and look at everything",
    "mail": "send single mails, and look at everything",
}
_KNOWN_S: Final = 1.0
_MOST_KNOWN: Final = 1_000
_FORM: Final = re.compile(r"mr_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling: the token's id, its name and what it may do."""

    id: str
    name: str
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """Raises ScopeMissing. `admin` may do all; every token may read."""
        if scope not in self.scopes and "admin" not in self.scopes and scope != "read":
            raise ScopeMissing(scope)


def create_token(
    db: Db, *, name: str, scopes: Collection[str], now: datetime, expires_at: datetime | None = None
) -> str:
    """A new token's text: the only time that it can be seen. Raises InvalidInput."""
    if not name.strip() or len(name) > MAX_NAME:
        raise InvalidInput(Fault("name", f"1 to {MAX_NAME} characters"))
    unknown = sorted(set(scopes) - SCOPES.keys())
    if unknown or not scopes:
        raise InvalidInput(Fault("scopes", f"one or more of {', '.join(SCOPES)}"))
    id_, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    tokens.add(db, StoredToken(id_, _digest(secret), name.strip(), frozenset(scopes), now, expires_at))
    return f"mr_{id_}_{secret}"


def authenticate(db: Db, presented: str, *, now: datetime) -> Principal:
    """Who presents this token. Raises AccessRefused, in the same words for every reason."""
    form = _FORM.fullmatch(presented)
    stored = tokens.find(db, form[1]) if form else None
    # Compared even where nothing is stored, so that the time taken tells nothing.
    matches = hmac.compare_digest(_digest(form[2] if form else ""), stored.hash if stored else _digest("-"))
    if stored is None or not matches or not _valid(stored, now):
        raise AccessRefused("the token is missing, wrong, expired or revoked")
    tokens.note_use(db, stored, now=now)
    return Principal(stored.id, stored.name, stored.scopes)


class Doorkeeper:
    """Remembers for a second who presented which token: a caller in a hurry is not looked up for each request. So a
    token that is revoked by another process is let in for a second more. Thread-safe."""

    def __init__(self, db: Db, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._db, self._monotonic = db, monotonic
        self._known: dict[str, tuple[Principal, float]] = {}

    def authenticate(self, presented: str, *, now: datetime) -> Principal:
        """Raises AccessRefused."""
        name, at = _digest(presented), self._monotonic()
        found = self._known.get(name)
        if found is not None and at < found[1]:
            return found[0]
        if len(self._known) >= _MOST_KNOWN:
            self._known = {}
        principal = authenticate(self._db, presented, now=now)
        self._known[name] = principal, at + _KNOWN_S
        return principal

    def forget(self) -> None:
        """Look everybody up anew: a token was revoked here."""
        self._known = {}


def still_valid(db: Db, token_id: str, *, now: datetime) -> Principal:
    """The principal of a token that was authenticated before (a page's session). Raises AccessRefused."""
    stored = tokens.find(db, token_id)
    if stored is None or not _valid(stored, now):
        raise AccessRefused("the session's token is expired or revoked")
    return Principal(stored.id, stored.name, stored.scopes)


@dataclass(frozen=True, slots=True)
class KnownToken:
    """A token as it may be shown: all but its secret."""

    id: str
    name: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def id_of(text: str) -> str:
    """The public part of a token's text."""
    form = _FORM.fullmatch(text)
    return form[1] if form else ""


def known(db: Db, token_id: str) -> KnownToken:
    """Raises TokenNotFound."""
    stored = tokens.find(db, token_id)
    if stored is None:
        raise TokenNotFound(token_id)
    return _known(stored)


def everyone(db: Db) -> list[KnownToken]:
    """All tokens, newest first, the revoked ones too."""
    return [_known(stored) for stored in tokens.everyone(db)]


def revoke(db: Db, token_id: str, *, now: datetime) -> None:
    """Refuse this token from now on. Raises TokenNotFound for one that is not valid."""
    if not tokens.revoke(db, token_id, now=now):
        raise TokenNotFound(token_id)


def _known(stored: StoredToken) -> KnownToken:
    return KnownToken(
        stored.id,
        stored.name,
        stored.scopes,
        stored.created_at,
        stored.expires_at,
        stored.revoked_at,
        stored.last_used_at,
    )


def _valid(token: StoredToken, now: datetime) -> bool:
    return token.revoked_at is None and (token.expires_at is None or now < token.expires_at)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
