"""Instants: aware UTC datetimes, cut to whole milliseconds because that is what BSON keeps."""

from datetime import UTC, datetime


def to_instant(moment: datetime) -> datetime:
    """The same moment in UTC, cut to milliseconds. `moment` must be aware."""
    if moment.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def compact(instant: datetime) -> str:
    """The instant in the form used in ids: `20261123T080000Z`, with milliseconds only if they are not zero."""
    text = instant.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
    millis = instant.microsecond // 1000
    return f"{text}.{millis:03d}Z" if millis else f"{text}Z"
