"""What stands in loops, counted: comparing, joining and adding cost as much as their values are long, at every turn.

Each function is a filter of a name that no template can write; `template_counting.py` puts them in. They give what
Jinja2's own operators give, for texts and numbers.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from jinja2 import pass_context
from jinja2.runtime import Context, markup_join, str_join

from mailroom.domain.plain_values import kind_of
from mailroom.domain.template_spending import Spending
from mailroom.domain.template_values import CONTAINERS, list_to_loop, part_at, spending_of

LOOPED, PART, JOINED, COMPARED, ADDED, TESTED = " looped", " part", " joined", " compared", " added", " tested"
#: Tests whose cost grows with their values, and the comparison that each of them is.
COUNTED_TESTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(["eq", "==", "equalto"], "eq"),
    **dict.fromkeys(["ne", "!="], "ne"),
    **dict.fromkeys(["gt", ">", "greaterthan"], "gt"),
    **dict.fromkeys(["ge", ">="], "gteq"),
    **dict.fromkeys(["lt", "<", "lessthan"], "lt"),
    **dict.fromkeys(["le", "<="], "lteq"),
    "in": "in",
    "lower": "",
    "upper": "",
    "divisibleby": "",
}
MAX_BITS: Final = 1_024  # of a whole number in a template
_COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gteq": operator.ge,
    "lt": operator.lt,
    "lteq": operator.le,
    "in": lambda left, right: left in right,
    "notin": lambda left, right: left not in right,
}
_CALCULATE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "/": operator.truediv,
    "//": operator.floordiv,
}


@pass_context
def looped(context: Context, value: object, name: str, steps: int) -> object:
    return list_to_loop(spending_of(context), value, name, steps)


@pass_context
def joined(context: Context, *values: object) -> object:
    """`a ~ b`."""
    for value in values:
        if isinstance(value, CONTAINERS):
            raise TypeError(f"~ joins texts and numbers, and this is {kind_of(value)}")
        spending_of(context).work(_size(value))
    return markup_join(values) if context.eval_ctx.autoescape else str_join(values)


@pass_context
def compared(context: Context, left: object, *rest: Any) -> object:
    """`a < b < c`: `rest` is the name of an operator, its right side, and so on."""
    result: object = True
    for name, right in zip(rest[::2], rest[1::2], strict=True):
        _count(spending_of(context), name, left, right)
        result = _COMPARE[name](left, right)
        if not result:
            break
        left = right
    return result


@pass_context
def added(context: Context, left: object, sign: str, right: object) -> object:
    """`a + b`, `a - b`, `a / b`, `a // b`."""
    for value in (left, right):
        if isinstance(value, CONTAINERS):
            raise TypeError(f"{sign} takes texts and numbers, and this is {kind_of(value)}")
        spending_of(context).work(_size(value))
    return bounded(_CALCULATE[sign](left, right))


@pass_context
def tested(context: Context, value: object, name: str, *arguments: object, **named: object) -> object:
    """`a is in b`."""
    given = [*arguments, *named.values()]
    if COUNTED_TESTS[name] and given:
        _count(spending_of(context), COUNTED_TESTS[name], value, given[0])
    else:
        spending_of(context).work(_size(value))
    test: Any = context.environment.tests[name]
    return bool(test(value, *arguments, **named))


def bounded(value: object) -> object:
    """The value itself. Raises ValueError for a whole number so large that calculating with it takes long."""
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ValueError("a number is too large to calculate with")
    return value


def _count(spending: Spending, name: str, left: object, right: object) -> None:
    """Raises TypeError where lists and objects would be compared: that may cost any time."""
    spending.work(_size(left))
    if name not in ("in", "notin"):
        if (isinstance(left, CONTAINERS) or isinstance(right, CONTAINERS)) and left and right:
            raise TypeError("lists and objects are not compared")
        spending.work(_size(right))
    elif isinstance(left, CONTAINERS):
        raise TypeError(f"in looks for a text or a number, and this is {kind_of(left)}")
    elif isinstance(right, list | tuple):
        spending.step(len(right))
        spending.work(sum(map(_size, right)))
    else:
        spending.work(_size(right))


def _size(value: object) -> int:
    return len(value) if isinstance(value, str) else 1


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    LOOPED: looped,
    PART: pass_context(part_at),
    JOINED: joined,
    COMPARED: compared,
    ADDED: added,
    TESTED: tested,
}
