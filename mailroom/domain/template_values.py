"""How templates read lists and objects: `order.lines[0].price` reads keys of objects and places of lists, and nothing
else. No attribute and no method of Python can be reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import StrictUndefined, Undefined
from jinja2.runtime import LoopContext

from mailroom.domain.plain_values import kind_of
from mailroom.domain.template_spending import Spending
from mailroom.domain.words import counted

#: What `loop` tells within a loop.
LOOP_NAMES: Final = frozenset({"first", "index", "index0", "last", "length"})
CONTAINERS: Final = (list, tuple, dict)
#: The key of the account of the mail that is being rendered, among its values. No template can write it.
SPENDING: Final = " spending"
_NOTHING: Final = object()
_MOST_OF_A_KEY: Final = 64  # characters, in faults


class Missing(StrictUndefined):
    """A part that a value does not have. Templates may test it and give a default; any other use raises UndefinedError
    with the path."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        return str(self._undefined_obj)


@dataclass(frozen=True, slots=True)
class Gap:
    """The place of a part that is not there: its text names the path, and the item of the loop that lacks it.

    `root`: the value of the variable `name`. `keys`: the path from there. `parent`: the value that lacks the last key.
    `lists`: those of Spending.
    """

    root: object
    name: str
    keys: tuple[object, ...]
    parent: object
    lists: Mapping[str, Sequence[Any]]

    def __str__(self) -> str:
        before, key = self._path(self.keys[:-1]), self.keys[-1]
        path = before + _step(key)
        if self.parent is None or (isinstance(self.parent, dict) and isinstance(key, str)):
            return f"{path}: {self._owner(before)} has none"
        if isinstance(self.parent, list | tuple) and isinstance(key, int):
            return f"{path}: {before} has {counted(len(self.parent), 'item')}; the first is {before}[0]"
        if isinstance(self.parent, list | tuple):
            return f"{path}: {before} is a list; write a loop, or {before}[0]"
        return f"{path}: {self._owner(before)} is {kind_of(self.parent)}"

    def _path(self, keys: Sequence[object]) -> str:
        return (self.name or "(…)") + "".join(_step(key) for key in keys)

    def _owner(self, path: str) -> str:
        """`item 3` if the variable is an item of a loop, else the path."""
        items = self.lists.get(self.name, ())
        number = next((number for number, item in enumerate(items, 1) if item is self.root), 0)
        return f"item {number}" if number else path


def part_at(context: Any, value: object, name: str, *keys: object) -> object:
    """The part of a value at these keys; Missing, or the undefined value itself, where there is none. `name`: that of
    the variable; '' for other expressions."""
    found = value
    for depth, key in enumerate(keys, 1):
        if isinstance(found, Undefined):
            return found
        if isinstance(key, Undefined):
            return key
        parent, found = found, _part(found, key)
        if found is _NOTHING:
            lists = spending_of(context).lists
            return Missing(obj=Gap(value, name, keys[:depth], parent, lists))
    return found


def part_or_missing(value: object, key: object) -> object:
    """One part of a value, without a template around it."""
    found = _part(value, key)
    return Missing(obj=Gap(value, "", (key,), value, {})) if found is _NOTHING else found


def list_to_loop(spending: Spending, value: object, name: str, steps: int) -> Sequence[Any]:
    """The items of a loop, whose turns are counted now. `name`: that of an item. `steps`: those of one turn.

    Raises CannotRender, UndefinedError; TypeError for a value that is no list.
    """
    if isinstance(value, Undefined):
        return list(value)  # raises UndefinedError, in the words of the value
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise TypeError(f"{{% for {name} in … %}} needs a list, and this is {kind_of(value)}")
    spending.turn(len(value), steps)
    spending.lists[name] = value
    return value


def spending_of(context: Any) -> Spending:
    """The account of the mail that is being rendered."""
    spending: Spending = context[SPENDING]
    return spending


def _part(value: object, key: object) -> object:
    match value, key:
        case dict(), str():
            return _NOTHING if key.startswith("_") else value.get(key, _NOTHING)
        case ((list() | tuple()), int()) if not isinstance(key, bool) and -len(value) <= key < len(value):
            return value[key]
        case LoopContext(), str() if key in LOOP_NAMES:
            return getattr(value, key)
    return _NOTHING


def _step(key: object) -> str:
    shown = str(key)[:_MOST_OF_A_KEY] if isinstance(key, str | int | float | None) else "…"
    return f".{shown}" if isinstance(key, str) and shown.isidentifier() else f"[{shown}]"
