"""Mail content: Jinja2 templates, checked when saved, filled in for each recipient, sent a thousand at a time.

A provider's batch call carries one body for all recipients and a few values for each. So a template is cut at its top
level into fixed text and *parts* (`{{ name }}`, a whole `{% if %}` block): fixed text goes once, and each part is
rendered by Jinja2 for each recipient. Expressions, filters and conditions have their full meaning; loops,
assignments and imports are refused: recipients' values are plain, and the cut needs none of them.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, Undefined, nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_PARTS, MAX_RENDERED_BYTES, MAX_TEMPLATE

FIELDS: Final = ("subject", "text", "html")
_MOST_FAULTS: Final = 50  # told at once
_FILTERS: Final = {
    "abs", "capitalize", "d", "default", "e", "escape", "first", "float", "int", "last", "length", "lower",
    "round", "string", "title", "trim", "truncate", "upper", "urlencode", "wordcount",
}  # fmt: skip
# Mailgun's own substitution; written by hand it would be filled in by the provider, behind our checks.
_PROVIDERS_OWN: Final = re.compile(r"%recipient[._%]|%recipient_\w+%", re.IGNORECASE)
_REFUSED_NODES: Final = {
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


class CannotRender(ValueError):
    """The content cannot be filled in for this recipient; the message says where and why."""


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    """Jinja2's own computes 10 ** precision, whatever that is."""
    if not 0 <= precision <= 15 or method not in ("common", "ceil", "floor"):
        raise ValueError("round takes 0 to 15 digits, and common, ceil or floor")
    scale: int = 10**precision
    functions: dict[str, Callable[[float], float]] = {"common": round, "ceil": math.ceil, "floor": math.floor}
    return functions[method](value * scale) / scale


def _plain(value: object) -> object:
    """What may stand in a mail: text and numbers; null is nothing; anything else is a mistake in the template."""
    if value is None:
        return ""
    if isinstance(value, str | int | float | Undefined):
        return value
    raise TypeError("this is neither text nor number")


class _Sandbox(ImmutableSandboxedEnvironment):
    """No globals, few filters, strict: whoever writes a template can reach the recipient's values and nothing else."""

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=autoescape, keep_trailing_newline=True, finalize=_plain)
        self.globals.clear()
        self.filters = {name: function for name, function in self.filters.items() if name in _FILTERS}
        self.filters["round"] = _round


