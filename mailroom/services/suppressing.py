"""Suppressions looked at and lifted."""

from dataclasses import dataclass
from datetime import datetime

from mailroom.storage import suppressions
from mailroom.storage.database import Db


@dataclass(frozen=True, slots=True)
class Suppression:
    address: str
    reason: str
    since: datetime


def page(db: Db, *, before: tuple[datetime, str] | None, limit: int) -> list[Suppression]:
    """Newest first."""
    found = suppressions.page(db, before=before, limit=limit)
    return [Suppression(doc["_id"], doc["reason"], doc["since"]) for doc in found]


def remove(db: Db, address: str) -> bool:
    """Let this address be mailed to again. False if it was not suppressed."""
    return suppressions.remove(db, address)
