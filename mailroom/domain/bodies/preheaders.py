"""The preheader: the line that an inbox shows behind the subject. It stands hidden at the start of the HTML."""

import re
from html import escape
from typing import Final

from mailroom.domain.bodies.masks import WORD, Masked
from mailroom.domain.html_pieces import Tag, pieces_of

_STYLE: Final = (
    "display:none;font-size:1px;line-height:1px;color:transparent;max-height:0;max-width:0;opacity:0;overflow:hidden;"
    "mso-hide:all"
)
# Else an inbox would go on with the first words of the mail, behind a short preheader.
_FILLING: Final = "&#847;&zwnj;&nbsp;" * 60
_BEFORE_PAGE: Final = re.compile(r"\s*(?:<\?[^>]*>\s*)?(?:<!doctype[^>]*>)?", re.IGNORECASE)


def with_preheader(page: Masked, line: Masked) -> str:
    """The source of the page with the source of the preheader in it, escaped."""
    words = line.restored(escape(line.text, quote=False))
    at = _place(page)
    block = f'<div style="{_STYLE}">{words}{_FILLING}</div>'
    return page.restored(page.text[:at]) + block + page.restored(page.text[at:])


def _place(page: Masked) -> int:
    """Behind the tag that begins the body, and outside of conditions."""
    body = next(
        (
            piece
            for piece in pieces_of(page.text)
            if isinstance(piece, Tag) and piece.name == "body" and not piece.closing
        ),
        None,
    )
    if body is not None:
        return _outside(page, body.end)
    start = _BEFORE_PAGE.match(page.text)
    ends = [
        piece.end for piece in pieces_of(page.text) if isinstance(piece, Tag) and piece.name == "head" and piece.closing
    ]
    return _outside(page, ends[-1] if ends else start.end() if start else 0)


def _outside(page: Masked, at: int) -> int:
    """This place, or the end of the outermost condition or raw text around it."""
    depth = 0
    for word in WORD.finditer(page.text):
        if word.start() >= at and depth <= 0:
            return at
        construct = page.constructs[int(word[1])]
        depth += (construct.opens or construct.keyword == "raw") - (construct.closes or construct.keyword == "endraw")
        if word.start() >= at and depth == 0:
            return word.end()
    return at
