"""A pasted or uploaded list of recipients: its format, and its rows, one at a time."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.lists import mailboxes, tables
from mailroom.domain.lists.columns import Column, check_columns, propose
from mailroom.domain.lists.rows import Read, RefusedRow, Row
from mailroom.domain.lists.tables import Layout
from mailroom.domain.lists.texts import (
    ENCODINGS,
    ListData,
    check_is_text,
    guess_encoding,
    has_zero_bytes,
    is_encoded,
    lines_of,
)

SHOWN_ROWS: Final = 5
_STRANGERS: Final = re.compile(r"<[^<>]*@|@[^@]*@")


@dataclass(frozen=True, slots=True)
class Look:
    """The format of a list. For plain addresses, one or several a line, `layout` is None and `columns` is empty.
    `certain`: no person needs to confirm the columns."""

    encoding: str
    layout: Layout | None
    columns: tuple[Column, ...]
    certain: bool

    @property
    def sample(self) -> tuple[tuple[str, ...], ...]:
        return self.layout.sample[:SHOWN_ROWS] if self.layout else ()


def look_at(data: ListData, *, encoding: str | None = None) -> Look:
    """Detect the format of a list. `encoding`: one of ENCODINGS, if a person chose it. Raises InvalidInput."""
    check_is_text(data)
    if encoding is not None and encoding not in ENCODINGS:
        raise InvalidInput(Fault("encoding", f"one of {', '.join(ENCODINGS)}"))
    codec = encoding or guess_encoding(data)
    layout = tables.layout_of(lines_of(data, codec))
    if layout is None:
        return Look(codec, None, (), True)
    columns, certain = propose(layout.headings, layout.sample)
    return Look(codec, layout, columns, certain and any(layout.headings) and codec.startswith("utf-8"))


def rows_of(data: ListData, look: Look, columns: Sequence[Column] = ()) -> Iterator[Read]:
    """The rows, read with `columns`, or with the columns of `look`. Raises InvalidInput before the first row."""
    if look.layout is None:
        rows = mailboxes.rows_of(lines_of(data, look.encoding))
    else:
        chosen = tuple(columns) or look.columns
        if len(chosen) != len(look.columns):
            raise InvalidInput(Fault("columns", f"the list has {len(look.columns)} columns"))
        check_columns(chosen)
        rows = tables.rows_of(lines_of(data, look.encoding), look.layout, chosen)
    if has_zero_bytes(data) or not is_encoded(data, look.encoding):
        rows = _without_spoilt(rows, look.encoding)
    return _without_strangers(rows)


def _without_spoilt(rows: Iterator[Read], encoding: str) -> Iterator[Read]:
    """Refuse rows with bytes that are not valid in this encoding, or with a zero byte."""
    for read in rows:
        if isinstance(read, tuple) and any(_is_spoilt(text) for text in _texts(read[1])):
            words = f"holds what is no text in {ENCODINGS[encoding]}; save the file as UTF-8, or choose its encoding"
            yield RefusedRow(read[0], read[1]["address"], words)
        else:
            yield read


def _is_spoilt(text: str) -> bool:
    return "\0" in text or "\ufffd" in text


def _texts(row: Row) -> Iterator[str]:
    yield from (row["address"], row.get("name", ""), row.get("time_zone", ""), row.get("language", ""))
    yield from row.get("variables", {}).values()


def _without_strangers(rows: Iterator[Read]) -> Iterator[Read]:
    """Refuse rows whose name holds other people's addresses: the recipient would read them."""
    for read in rows:
        if isinstance(read, tuple) and "@" in read[1].get("name", "") and _STRANGERS.search(read[1]["name"]):
            yield RefusedRow(read[0], read[1]["address"], "the name holds addresses; write one recipient a line")
        else:
            yield read
