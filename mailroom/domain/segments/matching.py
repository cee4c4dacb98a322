"""Whether a contact is in a segment: a filter, applied to what is known of the contact at one moment."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from mailroom.domain.audiences import Value
from mailroom.domain.contacts import Contact
from mailroom.domain.segments.nodes import (
    AllOf,
    AnyOf,
    Compared,
    DayCompared,
    EventInDays,
    EventInRuns,
    InLastDays,
    Literal,
    Node,
    Not,
    OneOf,
    Present,
)

#: Fields that every contact has, beside its merge fields. A merge field of the same name is not reached.
OWN_FIELDS: Final = ("address", "name", "domain", "language", "time_zone", "joined")
_NUMBER: Final = re.compile(r"\s*-?[0-9]{1,15}(?:\.[0-9]{1,15})?\s*")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known beside the contacts. `at`: the moment for which the filter is applied; days are those of UTC.
    `happened`: for each (event, number of runs), the folded addresses with this event in one of the last so many runs;
    `lately`: the same for numbers of days."""

    at: datetime
    happened: Mapping[tuple[str, int], Collection[str]] = field(default_factory=dict)
    lately: Mapping[tuple[str, int], Collection[str]] = field(default_factory=dict)


def matches(node: Node, contact: Contact, facts: Facts) -> bool:
    match node:
        case AllOf(parts=parts):
            return all(matches(part, contact, facts) for part in parts)
        case AnyOf(parts=parts):
            return any(matches(part, contact, facts) for part in parts)
        case Not(part=part):
            return not matches(part, contact, facts)
        case Compared(field=name, operator=operator, value=wanted):
            return _compares(_value(contact, name), operator, wanted)
        case OneOf(field=name, values=values):
            found = _value(contact, name)
            return any(_equals(found, wanted) for wanted in values)
        case Present(field=name):
            found = _value(contact, name)
            return found is not None and found != ""
        case DayCompared(field=name, relation=relation, day=day):
            return _is_dated(_day(_value(contact, name)), relation, day)
        case InLastDays(field=name, days=days):
            found_day, today = _day(_value(contact, name)), facts.at.astimezone(UTC).date()
            return found_day is not None and first_day(facts.at, days) <= found_day <= today
        case EventInRuns(event=event, runs=runs):
            return contact.key in facts.happened[event, runs]
        case EventInDays(event=event, days=days):
            return contact.key in facts.lately[event, days]


def first_day(at: datetime, days: int) -> date:
    """The first of the last so many days, that of `at` included."""
    return at.astimezone(UTC).date() - timedelta(days=days - 1)


def _value(contact: Contact, name: str) -> Value:
    """None for what is not known."""
    recipient = contact.recipient
    match name:
        case "address":
            return contact.key
        case "name":
            return recipient.name
        case "domain":
            return contact.key.rpartition("@")[2]
        case "language":
            return recipient.language
        case "time_zone":
            return recipient.time_zone
        case "joined":
            return contact.joined_at.astimezone(UTC).isoformat() if contact.joined_at else None
        case _:
            return recipient.variables.get(name)


def _compares(found: Value, operator: str, wanted: Literal) -> bool:
    match operator:
        case "=":
            return _equals(found, wanted)
        case "!=":
            return not _equals(found, wanted)
        case "contains":
            return _folded(wanted) in _folded(found)
        case "starts":
            return _folded(found).startswith(_folded(wanted))
        case "ends":
            return _folded(found).endswith(_folded(wanted))
        case _:
            return _is_ordered(found, operator, wanted)


def _equals(found: Value, wanted: Literal) -> bool:
    """Texts are equal whatever their case. A text that reads as a number equals the number."""
    if found is None:
        return False
    if isinstance(wanted, bool) or isinstance(found, bool):
        return _folded(found) == _folded(wanted)
    if isinstance(wanted, int | float):
        number = _number(found)
        return number is not None and number == wanted
    return _folded(found) == _folded(wanted)


def _is_ordered(found: Value, operator: str, wanted: Literal) -> bool:
    one: float | str | None
    other: float | str
    if isinstance(wanted, str):
        one, other = (None if found is None else _folded(found)), _folded(wanted)
    else:
        one, other = _number(found), wanted  # a whole number of any length: Python compares it as it is
    if one is None:
        return False
    match operator:
        case "<":
            return one < other  # type: ignore[operator]  # both are numbers, or both are texts
        case "<=":
            return one <= other  # type: ignore[operator]
        case ">":
            return one > other  # type: ignore[operator]
        case _:
            return one >= other  # type: ignore[operator]


def _number(found: Value) -> float | None:
    if isinstance(found, bool) or found is None:
        return None
    if isinstance(found, int | float):
        return float(found)
    return float(found) if _NUMBER.fullmatch(found) else None


def _folded(value: Value) -> str:
    return "" if value is None else str(value).strip().casefold()


def _day(found: Value) -> date | None:
    """The day that a text begins with, such as `2026-12-31` or `2026-12-31T09:00:00Z`."""
    if not isinstance(found, str):
        return None
    try:
        return date.fromisoformat(found.strip()[:10])
    except ValueError:
        return None


def _is_dated(found: date | None, relation: str, day: date) -> bool:
    if found is None:
        return False
    match relation:
        case "before":
            return found < day
        case "after":
            return found > day
        case _:
            return found == day
