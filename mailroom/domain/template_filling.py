"""Templates, filled in for each recipient, and sent in batches of a thousand.

A provider's batch call carries one body for all recipients and a few values for each. So a template is cut
(`template_cutting.py`) into fixed text and *parts* (`{{ name }}`, a whole `{% if %}` block): fixed text goes once, and
each part is rendered by Jinja2 for each recipient.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jinja2 import Template

from mailroom.domain.template_spending import CannotRender
from mailroom.domain.template_values import SPENDING

FIELDS: Final = ("subject", "text", "html")
#: In content of a topic: the reader's own link to unsubscribe.
UNSUBSCRIBE_URL: Final = "unsubscribe_url"
#: The key of the link among the parts of a message.
LINK_KEY: Final = "u"
#: The key of what stands behind that link in List-Unsubscribe: the same by mail.
MAILTO_KEY: Final = "m"
_BREAKS_A_HEADER: Final = re.compile(r"[\r\n\0]")


@dataclass(frozen=True, slots=True)
class TemplatePart:
    """One piece of a template that differs by recipient. `key` names its value in a provider's call. `bound`: values
    that are equal for all recipients, such as the item of the loop that the part stands in. `steps`: what a rendering
    takes of the allowance for loops, if it has bound values."""

    key: str
    template: Template
    bound: Mapping[str, Any] = field(default_factory=dict, compare=False)
    steps: int = 0
    #: The names of the recipient's values that it reads.
    reads: tuple[str, ...] = ()
    #: True for `{{ name }}`: the value that it reads, and nothing else.
    bare: bool = False


@dataclass(frozen=True, slots=True)
class LaterPart:
    """One piece of a template that only the values of a run decide; before the run it cannot be rendered."""

    key: str


@dataclass(frozen=True, slots=True)
class OwnLink:
    """The place of the reader's own link to unsubscribe. It is made just before the call, not when a run is planned."""

    key: str = LINK_KEY


Piece = str | TemplatePart | LaterPart | OwnLink


@dataclass(frozen=True, slots=True)
class CutTemplate:
    """A template cut at its top level: fixed strings, parts and links, in order."""

    pieces: tuple[Piece, ...]

    def with_placeholders(self, placeholder: Callable[[str], str]) -> str:
        """The whole text, with a placeholder of the provider in place of each part."""
        return "".join(piece if isinstance(piece, str) else placeholder(piece.key) for piece in self.pieces)


def filled_in(
    template: Template, context: Mapping[str, Any], field: str, room: int, most: int, *, steps: int = 0
) -> str:
    """The text of a template, of at most `room` characters. `context` includes a Spending account, which counts so many
    `steps` for it.

    Raises CannotRender as soon as the room is used up.
    """
    pieces = []
    remaining = room
    try:
        context[SPENDING].step(steps)
        for piece in template.generate(context):
            pieces.append(piece)
            remaining -= len(piece)
            if remaining < 0:
                raise too_long(most)
    except MemoryError:
        raise
    except Exception as error:  # Jinja2's filters raise any class; none may stop a run
        raise CannotRender(f"{field}: {error}") from None
    return as_field("".join(pieces), field)


def as_field(value: str, field: str) -> str:
    """A header is a single line, whatever the values contain."""
    return " ".join(value.split()) if field == "subject" and _BREAKS_A_HEADER.search(value) else value


def too_long(most: int) -> CannotRender:
    return CannotRender(f"what is filled in has too many characters; {most:,} fit")
