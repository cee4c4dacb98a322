"""The content of a campaign as it is sent: with the reader's link to unsubscribe, and with the footer of its topic."""

import re
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from typing import Final

from jinja2 import nodes

from mailroom.domain.errors import Fault
from mailroom.domain.schedules import Content
from mailroom.domain.template_filling import (
    UNSUBSCRIBE_URL,
    Compiled,
    OwnLink,
    compile_content,
    cut_into_parts,
    is_link,
)
from mailroom.domain.template_language import language_of

BODIES: Final = ("text", "html")
_MARK: Final = "https://unsubscribe.invalid/"  # in place of the link, where its visibility is checked
_BODY_END: Final = re.compile(r"</body\s*>", re.IGNORECASE)
_CLOSING: Final = {"<!--": re.compile("-->")} | {
    f"<{tag}": re.compile(rf"</{tag}\b", re.IGNORECASE) for tag in ("script", "style", "template", "title")
}
_UNSEEN: Final = re.compile(r"<!--|<(?:script|style|template|title)\b", re.IGNORECASE)
_LONGEST_TAG: Final = 2_000  # characters before the link; a longer tag is not looked through
_TARGET: Final = re.compile(r"<a(?:rea)?\s[^<>]*\bhref\s*=\s*[\"']?\s*", re.IGNORECASE)
NO_LINK: Final = (
    "mail of a topic needs a link to unsubscribe: write {{ unsubscribe_url }}, or let the topic add a footer"
)
_OUTSIDE: Final = "{{ unsubscribe_url }} stands by itself: outside of {% if %}, without filters, and not in the subject"


@lru_cache(maxsize=32)
def compiled(content: Content) -> Compiled:
    """The content of a campaign, compiled with its footer. Equal content is compiled once."""
    bodies = [with_footer(field, getattr(content, field), content.footer) for field in BODIES]
    return compile_content(content.subject, *bodies, linked=bool(content.topic))


def faults_of_links(subject: str, text: str, html: str, *, footer: bool) -> list[Fault]:
    """The faults of checked content of a topic: bodies in which a reader finds no link to unsubscribe, unless these get
    a footer, and links in places where they cannot be filled in."""
    sources = {"subject": subject, "text": text, "html": html}
    faults = [Fault(field, _OUTSIDE) for field, source in sources.items() if _is_misplaced(field, source)]
    if not faults and not footer:
        faults += [Fault(field, NO_LINK) for field in BODIES if sources[field].strip() and lacks(field, sources[field])]
    return faults


def lacks(field: str, source: str) -> bool:
    """True if a reader of this body finds no link to unsubscribe in it."""
    pieces = cut_into_parts(field, source, linked=True).pieces
    written = "".join(
        _MARK if isinstance(piece, OwnLink) else piece if isinstance(piece, str) else "" for piece in pieces
    )
    return not shows(field, written, _MARK)


def shows(field: str, body: str, link: str) -> bool:
    """True if a reader of this rendered body finds the link."""
    return _is_visible(body, link) if field == "html" else link in body


def with_footer(field: str, source: str, postal_address: str) -> str:
    """The body with a footer, if it is not empty and lacks a link. '' for no footer."""
    if not postal_address or not source.strip() or not lacks(field, source):
        return source
    return footer_below(field, source, postal_address, f"{{{{ {UNSUBSCRIBE_URL} }}}}")


def footer_below(field: str, body: str, postal_address: str, link: str) -> str:
    """The body with a footer."""
    lines = [line.strip() for line in postal_address.splitlines() if line.strip()]
    if field == "text":
        return "\n".join([body.rstrip(), "", "-- ", *lines, f"Unsubscribe: {link}", ""])
    address = "<br>".join(escape(line) for line in lines)
    style = "margin:24px 0 0;font:12px/1.5 sans-serif;color:#666;text-align:center"
    footer = f'<p style="{style}">{address}<br><a href="{link}" style="color:#666">Unsubscribe</a></p>'
    ends = list(_BODY_END.finditer(body))
    at = ends[-1].start() if ends else len(body)
    return body[:at] + footer + body[at:]


def _is_misplaced(field: str, source: str) -> bool:
    tree = language_of(field).parse(source)
    uses = sum(is_link(node) for node in tree.find_all(nodes.Name))
    if field == "subject":
        return uses > 0
    return uses > sum(isinstance(piece, OwnLink) for piece in cut_into_parts(field, source, linked=True).pieces)


def _is_visible(html: str, link: str) -> bool:
    """True if a reader finds the link: as the target of an anchor, or written out in the text."""
    for part in _shown_parts(html):
        at = part.find(link)
        while at >= 0:
            tag = part.rfind("<", 0, at)
            in_text = part.rfind(">", 0, at) >= tag
            if in_text or (at - tag <= _LONGEST_TAG and _TARGET.fullmatch(part, tag, at)):
                return True
            at = part.find(link, at + 1)
    return False


def _shown_parts(html: str) -> Iterator[str]:
    """The parts of a document outside of comments, scripts and styles. A library's parser takes time by the square of
    the length for some texts."""
    at = 0
    while opening := _UNSEEN.search(html, at):
        yield html[at : opening.start()]
        closing = _CLOSING[opening[0].lower()].search(html, opening.end())
        if closing is None:
            return
        at = closing.end()
    yield html[at:]
