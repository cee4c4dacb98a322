"""The filters of mail content: few of Jinja2's, each with a count of what it reads."""

import math
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Final

from jinja2 import Undefined, pass_context
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.runtime import Context

from mailroom.domain import template_operators
from mailroom.domain.html_values import as_text, sanitized
from mailroom.domain.plain_values import kind_of
from mailroom.domain.template_operators import bounded
from mailroom.domain.template_values import CONTAINERS, spending_of

FILTERS: Final = frozenset(
    {
        "abs", "capitalize", "d", "default", "e", "escape", "first", "float", "int", "join", "last", "length", "lower",
        "round", "safe", "string", "title", "trim", "truncate", "upper", "urlencode", "wordcount",
    }
)  # fmt: skip
_OF_LISTS: Final = frozenset({"d", "default", "first", "join", "last", "length", "urlencode"})
_OF_OBJECTS: Final = frozenset({"d", "default", "length", "urlencode"})
_MOST_TRIMMED: Final = 100  # kinds of characters: each is looked for at each character of the text
_READS_OF_HTML: Final = 2  # characters of a value that is sanitized count so often, besides once
_STEPS_OF_AN_ITEM: Final = 2  # that is joined
_STEPS_OF_A_PAIR: Final = 10  # of a query: its name and value are encoded one by one


def all_filters(*, of_html: bool) -> dict[str, Callable[..., Any]]:
    """The filters by name, and those of `template_operators`, whose names no template can write. `of_html`: for HTML,
    in which values are escaped."""
    own: dict[str, Callable[..., Any]] = {
        "d": _default,
        "default": _default,
        "int": _int,
        "join": pass_context(_join),
        "round": _round,
        "safe": pass_context(partial(_safe, sanitized if of_html else as_text)),
        "trim": _trim,
        "urlencode": pass_context(_urlencode),
    }
    return {
        **{name: _counted(name, own.get(name) or DEFAULT_FILTERS[name]) for name in FILTERS},
        **template_operators.FILTERS,
    }


def plain(value: object) -> object:
    """Text and numbers pass; null becomes the empty text. Any other value is a mistake in the template: TypeError."""
    if value is None:
        return ""
    if isinstance(value, str | int | float | Undefined):
        return value
    if isinstance(value, list | tuple):
        raise TypeError("this is a list: write a loop, or |join(', ')")
    if isinstance(value, dict):
        raise TypeError("this is an object: write which of its values, such as .name")
    raise TypeError("this is neither text nor number")


def _counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter with a count of the characters that it reads, for values that it takes. Some of Jinja2's filters also
    take the environment or the evaluation context."""
    passes = getattr(function, "jinja_pass_arg", None)

    @pass_context
    @wraps(function, updated=())
    def counted(context: Context, value: object, *args: object, **options: object) -> object:
        spending_of(context).spend(value)
        if isinstance(value, CONTAINERS) and name not in (_OF_OBJECTS if isinstance(value, dict) else _OF_LISTS):
            raise TypeError(f"|{name} takes a text or a number, and this is {kind_of(value)}")
        if passes is None:
            return function(value, *args, **options)
        before = {"context": context, "eval_context": context.eval_ctx, "environment": context.environment}
        return function(before[passes.name], value, *args, **options)

    return counted


def _default(value: object, instead: object = "", falsy: bool = False) -> object:
    """As Jinja2's `default`, but a blank cell of a list counts as no value."""
    missing = value is None or isinstance(value, Undefined) or (isinstance(value, str) and not value.strip())
    return instead if missing or (falsy and not value) else value


def _int(value: Any, default: int = 0, base: int = 10) -> object:
    return bounded(DEFAULT_FILTERS["int"](value, default, base))


def _join(context: Context, value: object, d: str = "") -> object:
    """The items of a list, as one text. `d` stands between them."""
    if isinstance(value, Undefined):
        return list(value)  # raises UndefinedError, in the words of the value
    if not isinstance(value, list | tuple):
        raise TypeError(f"|join takes a list, and this is {kind_of(value)}")
    spending = spending_of(context)
    spending.step(_STEPS_OF_AN_ITEM * len(value))
    spending.read(len(str(d)) * len(value))
    items = [plain(item) for item in value]
    for item in items:
        spending.spend(item)
    return DEFAULT_FILTERS["join"](context.eval_ctx, items, d)


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    """As Jinja2's `round`, with bounds: Jinja2 computes 10 ** precision for any precision."""
    if not 0 <= precision <= 15 or method not in ("common", "ceil", "floor"):
        raise ValueError("round takes 0 to 15 digits, and common, ceil or floor")
    scale: int = 10**precision
    functions: dict[str, Callable[[float], float]] = {"common": round, "ceil": math.ceil, "floor": math.floor}
    return functions[method](value * scale) / scale


def _safe(clean: Callable[[str], str], context: Context, value: object) -> object:
    """HTML that comes as a value: sanitized whoever declared it, and in a text its text alone."""
    written = str(plain(value))
    spending_of(context).read(_READS_OF_HTML * len(written))
    spending_of(context).work(len(written))
    return clean(written)


def _trim(value: str, chars: str | None = None) -> object:
    if chars is not None and len(chars) > _MOST_TRIMMED:
        raise ValueError(f"trim takes at most {_MOST_TRIMMED} characters to cut off")
    return DEFAULT_FILTERS["trim"](value, chars)


def _urlencode(context: Context, value: Any) -> object:
    """As Jinja2's: a text, or the names and values of a query. Names and values are texts and numbers."""
    pairs = value.items() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for pair in pairs:
        if not isinstance(pair, list | tuple):
            raise TypeError("|urlencode takes a text, or names with values")
        spending_of(context).step(_STEPS_OF_A_PAIR)
        for part in pair:
            spending_of(context).spend(plain(part))
    return DEFAULT_FILTERS["urlencode"](value)
