"""A look at XML of strangers, in time by its length, before any other parser gets it (docs/adr/0027)."""

import re
from typing import Any, Final
from xml.parsers import expat

from mailroom.domain.feeds.failures import FeedFailed, FeedOutcome

_MOST_ELEMENTS: Final = 40_000
_MOST_DEPTH: Final = 100
_ENTITY: Final = re.compile(rb"<!ENTITY", re.IGNORECASE)
# feedparser looks for an address in what names a person, in time by the square of its longest word.
_PERSONS: Final = frozenset(
    {"author", "contributor", "creator", "email", "managingeditor", "name", "owner", "publisher", "webmaster"}
)
_MOST_WORD: Final = 254  # the longest address


def check_xml(data: bytes) -> int:
    """The place of the first element. Raises FeedFailed for XML that is not well-formed, has entities of its own, is
    too deep, or has too many elements, or a person with too long a word. One pass, without a copy."""
    if _ENTITY.search(data):
        raise _with_entities()
    parser = expat.ParserCreate("utf-8")
    look = _Look(parser)
    parser.StartElementHandler, parser.EndElementHandler = look.start, look.end
    parser.CharacterDataHandler = look.text
    parser.StartDoctypeDeclHandler = look.doctype
    parser.EntityDeclHandler = parser.ExternalEntityRefHandler = look.entity
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        why = expat.ErrorString(error.code)
        raise FeedFailed(FeedOutcome.BAD, f"its XML is broken in line {error.lineno}: {why}") from None
    return look.begins_at


class _Look:
    """What the parser comes to. Each method raises FeedFailed."""

    def __init__(self, parser: expat.XMLParserType) -> None:
        self._parser = parser
        self._elements = 0
        self._open: list[list[str] | None] = []  # the elements at hand: their own text, of those that name a person
        self.begins_at = 0

    def start(self, name: str, _attributes: Any) -> None:
        if not self._elements:
            self.begins_at = self._parser.CurrentByteIndex
        self._elements += 1
        self._open.append([] if name.rpartition(":")[2].lower() in _PERSONS else None)
        if self._elements > _MOST_ELEMENTS:
            raise FeedFailed(FeedOutcome.BAD, f"it has more than {_MOST_ELEMENTS:,} elements")
        if len(self._open) > _MOST_DEPTH:
            raise FeedFailed(FeedOutcome.BAD, f"it is deeper than {_MOST_DEPTH} elements")

    def text(self, text: str) -> None:
        if self._open and (texts := self._open[-1]) is not None:
            texts.append(text)

    def end(self, name: str) -> None:
        texts = self._open.pop()
        if texts and any(len(word) > _MOST_WORD for word in "".join(texts).split()):
            raise FeedFailed(FeedOutcome.BAD, f"it has a word of more than {_MOST_WORD} characters in <{name[:40]}>")

    def doctype(self, _name: str, _system: Any, _public: Any, has_internal_subset: bool) -> None:
        if has_internal_subset:
            raise _with_entities()

    def entity(self, *_: Any) -> Any:
        raise _with_entities()


def _with_entities() -> FeedFailed:
    return FeedFailed(FeedOutcome.BAD, "its XML declares entities of its own, which are not read")
