"""Tokens."""

from datetime import UTC, datetime
from typing import Any

from mailroom.services.operations import tokens as token_service
from mailroom.storage.database import Db


def a_token(db: Db, *scopes: str, **more: Any) -> str:
    return token_service.create_token(db, name="shop", scopes=scopes, now=datetime.now(UTC), **more)
