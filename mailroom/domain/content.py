"""Mail content: Jinja2 templates, checked when saved, rendered for each recipient, sent in batches of a thousand.

A provider's batch call carries one body for all recipients and a few values for each. So a template is cut at its top
level into fixed text and *parts* (`{{ name }}`, a whole `{% if %}` block): fixed text goes once, and each part is
rendered by Jinja2 for each recipient. Expressions, filters and conditions have their full meaning; loops,
assignments and imports are refused: recipients' values are plain, and the cut needs none of them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jinja2 import Template, TemplateError, nodes
from jinja2.exceptions import TemplateSyntaxError

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_RENDERED_BYTES, MAX_TEMPLATE, MAX_TEXT
from mailroom.domain.template_checks import (
    KnownNames,
    faults_of_tree,
    lacking_in_mail,
    names_of,
    needed_names,
    providers_own,
)
from mailroom.domain.template_language import (
    CannotRender,
    Language,
    count_tokens,
    language_of,
    measure,
    too_deep,
    with_spending,
)

FIELDS: Final = ("subject", "text", "html")
_NOT_CLOSED: Final = {"'end of print statement'": "}}", "'end of statement block'": "%}"}
_KEPT_TEMPLATE: Final = 20_000  # characters; a longer template of a single mail is not cached in compiled form

__all__ = [
    "FIELDS",
    "CannotRender",
    "Compiled",
    "CutTemplate",
    "TemplatePart",
    "check_content",
    "compile_content",
    "cost_of",
    "faults_of_language",
    "names_in",
    "render_once",
]


@dataclass(frozen=True, slots=True)
class TemplatePart:
    """One piece of a template that differs by recipient. `key` names its value in a provider's call."""

    key: str
    template: Template


