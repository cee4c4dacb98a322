"""The language of mail content: Jinja2 with few filters, no calls, no assignments, and a bounded cost.

For any template and any value, the cost of parsing, compiling and rendering is bounded: `measure` counts tokens and
nesting before anything is parsed, `too_deep` counts depth before anything is compiled, and `Spending` counts what
filters read and what loops do while a mail is rendered.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mailroom.domain.errors import Fault
from mailroom.domain.limits import (
    MAX_CONCATENATIONS,
    MAX_EXPRESSION_TOKENS,
    MAX_TEMPLATE_DEPTH,
    MAX_TEMPLATE_TOKENS,
    MAX_VARIABLE_NAME,
)
from mailroom.domain.template_counting import counted
from mailroom.domain.template_filters import all_filters, plain
from mailroom.domain.template_spending import OF_A_MAIL, Allowance, SharedSteps, Spending
from mailroom.domain.template_values import SPENDING, part_or_missing

REFUSED_NODES: Final[Mapping[type[nodes.Node], str]] = {
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
    nodes.EvalContextModifier: "{% autoescape %} is not offered in mail content",
    nodes.Call: "calls are not offered in mail content",
    nodes.Slice: "slices such as [1:3] are not offered in mail content",
    nodes.Mul: "* is not offered in mail content",
    nodes.Pow: "** is not offered in mail content",
    nodes.Mod: "% is not offered in mail content",
}
# Mail content has no comments, because CSS and prices contain `{#`. No text that passes our checks contains these two.
_NO_COMMENT: Final = ("\0{#\0", "\0#}\0")


class Language(ImmutableSandboxedEnvironment):
    """No globals, few filters, strict: a template can read the values of its mail and nothing else."""

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=autoescape,
            keep_trailing_newline=True,
            finalize=plain,
            comment_start_string=_NO_COMMENT[0],
            comment_end_string=_NO_COMMENT[1],
            optimized=False,  # constant folding costs the square of the depth, and saves nothing here
        )
        self.globals.clear()
        self.filters = all_filters(of_html=autoescape)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Compiled templates read parts with `part_at`; this is for what Jinja2 may read by itself."""
        return part_or_missing(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return part_or_missing(obj, argument)

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        """Jinja2's hook before it compiles: no template is compiled without its counts."""
        counted(source)
        return super()._generate(source, name, filename, defer_init)


PLAIN: Final = Language(autoescape=False)
HTML: Final = Language(autoescape=True)


def language_of(field: str) -> Language:
    """The environment of a field: html escapes values; subject and text do not."""
    return HTML if field == "html" else PLAIN


def with_spending(
    context: Mapping[str, Any], allowed: Allowance = OF_A_MAIL, shared: SharedSteps | None = None
) -> dict[str, Any]:
    """The values of one mail, and the account of what its rendering costs."""
    return {**context, SPENDING: Spending(context, allowed, shared)}


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
    tokens = 0
    try:
        for _ in islice(_tokens(field, source), MAX_TEMPLATE_TOKENS):
            tokens += 1
    except TemplateSyntaxError:
        return tokens
    return tokens


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