_PLAIN: Final = _Sandbox(autoescape=False)
_HTML: Final = _Sandbox(autoescape=True)


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a template that differs by recipient. `key` names its value in a provider's call."""

    key: str
    render: Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class CutTemplate:
    """A template cut at its top level: fixed strings and parts, in order."""

    pieces: tuple[str | Part, ...]

    def with_placeholders(self, placeholder: Callable[[str], str]) -> str:
        """The whole text, each part replaced by what the provider will fill in."""
        return "".join(piece if isinstance(piece, str) else placeholder(piece.key) for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Compiled:
    """Subject, text and HTML of one content revision, ready to be rendered many times."""

    subject: CutTemplate
    text: CutTemplate
    html: CutTemplate

    def parts_for(self, context: Mapping[str, Any]) -> dict[str, str]:
        """What differs for this recipient, by part key. Raises CannotRender."""
        values = {}
        for field in FIELDS:
            for piece in getattr(self, field).pieces:
                if isinstance(piece, Part):
                    values[piece.key] = _rendered(piece, context, field)
        size = sum(len(value) for value in values.values())
        if size > MAX_RENDERED_BYTES:
            raise CannotRender(f"the personal parts of this mail have {size:,} characters; {MAX_RENDERED_BYTES:,} fit")
        return values


@lru_cache(maxsize=32)
def compile_content(subject: str, text: str, html: str) -> Compiled:
    """Content that has passed `check_content`, compiled; the same content is compiled once."""
    return Compiled(_cut("subject", subject), _cut("text", text), _cut("html", html))


def check_content(content: Mapping[str, str], variables: frozenset[str], example: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with subject, text and html: syntax errors, unknown variables, what we do not offer.

    `variables` are those that every recipient has; `example` is one recipient's values, with which the content is
    rendered once. An empty list means that it can be saved.
    """
    faults = [fault for field in FIELDS for fault in _check_field(field, content.get(field) or "", variables)]
    if not faults:
        try:
            compile_content(*(content.get(field) or "" for field in FIELDS)).parts_for(example)
        except CannotRender as error:
            field, _, message = str(error).partition(": ")
            faults.append(Fault(field, message) if field in FIELDS else Fault("text", str(error)))
    return faults


def names_in(content: Mapping[str, str]) -> frozenset[str]:
    """The variables that subject, text and html ask for. Raises InvalidInput with every fault, as check_content tells
    them."""
    faults: list[Fault] = []
    names: set[str] = set()
    for field in FIELDS:
        source = content.get(field) or ""
        if len(source) > MAX_TEMPLATE:
            faults.append(Fault(field, f"a template has at most {MAX_TEMPLATE:,} characters"))
            continue
        try:
            asked = {node.name for node in _environment(field).parse(source).find_all(nodes.Name)}
        except (TemplateError, RecursionError, ValueError, OverflowError):
            asked = set()  # told with its place below
        names |= asked
        faults += _check_field(field, source, frozenset(asked), whole=False)
    if faults:
        raise InvalidInput(*faults)
    return frozenset(names)


def render_once(content: Mapping[str, str], variables: Mapping[str, Any]) -> dict[str, str]:
    """Subject, text and html of a single mail, filled in; nothing is kept of the templates.

    Raises InvalidInput with every fault, as check_content tells them.
    """
    faults: list[Fault] = []
    written = {}
    for field in FIELDS:
        source = content.get(field) or ""
        if len(source) > MAX_TEMPLATE:
            faults.append(Fault(field, f"with variables it has at most {MAX_TEMPLATE:,} characters"))
            continue
        faults += _check_field(field, source, frozenset(variables), whole=False)
        if not faults:
            try:
                part = Part(field, _environment(field).from_string(source).render)
                written[field] = _rendered(part, variables, field)
            except CannotRender as error:
                faults.append(Fault(field, str(error).partition(": ")[2]))
    if faults:
        raise InvalidInput(*faults)
    return written


def _check_field(field: str, source: str, variables: frozenset[str], *, whole: bool = True) -> list[Fault]:
    """`whole`: the template is also cut, for many recipients; else it is rendered in one."""
    if faults := _providers_own(field, source):
        return faults
    try:
        tree = _environment(field).parse(source)
        # First what is refused: compiling computes constants, and 2 ** 1000000000 is one.
        faults = _refused(field, tree) or _unknown(field, tree, source, variables) or _too_many_parts(field, tree)
        if not faults and whole:
            _environment(field).compile(tree)
            # Once more on what will really be sent as fixed text: a comment or a raw block could have hidden it.
            faults = _providers_own(field, _cut(field, source).with_placeholders(lambda _: "\0"))
    except TemplateSyntaxError as error:
        return [Fault(field, f"line {error.lineno}: {error.message}")]
    except TemplateError as error:
        return [Fault(field, str(error))]
    except (RecursionError, ValueError, OverflowError):
        return [Fault(field, "this template is nested too deep, or holds a number that is too long")]
    return faults


def _providers_own(field: str, text: str) -> list[Fault]:
    own = _PROVIDERS_OWN.search(text)
    if own is None:
        return []
    message = f"{_place(text, own.start())}: '{own[0]}' is the provider's own substitution; write {{{{ name }}}}"
    return [Fault(field, message)]


def _refused(field: str, tree: nodes.Template) -> list[Fault]:
    faults = []
    for kind, message in _REFUSED_NODES.items():
        for node in tree.find_all(kind):
            faults.append(Fault(field, f"line {node.lineno}: {message}"))
    for test in tree.find_all(nodes.Filter):
        if test.name not in _FILTERS:
            faults.append(Fault(field, f"line {test.lineno}: there is no filter '{test.name}'"))
    return faults[:1]


def _too_many_parts(field: str, tree: nodes.Template) -> list[Fault]:
    """Each is compiled by itself; thousands would keep a processor busy for long."""
    parts = sum(1 for node in tree.find_all((nodes.Output, nodes.If)) for _ in node.iter_child_nodes())
    return [Fault(field, f"at most {MAX_PARTS:,} expressions")] if parts > 2 * MAX_PARTS else []


def _unknown(field: str, tree: nodes.Template, source: str, variables: frozenset[str]) -> list[Fault]:
    first: dict[str, int] = {}
    for node in tree.find_all(nodes.Name):
        if node.name not in variables:
            first.setdefault(node.name, node.lineno)
    lines = source.split("\n")
    faults = []
    for name, line in islice(first.items(), _MOST_FAULTS):
        found = re.search(rf"\b{re.escape(name)}\b", lines[line - 1])
        place = f"line {line}, column {found.start() + 1}" if found else f"line {line}"
        faults.append(Fault(field, f"{place}: '{name}' is not known for every recipient"))
    return faults


def _place(source: str, offset: int) -> str:
    before = source[:offset]
    return f"line {before.count(chr(10)) + 1}, column {offset - before.rfind(chr(10))}"


def _environment(field: str) -> _Sandbox:
    return _HTML if field == "html" else _PLAIN


def _cut(field: str, source: str) -> CutTemplate:
    environment = _environment(field)
    pieces: list[str | Part] = []
    for node in environment.parse(source).body:
        for child in node.nodes if isinstance(node, nodes.Output) else [node]:
            if isinstance(child, nodes.TemplateData):
                pieces.append(child.data)
            else:
                pieces.append(Part(f"{field[0]}{len(pieces)}", _renderer(environment, child)))
    return CutTemplate(tuple(pieces))


def _renderer(environment: _Sandbox, node: nodes.Node) -> Callable[[Mapping[str, Any]], str]:
    body = nodes.Output([node], lineno=node.lineno) if isinstance(node, nodes.Expr) else node
    tree = nodes.Template([body], lineno=1)
    tree.set_environment(environment)
    return environment.from_string(tree).render


def _rendered(part: Part, context: Mapping[str, Any], field: str) -> str:
    try:
        value = part.render(context)
    except MemoryError:
        raise
    except Exception as error:  # Jinja2's filters raise what they like; none of it may stop a run
        raise CannotRender(f"{field}: {error}") from None
    # A header is one line, whatever stands in the values.
    return " ".join(value.split()) if field == "subject" and re.search(r"[\r\n\0]", value) else value
