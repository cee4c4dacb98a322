"""Pages of lists. A cursor is an opaque text that names the last row of a page."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from marshmallow import Schema, fields, validate

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_PAGE

T = TypeVar("T")


class ListQuery(Schema):
    """What can be asked of every list."""

    cursor = fields.String()
    limit = fields.Integer(load_default=50, validate=validate.Range(1, MAX_PAGE))


class PageOut(Schema):
    """The fields of every page apart from its `items`."""

    next_cursor = fields.String(allow_none=True)


def page_of(
    rows: Sequence[T], limit: int, show: Callable[[T], Any], place: Callable[[T], Sequence[Any]]
) -> dict[str, Any]:
    """A page of these rows, with a cursor if the page is full. `show` makes a row's answer; `place` returns the values
    by which the list is ordered."""
    more = encode(*place(rows[-1])) if len(rows) == limit else None
    return {"items": [show(row) for row in rows], "next_cursor": more}


class _WithId(Protocol):
    @property
    def id(self) -> str: ...


def by_id(row: _WithId) -> tuple[str]:
    """The `place` of a row in a list that is ordered by id."""
    return (row.id,)


def encode(*parts: Any) -> str:
    """A cursor of these values: texts, numbers, times."""
    text = json.dumps([part.isoformat() if isinstance(part, datetime) else part for part in parts])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_time_and_id(cursor: str | None) -> tuple[datetime, str] | None:
    """The time and id of the last row; None for no cursor. Raises InvalidInput."""
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


def decode_place(cursor: str | None, *, by_time: bool) -> tuple[Any, str] | None:
    """Of a list that is sorted by a time, which some rows have not, or by a text. Raises InvalidInput."""
    if not cursor:
        return None
    try:
        value, id_ = _decode(cursor)
        if by_time and value is not None:
            return decode_time_and_id(cursor)
        if not isinstance(id_, str) or not (by_time or isinstance(value, str)):
            raise ValueError
        f"{value}{id_}".encode()
    except (ValueError, TypeError, RecursionError):
        raise _bad_cursor() from None
    return value, id_


def decode_id(cursor: str | None) -> str:
    """The id of the last row; '' for no cursor. Raises InvalidInput."""
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


def decode_id_and_number(cursor: str | None) -> tuple[str, int] | None:
    """The id and the number of the last row; None for no cursor. Raises InvalidInput."""
    if not cursor:
        return None
    try:
        id_, number = _decode(cursor)
        if not isinstance(id_, str) or type(number) is not int or not 0 <= number < 2**31:
            raise ValueError
        id_.encode()
    except (ValueError, TypeError, RecursionError):
        raise _bad_cursor() from None
    return id_, number


def decode_id_and_count(cursor: str | None) -> tuple[str, int | None]:
    """The id of the last row, and the count of all rows; None if the cursor holds only an id. Raises InvalidInput."""
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
