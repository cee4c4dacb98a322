"""The language of mail content: Jinja2 with few filters, no loops, no calls, and a bounded cost.

Recipients' values are plain, so a template needs no more. For any template and any value, the cost of parsing,
compiling and rendering is bounded: `measure` counts tokens and nesting before anything is parsed, `too_deep` counts
depth before anything is compiled, and `Spending` counts characters while a mail is rendered.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from itertools import islice
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mailroom.domain.errors import Fault
from mailroom.domain.limits import (
    MAX_CONCATENATIONS,
    MAX_EXPRESSION_TOKENS,
    MAX_TEMPLATE_DEPTH,
    MAX_TEMPLATE_TOKENS,
    MAX_VARIABLE_NAME,
)

FILTERS: Final = frozenset(
    {
        "abs", "capitalize", "d", "default", "e", "escape", "first", "float", "int", "last", "length", "lower",
        "round", "string", "title", "trim", "truncate", "upper", "urlencode", "wordcount",
    }
)  # fmt: skip
REFUSED_NODES: Final[Mapping[type[nodes.Node], str]] = {
    nodes.For: "loops are not offered in mail content",
    nodes.Assign: "{% set %} is not offered in mail content",
    nodes.AssignBlock: "{% set %} is not offered in mail content",
    nodes.Include: "{% include %} is not offered in mail content",
    nodes.Import: "{% import %} is not offered in mail content",
    nodes.FromImport: "{% import %} is not offered in mail content",
    nodes.Extends: "{% extends %} is not offered in mail content",
    nodes.Block: "{% block %} is not offered in mail content",
    nodes.Macro: "{% macro %} is not offered in mail content",
    nodes.CallBlock: "{% call %} is not offered in mail content",
    nodes.FilterBlock: "{% filter %} is not offered in mail content",
    nodes.With: "{% with %} is not offered in mail content",
    nodes.Call: "calls are not offered in mail content",
    nodes.Getattr: "values are plain: they have no attributes",
    nodes.Getitem: "values are plain: they have no parts",
    nodes.Mul: "* is not offered in mail content",
    nodes.Pow: "** is not offered in mail content",
    nodes.Mod: "% is not offered in mail content",
}
# Mail content has no comments, because CSS and prices contain `{#`. No text that passes our checks contains these two.
_NO_COMMENT: Final = ("\0{#\0", "\0#}\0")
_SPENDING: Final = " spending"  # a name that no template can write


class CannotRender(ValueError):
    """The content cannot be filled in for this recipient; the message says where and why."""


class Spending:
    """Counts the characters that filters read during the rendering of one mail, and stops the rendering at a limit."""

    __slots__ = ("left",)

    def __init__(self, context: Mapping[str, Any]) -> None:
        size = sum(len(value) for value in context.values() if isinstance(value, str))
        # A template may read each value several times; more would let the work grow faster than the input.
        self.left = 200_000 + 8 * size

    def spend(self, value: object) -> None:
        if isinstance(value, str):
            self.left -= len(value)
            if self.left < 0:
                raise CannotRender("filters read too many characters: use fewer filters, or shorter values")


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    """As Jinja2's `round`, with bounds: Jinja2 computes 10 ** precision for any precision."""
    if not 0 <= precision <= 15 or method not in ("common", "ceil", "floor"):
        raise ValueError("round takes 0 to 15 digits, and common, ceil or floor")
    scale: int = 10**precision
    functions: dict[str, Callable[[float], float]] = {"common": round, "ceil": math.ceil, "floor": math.floor}
    return functions[method](value * scale) / scale


def _default(value: object, instead: object = "", falsy: bool = False) -> object:
    """As Jinja2's `default`, but a blank cell of a list counts as no value."""
    missing = value is None or isinstance(value, Undefined) or (isinstance(value, str) and not value.strip())
    return instead if missing or (falsy and not value) else value


