"""Whether a reader of an HTML body finds a link in it (ADR 23)."""

import re
from collections.abc import Callable
from typing import Final

from mailroom.domain.html_pieces import Tag, pieces_of

_LONGEST_STYLE: Final = 2_000  # characters that are looked through
_VOID: Final = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_HIDING: Final = re.compile(r"display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden", re.IGNORECASE)
#: In place of what is not known before a mail is rendered. It may be a letter.
UNKNOWN: Final = "\ue000"
_GOES_ON: Final = re.compile(rf"[\w\-/%?&=#~+{UNKNOWN}]")  # what would be read as more of a link in the text


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

    def __init__(self, hides: Callable[[Tag], bool] | None = None) -> None:
        """`hides`: the tags that hide what is within them; None means `is_hiding`."""
        self._hides = hides or is_hiding
        self._within: list[str] = []  # the hidden element, and the elements of the same name within it

    def __bool__(self) -> bool:
        return bool(self._within)

    def see(self, tag: Tag) -> None:
        if tag.name in _VOID:
            return
        if self._within:
            if tag.name == self._within[0]:
                self._within[-1:] = [] if tag.closing else [tag.name, tag.name]
        elif not tag.closing and self._hides(tag):
            self._within.append(tag.name)


def is_hiding(tag: Tag) -> bool:
    """True for a tag that hides its element by itself; a style sheet is not looked at."""
    return "hidden" in tag.attributes or bool(_HIDING.search(tag.attributes.get("style", "")[:_LONGEST_STYLE]))


def is_written(text: str, link: str) -> bool:
    """True if the link stands in the text, and nothing after it would be read as more of it."""
    at = text.find(link)
    while at >= 0:
        end = at + len(link)
        if not _GOES_ON.match(text, end):
            return True
        at = text.find(link, end)
    return False
