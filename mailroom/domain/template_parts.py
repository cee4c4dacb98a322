"""The parts of a content for each recipient of a campaign: a million times the same templates with other values.

A value alone, `{{ name }}`, needs no Jinja2. A part that reads the same values again, such as a condition on a city in
a loop over offers, is the same text again: it is rendered once for them, and costs each mail what it cost then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from markupsafe import escape

from mailroom.domain.limits import MAX_RENDERED_BYTES
from mailroom.domain.template_filling import FIELDS, CutTemplate, TemplatePart, checked, filled_in
from mailroom.domain.template_language import with_spending
from mailroom.domain.template_spending import OF_PARTS, Cost
from mailroom.domain.template_values import SPENDING

_MOST_REMEMBERED: Final = 4_096  # texts, of all parts together
_LONGEST_REMEMBERED: Final = 256  # characters of a text, and of the values that it was made of

Known = dict[tuple[str, ...], tuple[str, Cost]]


@dataclass(frozen=True, slots=True)
class Compiled:
    """Subject, text and HTML of one content revision, ready to be rendered many times. Thread-safe."""

    subject: CutTemplate
    text: CutTemplate
    html: CutTemplate
    #: Rendered parts, by the key of the part and the values that it read.
    known: Known = field(default_factory=dict, compare=False, repr=False)

    def parts_for(self, context: Mapping[str, Any]) -> dict[str, str]:
        """The rendered parts for this recipient, by part key. Raises CannotRender."""
        values = {}
        room = MAX_RENDERED_BYTES
        context = with_spending(context, OF_PARTS)
        for field_ in FIELDS:
            for piece in getattr(self, field_).pieces:
                if isinstance(piece, TemplatePart):
                    values[piece.key] = part = self._rendered(piece, context, field_, room)
                    room -= len(part)
        return values

    def _rendered(self, piece: TemplatePart, context: Mapping[str, Any], field_: str, room: int) -> str:
        """Raises CannotRender."""
        read = [value for name in piece.reads if type(value := context.get(name)) is str]
        if len(read) < len(piece.reads):
            return _filled(piece, context, field_, room)
        if piece.bare:
            return checked(str(escape(read[0])) if field_ == "html" else read[0], field_, room, MAX_RENDERED_BYTES)
        if sum(map(len, read)) > _LONGEST_REMEMBERED:
            return _filled(piece, context, field_, room)
        return self._remembered((piece.key, *read), piece, context, field_, room)

    def _remembered(
        self, known_as: tuple[str, ...], piece: TemplatePart, context: Mapping[str, Any], field_: str, room: int
    ) -> str:
        spending = context[SPENDING]
        if known := self.known.get(known_as):
            spending.pay(known[1])
            return checked(known[0], field_, room, MAX_RENDERED_BYTES)
        before = spending.balance()
        text = _filled(piece, context, field_, room)
        if len(text) <= _LONGEST_REMEMBERED:
            if len(self.known) >= _MOST_REMEMBERED:
                self.known.clear()
            self.known[known_as] = (text, spending.spent_since(before))
        return text


def _filled(piece: TemplatePart, context: Mapping[str, Any], field_: str, room: int) -> str:
    own = {**context, **piece.bound} if piece.bound else context
    return filled_in(piece.template, own, field_, room, MAX_RENDERED_BYTES, steps=piece.steps)
