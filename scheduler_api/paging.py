"""Pages of lists, and cursors: an opaque text that names the last row of a page."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from marshmallow import Schema, fields

from mailroom.domain.errors import Fault, InvalidInput

T = TypeVar("T")


class PageOut(Schema):
    """What every page has beside its `items`."""

    next_cursor = fields.String(allow_none=True)


def page_of(
    found: Sequence[T], limit: int, show: Callable[[T], Any], place: Callable[[T], Sequence[Any]]
) -> dict[str, Any]:
    """The rows as they are shown, and a cursor to go on with where the page is full; `place` names a row by what the
    list is in the order of."""
    more = encode(*place(found[-1])) if len(found) == limit else None
    return {"items": [show(one) for one in found], "next_cursor": more}


def by_id(doc: Mapping[str, Any]) -> tuple[str]:
    """The place of a document in a list in the order of ids."""
    return (doc["_id"],)


def encode(*parts: Any) -> str:
    text = json.dumps([part.isoformat() if isinstance(part, datetime) else part for part in parts])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_time_and_id(cursor: str | None) -> tuple[datetime, str] | None:
    """Raises InvalidInput."""
    if not cursor:
        return None
    try:
        at, id_ = _decode(cursor)
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not isinstance(id_, str):
            raise ValueError
        id_.encode()
        return moment.astimezone(UTC), id_
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise _bad_cursor() from None


def decode_id(cursor: str | None) -> str:
    """'' for no cursor. Raises InvalidInput."""
    if not cursor:
        return ""
    try:
        (id_,) = _decode(cursor)
        if not isinstance(id_, str):
            raise ValueError
        id_.encode()
    except (ValueError, TypeError, RecursionError):
        raise _bad_cursor() from None
    return id_


def decode_id_and_count(cursor: str | None) -> tuple[str, int | None]:
    """A place, and the count of the first page; None for a cursor that holds only a place. Raises InvalidInput."""
    if not cursor:
        return "", None
    try:
        id_, count = _decode(cursor)
        if not isinstance(id_, str) or not isinstance(count, int) or not 0 <= count < 2**31:
            raise ValueError
        id_.encode()
    except (ValueError, TypeError, RecursionError):
        return decode_id(cursor), None
    return id_, count


def _decode(cursor: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))


def _bad_cursor() -> InvalidInput:
    return InvalidInput(Fault("cursor", "is not one that was given out"))
