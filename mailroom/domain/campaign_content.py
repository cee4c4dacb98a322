"""The content of a campaign as it is sent: with the reader's link to unsubscribe, and with the footer of its topic."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from html import escape
from typing import Final

from jinja2 import nodes

from mailroom.domain.errors import Fault
from mailroom.domain.run_values import NO_RUN_VALUES, RunValues
from mailroom.domain.schedules import Content
from mailroom.domain.shown_links import UNKNOWN, end_of_body, is_written, shows_link
from mailroom.domain.template_cutting import compile_content, cut_into_parts, is_link
from mailroom.domain.template_filling import CutTemplate, LaterPart, OwnLink, Piece, TemplatePart
from mailroom.domain.template_language import language_of
from mailroom.domain.template_parts import Compiled
from mailroom.domain.template_spending import CannotRender

BODIES: Final = ("text", "html")
NO_LINK: Final = (
    "mail of a topic needs a link to unsubscribe: write {{ unsubscribe_url }}, or let the topic add a footer"
)
UNSEEN_FOOTER: Final = "the footer would not be seen: a comment, a style or an element that is hidden is not closed"
_OUTSIDE: Final = (
    "{{ unsubscribe_url }} stands by itself: outside of {% if %} and {% for %}, without filters, and not in the subject"
)
_LINK_IS_LOST: Final = "with what its feed gave, a reader would find no link to unsubscribe"
# In place of the link, where its visibility is checked: no content holds it.
_MARK: Final = f"https://unsubscribe.invalid/{secrets.token_hex(8)}"
_STYLE: Final = "margin:24px 0 0;font:12px/1.5 sans-serif;color:#666;text-align:center"


@lru_cache(maxsize=32)
def compiled(content: Content, run_values: RunValues = NO_RUN_VALUES) -> Compiled:
    """The content of a campaign, compiled with its footer. Equal content is compiled once. `run_values`: those that are
    equal for all recipients of the run, such as its feed; what depends on them alone becomes fixed text.

    Raises CannotRender where the values of the run do not fit the content; never without such values.
    """
    linked = bool(content.topic)
    whole = compile_content(content.subject, content.text, content.html, linked=linked, run=run_values)
    if content.footer:
        text, html = (with_footer(field, getattr(whole, field), content.footer) for field in BODIES)
        whole = replace(whole, text=text, html=html)
    if linked and run_values:
        for field in BODIES:
            if not _is_empty(body := getattr(whole, field)) and _lacks(field, body):
                raise CannotRender(f"{field}: {_LINK_IS_LOST}")
    return whole


def faults_of_links(subject: str, text: str, html: str, *, footer: str) -> list[Fault]:
    """The faults of checked content of a topic: links in places where they cannot be filled in, and bodies in which a
    reader finds none. `footer`: the postal address of the footer that such bodies get; '' without one."""
    sources = {"subject": subject, "text": text, "html": html}
    if faults := [Fault(field, _OUTSIDE) for field, source in sources.items() if _is_misplaced(field, source)]:
        return faults
    cut = {field: cut_into_parts(field, sources[field], linked=True) for field in BODIES if sources[field].strip()}
    if footer:
        footed = {field: with_footer(field, body, footer) for field, body in cut.items()}
        return [Fault(field, UNSEEN_FOOTER) for field, body in footed.items() if _lacks(field, body)]
    return [Fault(field, NO_LINK) for field, body in cut.items() if _lacks(field, body)]


def with_footer(field: str, body: CutTemplate, postal_address: str) -> CutTemplate:
    """The body with a footer, if it is not empty and lacks a link."""
    if _is_empty(body) or not _lacks(field, body):
        return body
    return CutTemplate(tuple(footer_below(field, body.pieces, postal_address)))


def footer_below(field: str, pieces: Sequence[Piece], postal_address: str) -> list[Piece]:
    """The pieces of a body, with those of a footer: at the end of a text, before the end of an HTML page."""
    lines = [line.strip() for line in postal_address.splitlines() if line.strip()]
    if field == "text":
        return [*pieces, "\n".join(["", "", "-- ", *lines, "Unsubscribe: "]), OwnLink(), "\n"]
    address = "<br>".join(escape(line) for line in lines)
    footer: list[Piece] = [
        f'<p style="{_STYLE}">{address}<br><a href="',
        OwnLink(),
        '" style="color:#666">Unsubscribe</a></p>',
    ]
    return _inserted(pieces, end_of_body(_as_text(pieces)), footer)


def shows(field: str, body: str, link: str) -> bool:
    """True if a reader of this rendered body finds the link."""
    return shows_link(body, link) if field == "html" else is_written(body, link)


def _is_empty(body: CutTemplate) -> bool:
    return all(isinstance(piece, str) and not piece.strip() for piece in body.pieces)


def _lacks(field: str, body: CutTemplate) -> bool:
    return not shows(field, _as_text(body.pieces), _MARK)


def _as_text(pieces: Sequence[Piece]) -> str:
    """The body with a mark in place of each link and each part."""
    return "".join(piece if isinstance(piece, str) else _mark_of(piece) for piece in pieces)


def _mark_of(piece: TemplatePart | LaterPart | OwnLink) -> str:
    return _MARK if isinstance(piece, OwnLink) else UNKNOWN


def _inserted(pieces: Sequence[Piece], at: int, more: Sequence[Piece]) -> list[Piece]:
    """`pieces` with `more` at this place of their text. A place within a link or a part is the one before it."""
    done: list[Piece] = []
    for index, piece in enumerate(pieces):
        length = len(piece if isinstance(piece, str) else _mark_of(piece))
        if at <= length and isinstance(piece, str):
            return [*done, piece[:at], *more, piece[at:], *pieces[index + 1 :]]
        if at < length:
            return [*done, *more, *pieces[index:]]
        at -= length
        done.append(piece)
    return [*done, *more]


def _is_misplaced(field: str, source: str) -> bool:
    uses = sum(is_link(node) for node in language_of(field).parse(source).find_all(nodes.Name))
    if field == "subject":
        return uses > 0
    return uses > sum(isinstance(piece, OwnLink) for piece in cut_into_parts(field, source, linked=True).pieces)