@dataclass(frozen=True, slots=True)
class CutTemplate:
    """A template cut at its top level: fixed strings and parts, in order."""

    pieces: tuple[str | TemplatePart, ...]

    def with_placeholders(self, placeholder: Callable[[str], str]) -> str:
        """The whole text, with a placeholder of the provider in place of each part."""
        return "".join(piece if isinstance(piece, str) else placeholder(piece.key) for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Compiled:
    """Subject, text and HTML of one content revision, ready to be rendered many times."""

    subject: CutTemplate
    text: CutTemplate
    html: CutTemplate

    def parts_for(self, context: Mapping[str, Any]) -> dict[str, str]:
        """The rendered parts for this recipient, by part key. Raises CannotRender."""
        values = {}
        room = MAX_RENDERED_BYTES
        context = with_spending(context)
        for field in FIELDS:
            for piece in getattr(self, field).pieces:
                if isinstance(piece, TemplatePart):
                    values[piece.key] = _rendered(piece.template, context, field, room, MAX_RENDERED_BYTES)
                    room -= len(values[piece.key])
        return values


@lru_cache(maxsize=32)
def compile_content(subject: str, text: str, html: str) -> Compiled:
    """Compile content that has passed `check_content`. Equal content is compiled once."""
    return Compiled(_cut("subject", subject), _cut("text", text), _cut("html", html))


def check_content(content: Mapping[str, str], known: KnownNames, example: Mapping[str, Any]) -> list[Fault]:
    """The faults of subject, text and html: syntax errors, values that recipients lack, constructs not offered.

    `example`: a recipient's values, for a trial rendering. An empty list means that the content can be saved.
    """
    faults = [fault for field in FIELDS for fault in _check_field(field, content.get(field) or "", known)]
    if not faults:
        try:
            compile_content(*(content.get(field) or "" for field in FIELDS)).parts_for(example)
        except CannotRender as error:
            field, _, message = str(error).partition(": ")
            faults.append(Fault(field, message) if field in FIELDS else Fault("text", str(error)))
    return faults


def faults_of_language(content: Mapping[str, str]) -> list[Fault]:
    """The faults of subject, text and html that do not depend on the recipients' values."""
    faults: list[Fault] = []
    for field in FIELDS:
        source = content.get(field) or ""
        try:
            names = names_of(_parsed(field, source))
        except InvalidInput as error:
            faults += error.faults
            continue
        faults += _check_field(field, source, KnownNames(names, lacking_in_mail))
    return faults


def names_in(content: Mapping[str, str]) -> frozenset[str]:
    """The variables that subject, text and html require. Raises InvalidInput with every fault, in the form of
    check_content."""
    faults: list[Fault] = []
    names: set[str] = set()
    for field in FIELDS:
        source = content.get(field) or ""
        try:
            if too_long := _too_long(field, source):
                raise InvalidInput(*too_long)
            tree = _parsed(field, source)
        except InvalidInput as error:
            faults += error.faults
            continue
        names |= {node.name for node in needed_names(tree)}
        faults += _check_field(field, source, KnownNames(names_of(tree), lacking_in_mail), whole=False)
    if faults:
        raise InvalidInput(*faults)
    return frozenset(names)


def render_once(content: Mapping[str, str], variables: Mapping[str, Any]) -> dict[str, str]:
    """Subject, text and html of a single mail, rendered.

    Raises InvalidInput with every fault, in the form of check_content.
    """
    faults: list[Fault] = []
    written = {}
    context = with_spending(variables)
    names = frozenset(variables)
    for field in FIELDS:
        try:
            template = _single_template(field, content.get(field) or "", names)
            written[field] = _rendered(template, context, field, MAX_TEXT, MAX_TEXT)
        except InvalidInput as error:
            faults += error.faults
        except CannotRender as error:
            faults.append(Fault(field, str(error).partition(": ")[2]))
    if faults:
        raise InvalidInput(*faults)
    return written


def cost_of(content: Mapping[str, str]) -> int:
    """The tokens in all expressions of subject, text and html: the measure of the cost to check and compile them."""
    return sum(count_tokens(field, (content.get(field) or "")[:MAX_TEMPLATE]) for field in FIELDS)


def _single_template(field: str, source: str, names: frozenset[str]) -> Template:
    """A template of single mails, checked for values of these names and compiled. Small templates are cached for the
    next mail. Raises InvalidInput."""
    if len(source) > _KEPT_TEMPLATE:
        return _compiled_single(field, source, names)
    return _kept_single(field, source, names)


def _compiled_single(field: str, source: str, names: frozenset[str]) -> Template:
    if faults := _too_long(field, source) or _check_field(
        field, source, KnownNames(names, lacking_in_mail), whole=False
    ):
        raise InvalidInput(*faults)
    return language_of(field).from_string(source)


_kept_single = lru_cache(maxsize=256)(_compiled_single)


def _too_long(field: str, source: str) -> list[Fault]:
    if len(source) <= MAX_TEMPLATE:
        return []
    return [Fault(field, f"with variables it has at most {MAX_TEMPLATE:,} characters")]


def _check_field(field: str, source: str, known: KnownNames, *, whole: bool = True) -> list[Fault]:
    """`whole`: the template is also cut into parts, for many recipients; otherwise it is rendered in one piece."""
    try:
        tree = _parsed(field, source)
        if faults := faults_of_tree(field, source, tree, known):
            return faults
        language_of(field).compile(tree)
        # Check the fixed text again in the form that is sent: a raw block could hide a substitution.
        return providers_own(field, _cut(field, source).with_placeholders(lambda _: "\0")) if whole else []
    except InvalidInput as error:
        return list(error.faults)
    except (TemplateError, SyntaxError, RecursionError, ValueError, OverflowError) as error:
        return [_fault_of(field, error)]


def _parsed(field: str, source: str) -> nodes.Template:
    """The template as a tree. Cheap counts go first, so that parsing and all later steps have a bounded cost.

    Raises InvalidInput with the place of the refused construct.
    """
    try:
        if faults := providers_own(field, source) or measure(field, source):
            raise InvalidInput(*faults)
        tree = language_of(field).parse(source)
    except (TemplateError, RecursionError, ValueError, OverflowError) as error:
        raise InvalidInput(_fault_of(field, error)) from None
    if faults := too_deep(field, tree):
        raise InvalidInput(*faults)
    return tree


def _fault_of(field: str, error: Exception) -> Fault:
    if isinstance(error, TemplateSyntaxError):
        close = next((sign for words, sign in _NOT_CLOSED.items() if words in (error.message or "")), None)
        words = f"something is opened and not closed: write {close} after it" if close else error.message
        return Fault(field, f"line {error.lineno}: {words}")
    if isinstance(error, TemplateError):
        return Fault(field, str(error))
    return Fault(field, "this template is nested too deep, or holds a number that is too long")


def _cut(field: str, source: str) -> CutTemplate:
    language = language_of(field)
    pieces: list[str | TemplatePart] = []
    for node in language.parse(source).body:
        for child in node.nodes if isinstance(node, nodes.Output) else [node]:
            if isinstance(child, nodes.TemplateData):
                pieces.append(child.data)
            else:
                pieces.append(TemplatePart(f"{field[0]}{len(pieces)}", _template(language, child)))
    return CutTemplate(tuple(pieces))


def _template(language: Language, node: nodes.Node) -> Template:
    """Compile this node alone."""
    body = nodes.Output([node], lineno=node.lineno) if isinstance(node, nodes.Expr) else node
    tree = nodes.Template([body], lineno=1)
    tree.set_environment(language)
    return language.from_string(tree)


def _rendered(template: Template, context: Mapping[str, Any], field: str, room: int, most: int) -> str:
    """The text of a template, of at most `room` characters. `context` includes a Spending account.

    Raises CannotRender as soon as the room is used up.
    """
    pieces = []
    remaining = room
    try:
        for piece in template.generate(context):
            pieces.append(piece)
            remaining -= len(piece)
            if remaining < 0:
                raise CannotRender(f"what is filled in has too many characters; {most:,} fit")
    except MemoryError:
        raise
    except Exception as error:  # Jinja2's filters raise any class; none may stop a run
        raise CannotRender(f"{field}: {error}") from None
    value = "".join(pieces)
    # A header is a single line, whatever the values contain.
    return " ".join(value.split()) if field == "subject" and re.search(r"[\r\n\0]", value) else value