def _counted(function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter with a count of the characters that it reads. Some of Jinja2's filters also take the environment
    or the evaluation context."""
    passes = getattr(function, "jinja_pass_arg", None)

    @pass_context
    @wraps(function, updated=())
    def counted(context: Context, value: object, *args: object, **options: object) -> object:
        context[_SPENDING].spend(value)
        if passes is None:
            return function(value, *args, **options)
        before = {"context": context, "eval_context": context.eval_ctx, "environment": context.environment}
        return function(before[passes.name], value, *args, **options)

    return counted


def _plain(value: object) -> object:
    """Text and numbers pass; null becomes the empty text. Any other value is a mistake in the template: TypeError."""
    if value is None:
        return ""
    if isinstance(value, str | int | float | Undefined):
        return value
    raise TypeError("this is neither text nor number")


class Language(ImmutableSandboxedEnvironment):
    """No globals, few filters, strict: a template can read the recipient's values and nothing else."""

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=autoescape,
            keep_trailing_newline=True,
            finalize=_plain,
            comment_start_string=_NO_COMMENT[0],
            comment_end_string=_NO_COMMENT[1],
            optimized=False,  # constant folding costs the square of the depth, and saves nothing here
        )
        self.globals.clear()
        self.filters = {name: _counted(self.filters[name]) for name in FILTERS - {"round", "default", "d"}}
        self.filters["round"] = _counted(_round)
        self.filters["default"] = self.filters["d"] = _counted(_default)


PLAIN: Final = Language(autoescape=False)
HTML: Final = Language(autoescape=True)


def language_of(field: str) -> Language:
    """The environment of a field: html escapes values; subject and text do not."""
    return HTML if field == "html" else PLAIN


def with_spending(context: Mapping[str, Any]) -> dict[str, Any]:
    """The values of one mail, and the Spending account of its filters."""
    return {**context, _SPENDING: Spending(context)}


def measure(field: str, source: str) -> list[Fault]:
    """Faults of a template that would cost too much to parse: too many tokens, or too many in one expression.

    Raises TemplateSyntaxError.
    """
    inside = depth = 0
    for tokens, (line, kind, value) in enumerate(_tokens(field, source)):
        inside = 0 if kind in ("variable_begin", "block_begin", "raw_begin") else inside + 1
        depth += 1 if value in ("(", "[", "{") else -1 if value in (")", "]", "}") else 0
        if kind in ("name", "integer", "float") and len(value) > MAX_VARIABLE_NAME:
            return [Fault(field, f"line {line}: a name or number has at most {MAX_VARIABLE_NAME} characters")]
        if inside > MAX_EXPRESSION_TOKENS:
            return [Fault(field, f"line {line}: an expression has at most {MAX_EXPRESSION_TOKENS} words and signs")]
        if depth > MAX_TEMPLATE_DEPTH:
            return [_too_deep(field, line)]
        if tokens >= MAX_TEMPLATE_TOKENS:
            return [Fault(field, f"line {line}: at most {MAX_TEMPLATE_TOKENS:,} words and signs in all expressions")]
    return []


def count_tokens(field: str, source: str) -> int:
    """The tokens in all expressions of a template: the measure of its compile cost. The count stops at
    MAX_TEMPLATE_TOKENS."""
    counted = 0
    try:
        for _ in islice(_tokens(field, source), MAX_TEMPLATE_TOKENS):
            counted += 1
    except TemplateSyntaxError:
        return counted
    return counted


def _tokens(field: str, source: str) -> Iterator[tuple[int, str, str]]:
    """Line, kind and text of each token, lazily, so that a reader can stop. Raises TemplateSyntaxError."""
    tokens = language_of(field).lexer.tokeniter(source, None)
    return (token for token in tokens if token[1] not in ("data", "whitespace"))


def too_deep(field: str, tree: nodes.Template) -> list[Fault]:
    """The fault of too deep a nesting, or of too many concatenations. Compiling costs the cube of the depth."""
    level: list[nodes.Node] = [tree]
    concatenations = 0
    for _ in range(MAX_TEMPLATE_DEPTH + 2):
        for node in level:
            if isinstance(node, nodes.Concat | nodes.Add):
                concatenations += 1 if isinstance(node, nodes.Add) else len(node.nodes)
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            break
    else:
        return [_too_deep(field, level[0].lineno)]
    if concatenations > MAX_CONCATENATIONS:
        return [Fault(field, f"~ and + join at most {MAX_CONCATENATIONS} texts; write {{{{ a }}}}{{{{ b }}}}")]
    return []


def _too_deep(field: str, line: int) -> Fault:
    return Fault(field, f"line {line}: blocks and expressions are nested too deep; {MAX_TEMPLATE_DEPTH} levels fit")


# Mailgun's own substitution; the provider would replace it behind our checks.
PROVIDERS_OWN: Final = re.compile(r"%recipient[._%]|%recipient_\w+%", re.IGNORECASE)
