"""The place in a list, as it stands in a page's address: the last row of the page before.

A place that cannot be read is none: the list then begins at its top.
"""

from datetime import UTC, datetime


def encode(value: datetime | str | None, id_: str) -> str:
    """A row's value by which the list is sorted, and its id."""
    return f"{value.isoformat() if isinstance(value, datetime) else value or ''}~{id_}"


def decode(text: str | None) -> tuple[datetime, str] | None:
    """The place in a list that is sorted by a time; None for no place."""
    value, tilde, id_ = (text or "").partition("~")
    try:
        moment = datetime.fromisoformat(value)
        id_.encode()
        return (moment.astimezone(UTC), id_) if tilde and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def decode_timeless(text: str | None) -> tuple[datetime | None, str] | None:
    """The place in a list that is sorted by a time which some rows have not; None for no place."""
    if text and text.startswith("~"):
        return None, text[1:]
    return decode(text)


def decode_name(text: str | None) -> tuple[str, str] | None:
    """The place in a list that is sorted by a name; None for no place."""
    name, tilde, id_ = (text or "").partition("~")
    return (name, id_) if tilde else None
