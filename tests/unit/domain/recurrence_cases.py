"""The cases of `recurrence_cases.txt` as values. The table says how its cases were made, and what its columns mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_COLUMNS: Final = 7
_RULES: Final = {"cron": "expression", "rrule": "expression", "once": "at", "every": "seconds"}
_BOUNDS: Final[Mapping[str, type]] = {"starts_at": str, "ends_at": str, "max_runs": int}
_EXHAUSTED: Final = {"end": True, "...": False}


@dataclass(frozen=True)
class Case:
    """One recurrence and the instants it must give; fields that the kind does not use stay None.

    `expected` are the first instants strictly after `after`, in order and without repeats; `exhausted` is True exactly
    when no instant follows them. Times ending in Z are UTC.
    """

    name: str
    kind: str
    time_zone: str
    after: str
    expected: list[str]
    exhausted: bool
    expression: str | None = None
    at: str | None = None
    seconds: int | None = None
    starts_at: str | None = None
    ends_at: str | None = None
    max_runs: int | None = None


def read_cases(table: str) -> list[Case]:
    """A case for each line that is neither empty nor a comment. Raises ValueError, with the line's number, for a column
    too many or too few, an unknown kind, an unknown or repeated bound, and expected instants without an ending."""
    return [
        _case(line, number)
        for number, line in enumerate(table.splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]


def _case(line: str, number: int) -> Case:
    cells = [cell.strip() for cell in line.split("|")]
    if len(cells) != _COLUMNS:
        raise ValueError(f"line {number}: {len(cells)} columns instead of {_COLUMNS}")
    kind, rule, time_zone, bounds, after, expected, name = cells
    if kind not in _RULES:
        raise ValueError(f"line {number}: unknown kind {kind!r}")
    *instants, ending = expected.split() or [""]
    if ending not in _EXHAUSTED:
        raise ValueError(f"line {number}: the expected instants end with neither 'end' nor '...'")
    options: dict[str, Any] = {_RULES[kind]: int(rule) if kind == "every" else rule}
    for bound in bounds.split():
        field, _, value = bound.partition("=")
        if field not in _BOUNDS or field in options:
            raise ValueError(f"line {number}: unknown or repeated bound {field!r}")
        options[field] = _BOUNDS[field](value)
    return Case(name, kind, time_zone, after, instants, _EXHAUSTED[ending], **options)


CASES: Final = read_cases(Path(__file__).with_suffix(".txt").read_text())
