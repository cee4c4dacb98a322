"""What a filter is once it is read: a tree of plain nodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

Literal = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Compared:
    """A field compared with a value: by `=`, `!=`, `<`, `<=`, `>`, `>=`, `contains`, `starts` or `ends`."""

    field: str
    operator: str
    value: Literal


@dataclass(frozen=True, slots=True)
class OneOf:
    field: str
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Present:
    """The field has a value that is not blank."""

    field: str


@dataclass(frozen=True, slots=True)
class DayCompared:
    """A field that holds a day: `before`, `after` or `on` another."""

    field: str
    relation: str
    day: date


@dataclass(frozen=True, slots=True)
class InLastDays:
    """A field that holds a day of the last so many, today included."""

    field: str
    days: int


@dataclass(frozen=True, slots=True)
class EventInRuns:
    """An event in one of the last so many runs that went to the audience."""

    event: str
    runs: int


@dataclass(frozen=True, slots=True)
class EventInDays:
    """An event in one of the runs of the last so many days that went to the audience, today included."""

    event: str
    days: int


@dataclass(frozen=True, slots=True)
class Not:
    part: "Node"


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple["Node", ...]


Node = Compared | OneOf | Present | DayCompared | InLastDays | EventInRuns | EventInDays | Not | AllOf | AnyOf


def parts_of(node: Node) -> Sequence[Node]:
    """The node and all nodes in it."""
    match node:
        case Not(part=part):
            return [node, *parts_of(part)]
        case AllOf(parts=parts) | AnyOf(parts=parts):
            return [node, *(inner for part in parts for inner in parts_of(part))]
        case _:
            return [node]
