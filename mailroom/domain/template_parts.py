"""The parts of a content for each recipient of a campaign: a million times the same templates with other values.

A value alone, `{{ name }}`, needs no Jinja2. Parts that read the same values, such as the conditions on a city in a
loop over offers, are the same texts again for the same values: they are rendered once for them, all together, and cost
each mail what they cost then.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from markupsafe import escape

from mailroom.domain.limits import MAX_RENDERED_BYTES
from mailroom.domain.template_filling import FIELDS, CutTemplate, TemplatePart, as_field, filled_in, too_long
from mailroom.domain.template_language import with_spending
from mailroom.domain.template_spending import EVERY_MAIL_MAY, NOTHING, OF_PARTS, Cost
from mailroom.domain.template_values import SPENDING

_MOST_REMEMBERED: Final = 1_000_000  # characters, of all parts together
_LONGEST_VALUES: Final = 256  # characters of the values that remembered texts were made of
_OF_AN_ENTRY: Final = 64  # characters that a text takes beside its own


class Texts(NamedTuple):
    """The texts of a group of parts by their keys; their characters, and what their rendering cost."""

    by_key: Mapping[str, str]
    characters: int
    cost: Cost


@dataclass(frozen=True, slots=True)
class PartGroup:
    """The parts that read the same values, each with its field. `bare`: each is a value alone."""

    number: int
    reads: tuple[str, ...]
    parts: Sequence[tuple[str, TemplatePart]]
    bare: bool

    def read_from(self, context: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The values that the parts read; None if one of them is no text."""
        values = tuple([value for name in self.reads if type(value := context.get(name)) is str])
        return values if len(values) == len(self.reads) else None

    def put_value(self, value: str, texts: dict[str, str]) -> int:
        """Of bare parts: put the value into `texts` as each field shows it. Returns the characters."""
        characters = 0
        for field_, part in self.parts:
            shown = str(escape(value)) if field_ == "html" else as_field(value, field_)
            texts[part.key] = shown
            characters += len(shown)
        return characters


class _Memory:
    """Texts of groups by the values that they were made of: those of any, up to a bounded size."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, tuple[str, ...]], Texts] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._known)

    def get(self, group: PartGroup, values: tuple[str, ...]) -> Texts | None:
        return self._known.get((group.number, values))

    def keep(self, group: PartGroup, values: tuple[str, ...], texts: Texts) -> None:
        values_size = sum(map(len, values))
        size = _OF_AN_ENTRY * (1 + len(texts.by_key)) + values_size + texts.characters
        if values_size > _LONGEST_VALUES or size > _MOST_REMEMBERED // 4:
            return
        if self._size + size > _MOST_REMEMBERED:
            self._known.clear()
            self._size = 0
        self._known[group.number, values] = texts
        self._size += size


class _Bill:
    """What one mail has cost so far. To open its account takes longer than to look up most mails' parts, so it is
    opened for what Jinja2 renders, and where it may not suffice."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._context = context
        self._opened: dict[str, Any] = {}
        self._owed = NOTHING

    def add(self, cost: Cost) -> None:
        """Raises CannotRender where it is too much."""
        if self._opened:
            self._opened[SPENDING].pay(cost)
            return
        self._owed = self._owed + cost
        if not self._owed.is_within(EVERY_MAIL_MAY):
            self.opened()

    def opened(self) -> Mapping[str, Any]:
        """The values of the mail, with its account. Raises CannotRender where too much is owed already."""
        if not self._opened:
            self._opened = with_spending(self._context, OF_PARTS)
            self._opened[SPENDING].pay(self._owed)
        return self._opened


@dataclass(frozen=True, slots=True)
class Compiled:
    """Subject, text and HTML of one content revision, ready to be rendered many times. Thread-safe."""

    subject: CutTemplate
    text: CutTemplate
    html: CutTemplate
    groups: Sequence[PartGroup] = field(init=False, compare=False, repr=False)
    memory: _Memory = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", list(_groups(self)))
        object.__setattr__(self, "memory", _Memory())

    def parts_for(self, context: Mapping[str, Any]) -> dict[str, str]:
        """The rendered parts for this recipient, by part key. Raises CannotRender."""
        parts: dict[str, str] = {}
        room, bill = MAX_RENDERED_BYTES, None
        for group in self.groups:
            if group.bare and type(value := context.get(group.reads[0])) is str:
                room -= group.put_value(value, parts)
            else:
                bill = bill or _Bill(context)
                texts = self._texts(group, context, bill, room)
                parts |= texts.by_key
                room -= texts.characters
            if room < 0:
                raise too_long(MAX_RENDERED_BYTES)
        return parts

    def _texts(self, group: PartGroup, context: Mapping[str, Any], bill: _Bill, room: int) -> Texts:
        """Raises CannotRender."""
        values = group.read_from(context)
        if values is None:
            return _rendered(group, bill, room)
        if known := self.memory.get(group, values):
            bill.add(known.cost)
            return known
        texts = _rendered(group, bill, room)
        self.memory.keep(group, values, texts)
        return texts


def _groups(compiled: Compiled) -> Iterator[PartGroup]:
    found: dict[tuple[tuple[str, ...], bool], list[tuple[str, TemplatePart]]] = {}
    for field_ in FIELDS:
        for piece in getattr(compiled, field_).pieces:
            if isinstance(piece, TemplatePart):
                found.setdefault((piece.reads, piece.bare), []).append((field_, piece))
    for number, ((reads, bare), parts) in enumerate(found.items()):
        yield PartGroup(number, reads, parts, bare)


def _rendered(group: PartGroup, bill: _Bill, room: int) -> Texts:
    """The texts of the group, of at most `room` characters together. Raises CannotRender."""
    context = bill.opened()
    before, texts, left = context[SPENDING].balance(), {}, room
    for field_, part in group.parts:
        own = {**context, **part.bound} if part.bound else context
        texts[part.key] = text = filled_in(part.template, own, field_, left, MAX_RENDERED_BYTES, steps=part.steps)
        left -= len(text)
    return Texts(texts, room - left, context[SPENDING].spent_since(before))
