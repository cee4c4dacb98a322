"""Rows of a list, before their values are checked."""

from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]  # address, name, variables


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that cannot be taken. `row` is the line of a file or of pasted text, or the place in a JSON list; all count
    from one."""

    row: int
    address: str
    message: str


# A row with its number, or why there is none.
Read = tuple[int, Row] | RefusedRow
