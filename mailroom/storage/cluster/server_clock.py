"""Expressions for updates of `cluster` by MongoDB's clock: hosts that take turns need not agree on the time."""

from mailroom.storage.database import Document


def in_seconds(seconds: float) -> Document:
    """The moment so many seconds from now; whole ones."""
    return {"$dateAdd": {"startDate": "$$NOW", "unit": "second", "amount": int(seconds)}}


def has_come(field: str) -> Document:
    """True if the time in this field has come, or there is none."""
    return {"$lte": [{"$ifNull": [f"${field}", "$$NOW"]}, "$$NOW"]}
