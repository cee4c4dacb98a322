"""HTML as a reader's program takes it apart: tags with their attributes, and the text between them. Each character is
looked at a bounded number of times, whatever the text is; a library's parser takes time by the square of the length for
some texts (ADR 23).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import Final

_TAG: Final = re.compile(r"<!--|<(/?)([a-zA-Z][^\s/>]*)")
_ATTRIBUTE: Final = re.compile(r"""[\s/]*([^\s/>=]+)(?:\s{0,9}=\s{0,9}(["']?))?""")
_BARE_VALUE: Final = re.compile(r"[^\s>]*")
_COMMENT_END: Final = re.compile(r"--!?>")
#: Elements whose content is no part of the page.
_UNSEEN: Final = frozenset({"script", "style", "template", "title", "textarea"})
#: Of a number only as many digits as a character has: Python refuses to read thousands.
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?")


@dataclass(frozen=True, slots=True)
class Text:
    """Text between tags; `start` is its place."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag from `start` to `end`. `attributes` have names in small letters; of a repeated one the first counts.
    `places`: where the values of the attributes begin and end, quotation marks included."""

    name: str
    closing: bool
    attributes: dict[str, str]
    start: int
    end: int = 0
    places: dict[str, tuple[int, int]] = field(default_factory=dict)


def pieces_of(html: str) -> Iterator[Text | Tag]:
    """Tags and the text between them. What is not shown as text, such as comments and scripts, is left out."""
    at = 0
    while opening := _TAG.search(html, at):
        if opening.start() > at:
            yield Text(html[at : opening.start()], at)
        if opening[0] == "<!--":
            at = _end_of_comment(html, opening.end())
            continue
        name = opening[2].lower()
        attributes, places, at = _attributes(html, opening.end())
        yield Tag(name, bool(opening[1]), attributes, opening.start(), at, places)
        if name in _UNSEEN and not opening[1]:
            end = re.compile(rf"</{re.escape(name)}(?=[\s/>])", re.IGNORECASE).search(html, at)
            at = end.start() if end else len(html)
    if at < len(html):
        yield Text(html[at:], at)


def decoded(text: str) -> str:
    """The text with its entities as the characters that they stand for."""
    return _ENTITY.sub(lambda entity: unescape(entity[0]), text) if "&" in text else text


def _end_of_comment(html: str, at: int) -> int:
    for empty in (">", "->"):  # `<!-->` and `<!--->` are whole comments
        if html.startswith(empty, at):
            return at + len(empty)
    end = _COMMENT_END.search(html, at)
    return end.end() if end else len(html)


def _attributes(html: str, at: int) -> tuple[dict[str, str], dict[str, tuple[int, int]], int]:
    """The attributes of a tag, the places of their values, and the place after the tag."""
    attributes: dict[str, str] = {}
    places: dict[str, tuple[int, int]] = {}
    while (found := _ATTRIBUTE.match(html, at)) is not None:
        at = found.end()
        name, value, place = found[1].lower(), "", None
        if found[2] is not None:
            begin = at - len(found[2])
            value, at = _value(html, at, found[2])
            place = (begin, at)
        if name in attributes:
            continue
        attributes[name] = value
        if place:
            places[name] = place
    end = html.find(">", at)
    return attributes, places, end + 1 if end >= 0 else len(html)


def _value(html: str, at: int, quote: str) -> tuple[str, int]:
    if quote:
        end = html.find(quote, at)
        return (html[at:end], end + 1) if end >= 0 else (html[at:], len(html))
    bare = _BARE_VALUE.match(html, at)
    return (bare[0], bare.end()) if bare else ("", at)
