"""Rows of a list, before their values are checked."""

from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]  # address, name, variables, time_zone, language


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A refused row. `row`: the line of a file or of pasted text, or the position in a JSON list, counted from 1."""

    row: int
    address: str
    message: str


# A row with its number, or a refused row.
Read = tuple[int, Row] | RefusedRow
