"""Instants in JSON, as they are taken and as they are shown."""

from datetime import datetime
from typing import Any, Final

from marshmallow import ValidationError, fields

INSTANT: Final = {"type": "string", "description": "ISO 8601 with an offset"}


class MomentField(fields.Field[datetime]):
    """ISO 8601; without an offset it is local to the recurrence's time zone."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
            if moment.year < 1970 or moment.year > 2200:
                raise ValueError
        except (TypeError, ValueError):
            raise ValidationError("Not a date and time in ISO 8601, such as 2026-12-01T09:00:00.") from None
        return moment


def iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
