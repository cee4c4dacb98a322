"""HTML as a reader's program takes it apart: tags with their attributes, and the text between them. Each character is
looked at a bounded number of times, whatever the text is; a library's parser takes time by the square of the length for
some texts (ADR 23).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_TAG: Final = re.compile(r"<!--|<(/?)([a-zA-Z][^\s/>]*)")
_ATTRIBUTE: Final = re.compile(r"""[\s/]*([^\s/>=]+)(?:\s{0,9}=\s{0,9}(["']?))?""")
_BARE_VALUE: Final = re.compile(r"[^\s>]*")
_COMMENT_END: Final = re.compile(r"--!?>")
#: Elements whose content is no part of the page.
_UNSEEN: Final = frozenset({"script", "style", "template", "title", "textarea"})


@dataclass(frozen=True, slots=True)
class Text:
    """Text between tags; `start` is its place."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag that begins at `start`. `attributes` have names in small letters; of a repeated one the first counts."""

    name: str
    closing: bool
    attributes: dict[str, str]
    start: int


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
        attributes, at = _attributes(html, opening.end())
        yield Tag(name, bool(opening[1]), attributes, opening.start())
        if name in _UNSEEN and not opening[1]:
            end = re.compile(rf"</{re.escape(name)}(?=[\s/>])", re.IGNORECASE).search(html, at)
            at = end.start() if end else len(html)
    if at < len(html):
        yield Text(html[at:], at)


def _end_of_comment(html: str, at: int) -> int:
    for empty in (">", "->"):  # `<!-->` and `<!--->` are whole comments
        if html.startswith(empty, at):
            return at + len(empty)
    end = _COMMENT_END.search(html, at)
    return end.end() if end else len(html)


def _attributes(html: str, at: int) -> tuple[dict[str, str], int]:
    """The attributes of a tag, and the place after the tag."""
    attributes: dict[str, str] = {}
    while (found := _ATTRIBUTE.match(html, at)) is not None:
        at = found.end()
        value = ""
        if found[2] is not None:
            value, at = _value(html, at, found[2])
        attributes.setdefault(found[1].lower(), value)
    end = html.find(">", at)
    return attributes, end + 1 if end >= 0 else len(html)


def _value(html: str, at: int, quote: str) -> tuple[str, int]:
    if quote:
        end = html.find(quote, at)
        return (html[at:end], end + 1) if end >= 0 else (html[at:], len(html))
    bare = _BARE_VALUE.match(html, at)
    return (bare[0], bare.end()) if bare else ("", at)
