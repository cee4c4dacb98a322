"""Templates, filled in for each recipient, and sent in batches of a thousand.

A provider's batch call carries one body for all recipients and a few values for each. So a template is cut at its top
level into fixed text and *parts* (`{{ name }}`, a whole `{% if %}` block): fixed text goes once, and each part is
rendered by Jinja2 for each recipient.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jinja2 import Template, nodes

from mailroom.domain.limits import MAX_RENDERED_BYTES
from mailroom.domain.template_language import CannotRender, Language, language_of, with_spending

FIELDS: Final = ("subject", "text", "html")
#: In content of a topic: the reader's own link to unsubscribe.
UNSUBSCRIBE_URL: Final = "unsubscribe_url"
#: The key of the link among the parts of a message.
LINK_KEY: Final = "u"
#: The key of what stands behind that link in List-Unsubscribe: the same by mail.
MAILTO_KEY: Final = "m"


@dataclass(frozen=True, slots=True)
class TemplatePart:
    """One piece of a template that differs by recipient. `key` names its value in a provider's call."""

    key: str
    template: Template


@dataclass(frozen=True, slots=True)
class OwnLink:
    """The place of the reader's own link to unsubscribe. It is made just before the call, not when a run is planned."""

    key: str = LINK_KEY


@dataclass(frozen=True, slots=True)
class CutTemplate:
    """A template cut at its top level: fixed strings, parts and links, in order."""

    pieces: tuple[str | TemplatePart | OwnLink, ...]

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
                    values[piece.key] = filled_in(piece.template, context, field, room, MAX_RENDERED_BYTES)
                    room -= len(values[piece.key])
        return values


@lru_cache(maxsize=32)
def compile_content(subject: str, text: str, html: str, *, linked: bool = False) -> Compiled:
    """Compile content that has passed `check_content`. Equal content is compiled once. `linked`: the content has a
    topic, and its bodies may hold `{{ unsubscribe_url }}`."""
    return Compiled(
        cut_into_parts("subject", subject),
        cut_into_parts("text", text, linked=linked),
        cut_into_parts("html", html, linked=linked),
    )


def cut_into_parts(field: str, source: str, *, linked: bool = False) -> CutTemplate:
    """Cut a template of subject, text or html that has passed `check_content`. Raises TemplateError."""
    language = language_of(field)
    pieces: list[str | TemplatePart | OwnLink] = []
    for node in language.parse(source).body:
        for child in node.nodes if isinstance(node, nodes.Output) else [node]:
            if isinstance(child, nodes.TemplateData):
                pieces.append(child.data)
            elif linked and is_link(child):
                pieces.append(OwnLink())
            else:
                pieces.append(TemplatePart(f"{field[0]}{len(pieces)}", _template(language, child)))
    return CutTemplate(tuple(pieces))


def is_link(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == UNSUBSCRIBE_URL


def _template(language: Language, node: nodes.Node) -> Template:
    """Compile this node alone."""
    body = nodes.Output([node], lineno=node.lineno) if isinstance(node, nodes.Expr) else node
    tree = nodes.Template([body], lineno=1)
    tree.set_environment(language)
    return language.from_string(tree)


def filled_in(template: Template, context: Mapping[str, Any], field: str, room: int, most: int) -> str:
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
