"""Links that sign a browser in without typing a token: each once, and for a short time. Only a digest is stored."""

import secrets
from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.errors import AccessRefused
from mailroom.domain.principals import Principal
from mailroom.services.operations.token_check import digest, still_valid
from mailroom.storage import sign_in_links
from mailroom.storage.database import Db

LIFETIME: Final = timedelta(minutes=10)


def create(db: Db, token_id: str, *, now: datetime) -> str:
    """Make a link for this token. Returns its secret, which cannot be read again."""
    secret = secrets.token_urlsafe(32)
    sign_in_links.add(db, digest(secret), token_id=token_id, ends_at=now + LIFETIME)
    return secret


def redeem(db: Db, secret: str, *, now: datetime) -> Principal:
    """The principal of a link's token; the link is used up. Raises AccessRefused if the link is unknown, used or over,
    or if its token is not valid any more."""
    token_id = sign_in_links.take(db, digest(secret), now=now) if secret else None
    if token_id is None:
        raise AccessRefused("the link is wrong, used or over")
    return still_valid(db, token_id, now=now)
