"""The place in a list, as it stands in a page's address: the last row of the page before."""

from datetime import UTC, datetime


def encode(at: datetime, id_: str) -> str:
    return f"{at.isoformat()}~{id_}"


def decode(text: str | None) -> tuple[datetime, str] | None:
    """None for no place, and for one that cannot be read: the list then begins at its top."""
    at, tilde, id_ = (text or "").partition("~")
    try:
        moment = datetime.fromisoformat(at)
        id_.encode()
        return (moment.astimezone(UTC), id_) if tilde and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
