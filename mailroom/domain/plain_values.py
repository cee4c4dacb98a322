"""The values that fill in a single mail: texts, numbers, null, and lists and objects of these, within bounds."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from mailroom.domain.errors import Fault
from mailroom.domain.limits import (
    MAX_CHARACTERS_IN_LISTS,
    MAX_KEY,
    MAX_MAIL_NUMBER,
    MAX_MAIL_VARIABLE,
    MAX_VALUES_DEEP,
    MAX_VALUES_IN_LISTS,
    MAX_VARIABLE_NAME,
)

_NAME: Final = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{MAX_VARIABLE_NAME - 1}}}")
_MOST_FAULTS: Final = 50  # of values within lists and objects, reported at once
TOO_DEEP: Final = f"lists and objects go at most {MAX_VALUES_DEEP} deep"


def faults_of_variables(variables: Mapping[str, Any]) -> list[Fault]:
    """The faults of a single mail's variables, each with its path, such as `variables.items[3].price`."""
    faults = []
    nested = {}
    for name, value in variables.items():
        path = f"variables.{name}"
        if not _NAME.fullmatch(name):
            words = f"a name has letters, digits and _, and at most {MAX_VARIABLE_NAME} characters"
            faults.append(Fault(path, words))
        elif isinstance(value, list | dict):
            nested[path] = value
        elif words := _wrong_with(value):
            faults.append(Fault(path, words))
    return faults + _faults_of_nested(nested)


def is_too_deep(value: Any) -> bool:
    """True if lists and objects are inside one another more than MAX_VALUES_DEEP times. It looks no deeper."""
    level = [value]
    for _ in range(MAX_VALUES_DEEP + 1):
        level = [part for one in level if isinstance(one, list | dict) for part in _parts(one)]
        if not level:
            return False
    return True


def characters_in(value: Any) -> int:
    """The characters of all texts in lists and objects, those of keys included."""
    total = 0
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            total += len(one)
        elif isinstance(one, list | dict):
            if isinstance(one, dict):
                total += sum(map(len, one))
            waiting.extend(_parts(one))
    return total


def kind_of(value: object) -> str:
    """What a value is, in words, for faults."""
    match value:
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case dict():
            return "an object"
        case list() | tuple():
            return "a list"
        case None:
            return "null"
        case _:
            return "no value"


def _faults_of_nested(nested: Mapping[str, Any]) -> list[Fault]:
    """Looking stops where the values are too many: that bounds its cost."""
    room = _Room()
    faults = list(
        islice((fault for path, value in nested.items() for fault in _within(value, path, 1, room)), _MOST_FAULTS)
    )
    return faults + room.faults()


def _within(value: Any, path: str, depth: int, room: "_Room") -> Iterator[Fault]:
    if not isinstance(value, list | dict):
        room.take(1, len(value) if isinstance(value, str) else 0)
        if words := _wrong_with(value):
            yield Fault(path, words)
        return
    if depth > MAX_VALUES_DEEP:
        yield Fault(path, TOO_DEEP)
        return
    room.take(1, 0)
    for step, key, part in _steps(value):
        if room.is_used_up:
            return
        room.take(0, len(key))
        if len(key) > MAX_KEY:
            yield Fault(path + step, f"a key has at most {MAX_KEY} characters")
        yield from _within(part, path + step, depth + 1, room)


def _steps(value: Any) -> Iterator[tuple[str, str, Any]]:
    """Of each part of a list or object: its step in the path, its key ('' in a list), and itself."""
    if isinstance(value, dict):
        yield from ((f".{key[:MAX_KEY]}", key, part) for key, part in value.items())
    else:
        yield from ((f"[{number}]", "", part) for number, part in enumerate(value))


class _Room:
    """What is left for the values within lists and objects."""

    def __init__(self) -> None:
        self._values, self._characters = MAX_VALUES_IN_LISTS, MAX_CHARACTERS_IN_LISTS

    def take(self, values: int, characters: int) -> None:
        self._values -= values
        self._characters -= characters

    @property
    def is_used_up(self) -> bool:
        return self._values < 0 or self._characters < 0

    def faults(self) -> list[Fault]:
        faults = []
        if self._values < 0:
            faults.append(Fault("variables", f"lists and objects hold at most {MAX_VALUES_IN_LISTS:,} values together"))
        if self._characters < 0:
            words = f"lists and objects hold at most {MAX_CHARACTERS_IN_LISTS:,} characters together"
            faults.append(Fault("variables", words))
        return faults


def _wrong_with(value: Any) -> str:
    """Why this text or number cannot fill in a template; '' if it can."""
    match value:
        case str() if len(value) > MAX_MAIL_VARIABLE:
            return f"at most {MAX_MAIL_VARIABLE:,} characters; these are {len(value):,}"
        case int() if abs(value) >= MAX_MAIL_NUMBER:
            return "a number has at most 20 digits; give longer ones as text"
        # A whole number beyond 64 bits is read as a float from a large body, with some of its digits lost.
        case float() if abs(value) >= 2**63:
            return "Give so large a number as text."
        case str() | int() | float() | None:
            return ""
        case _:
            return "Neither text nor number."


def _parts(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value
