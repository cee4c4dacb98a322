"""CSV as spreadsheets and mail tools write it: separators, a header line, and rows with the numbers of their lines."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mailroom.domain.addresses import trimmed
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.lists.columns import Column, Role, is_address, is_address_heading
from mailroom.domain.lists.rows import Read, RefusedRow, Row

MAX_COLUMNS: Final = 200
DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_SAMPLE: Final = 20  # rows
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?', re.IGNORECASE)  # Excel's
_MOSTLY: Final = 0.8
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Layout:
    """The format of a table. `first`: the line of its first row. Without a header line every heading is ''."""

    delimiter: str
    headings: tuple[str, ...]
    first: int
    sample: tuple[tuple[str, ...], ...]


def layout_of(lines: Iterable[str]) -> Layout | None:
    """The layout of a table; None for a list of plain addresses. Raises InvalidInput for too many columns."""
    head, before, given = _head(lines)
    if not head:
        return None
    tried = [_tried(head, before, delimiter) for delimiter in ([given] if given else DELIMITERS)]
    best = max(tried, key=lambda layout: (any(map(is_address_heading, layout.headings)), len(layout.headings)))
    if "@" not in head[0]:
        if len(best.headings) > MAX_COLUMNS:
            raise InvalidInput(Fault("recipients", f"at most {MAX_COLUMNS} columns; the first line has more"))
        named = any(map(is_address_heading, best.headings))
        return best if named or len(best.headings) > 1 or given else None
    return next((bare for layout in tried if (bare := _without_header(layout, before))), None)


def _head(lines: Iterable[str]) -> tuple[list[str], int, str | None]:
    """Returns (the first lines that are not empty, the number of lines before them, the separator of Excel's `sep=`
    line)."""
    head: list[str] = []
    before, given = 0, None
    for line in lines:
        if not head and (not trimmed(line) or (separator := _SEPARATOR_LINE.fullmatch(trimmed(line)))):
            before += 1
            if trimmed(line):
                given = separator[1] if separator else given
            continue
        head.append(line)
        if len(head) > _SAMPLE:
            break
    return head, before, given


def _tried(head: Sequence[str], before: int, delimiter: str) -> Layout:
    reader = csv.reader(iter(head), delimiter=delimiter)
    rows: list[tuple[str, ...]] = []
    first = before + 1
    try:
        for cells in reader:
            rows.append(tuple(trimmed(cell) for cell in cells[: MAX_COLUMNS + 1]))
            if len(rows) == 1:
                first = before + reader.line_num + 1
    except csv.Error:
        pass  # `rows_of` reports the fault with its line
    headings, *sample = rows or [()]
    return Layout(delimiter, headings, first, tuple(row for row in sample if any(row)))


def _without_header(layout: Layout, before: int) -> Layout | None:
    """The layout without a header line, if each row has one bare address in the same column, and other cells."""
    rows = [layout.headings, *layout.sample]
    width = len(layout.headings)
    here = [number for number, cell in enumerate(layout.headings) if is_address(cell)]
    others = sum(1 for cell in layout.headings if cell) - 1
    if (
        width > MAX_COLUMNS
        or len(here) != 1
        or others < 1
        or any("@" in cell for n, cell in enumerate(layout.headings) if n != here[0])
    ):
        return None
    alike = sum(1 for row in rows if len(row) == width and is_address(row[here[0]]))
    if alike < _MOSTLY * len(rows):
        return None
    return Layout(layout.delimiter, ("",) * width, before + 1, tuple(rows))


def rows_of(lines: Iterable[str], layout: Layout, columns: Sequence[Column]) -> Iterator[Read]:
    """Every row of the table, read with these columns."""
    reader = csv.reader(iter(lines), delimiter=layout.delimiter, strict=True)
    needed = max((n + 1 for n, column in enumerate(columns) if column.heading or column.role is not Role.IGNORED))
    last = 0
    while True:
        try:
            for cells in reader:
                begin, last = last + 1, reader.line_num
                if begin < layout.first or not any(cells) or not any(map(str.strip, cells)):
                    continue
                if len(cells) < needed or (len(cells) > len(columns) and any(cells[len(columns) :])):
                    yield _ragged(begin, cells, len(columns))
                else:
                    yield begin, _row(cells, columns)
            return
        except csv.Error as error:
            begin, last = last + 1, reader.line_num
            yield RefusedRow(begin, "", _words(error, begin, last))


def _row(cells: Sequence[str], columns: Sequence[Column]) -> Row:
    row: Row = {"address": "", "variables": {}}
    names: list[str] = []
    for column, cell in zip(columns, cells, strict=False):
        if column.role is Role.IGNORED:
            continue
        cell = trimmed(cell)
        if column.role is Role.ADDRESS:
            row["address"] = cell
            continue
        if column.role in (Role.TIME_ZONE, Role.LANGUAGE):
            row[column.role.value] = cell
            continue
        if column.role is not Role.FIELD and cell:
            names.append(cell)
        if column.field:
            row["variables"][column.field] = cell
    if names:
        row["name"] = " ".join(names)
    return row


def _ragged(line: int, cells: Sequence[str], wanted: int) -> RefusedRow:
    address = next((cell for cell in map(trimmed, cells) if is_address(cell)), "")
    return RefusedRow(line, address, f"has {len(cells)} columns; the first line has {wanted}")


def _words(error: csv.Error, begin: int, end: int) -> str:
    if "field larger" in str(error) or "unexpected end" in str(error):
        lines = f"from line {begin} to line {end}" if end > begin else "in this line"
        return f'a quotation mark is opened and not closed {lines}; write " within a value as ""'
    return 'a value in quotes goes on after its closing quotation mark; write " within a value as ""'
