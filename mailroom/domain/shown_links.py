"""Whether a reader of an HTML body finds a link in it. Each character is looked at a bounded number of times, whatever
the body is; a library's parser takes time by the square of the length for some texts (ADR 23).
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
_LONGEST_STYLE: Final = 2_000  # characters that are looked through
_VOID: Final = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_HIDING: Final = re.compile(r"display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden", re.IGNORECASE)
#: In place of what is not known before a mail is rendered. It may be a letter.
UNKNOWN: Final = "\ue000"
_GOES_ON: Final = re.compile(rf"[\w\-/%?&=#~+{UNKNOWN}]")  # what would be read as more of a link in the text


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


def shows_link(html: str, link: str) -> bool:
    """True if a reader can follow the link: an anchor leads to it that has something to click on, or it is written out
    in the text."""
    hidden = Hidden()
    in_anchor = False
    for piece in pieces_of(html):
        if isinstance(piece, Tag):
            hidden.see(piece)
            if piece.name == "a":
                target = piece.attributes.get("href", "").strip()
                in_anchor = not piece.closing and target == link and not hidden
            elif in_anchor and piece.name == "img" and not hidden:
                return True
        elif not hidden and ((in_anchor and piece.text.strip()) or is_written(piece.text, link)):
            return True
    return False


def end_of_body(html: str) -> int:
    """The place of the last `</body>` that ends the page; the length of the text if there is none."""
    ends = [
        piece.start for piece in pieces_of(html) if isinstance(piece, Tag) and piece.closing and piece.name == "body"
    ]
    return ends[-1] if ends else len(html)


class Hidden:
    """True within an element that is not shown."""

    def __init__(self) -> None:
        self._within: list[str] = []  # the hidden element, and the elements of the same name within it

    def __bool__(self) -> bool:
        return bool(self._within)

    def see(self, tag: Tag) -> None:
        if tag.name in _VOID:
            return
        if self._within:
            if tag.name == self._within[0]:
                self._within[-1:] = [] if tag.closing else [tag.name, tag.name]
        elif not tag.closing and _hides(tag):
            self._within.append(tag.name)


def _hides(tag: Tag) -> bool:
    return "hidden" in tag.attributes or bool(_HIDING.search(tag.attributes.get("style", "")[:_LONGEST_STYLE]))


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


def is_written(text: str, link: str) -> bool:
    """True if the link stands in the text, and nothing after it would be read as more of it."""
    at = text.find(link)
    while at >= 0:
        end = at + len(link)
        if not _GOES_ON.match(text, end):
            return True
        at = text.find(link, end)
    return False
