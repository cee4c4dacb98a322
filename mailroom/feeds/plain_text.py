"""HTML as plain text, for items whose feed gives HTML alone."""

import re
from typing import Final

from mailroom.domain.html_pieces import Text, decoded, pieces_of

_BLOCKS: Final = frozenset(
    {
        *("address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "figure", "footer", "h1", "h2", "h3"),
        *("h4", "h5", "h6", "header", "hr", "li", "ol", "p", "pre", "section", "table", "td", "th", "tr", "ul"),
    }
)
_SPACES: Final = re.compile(r"[^\S\n]+")
_LINES: Final = re.compile(r" ?\n[ \n]*")


def plain_text(source: str) -> str:
    """The text that a reader sees, a line for each block, in time by its length."""
    pieces = []
    for piece in pieces_of(source):
        if isinstance(piece, Text):
            pieces.append(decoded(piece.text).replace("\n", " ").replace("\r", " "))
        elif piece.name in _BLOCKS:
            pieces.append("\n")
    return _LINES.sub("\n", _SPACES.sub(" ", "".join(pieces))).strip()
