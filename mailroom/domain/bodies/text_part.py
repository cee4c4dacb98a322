"""The text part of a mail, made from its HTML: what a reader sees, with the addresses of links behind their words.

It is made from the template as it is saved, so merge fields, conditions and loops are in the text as they are in the
HTML. What the HTML hides is left out. Each character is looked at a bounded number of times.
"""

import re
from typing import Final

from jinja2 import TemplateSyntaxError

from mailroom.domain.bodies.breaks import Break, Lines
from mailroom.domain.bodies.masks import KEY, WORD, Construct, Masked, masked, unmasked
from mailroom.domain.content import faults_of_language
from mailroom.domain.html_pieces import Tag, Text, decoded, pieces_of
from mailroom.domain.limits import MAX_MADE_FROM, MAX_TEXT
from mailroom.domain.shown_links import Hidden, is_hiding

_PARAGRAPHS: Final = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "dl",
        "fieldset",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "ul",
    ]
)
_LINES: Final = frozenset(
    ["caption", "center", "dd", "details", "div", "dt", "figcaption", "legend", "li", "summary", "tr"]
)
_CELLS: Final = frozenset({"td", "th"})
_RULE: Final = "-" * 20
_DEEPEST: Final = 6  # lists whose items are moved to the right
_DECLARATION: Final = re.compile(r"<[!?/][^>]*>?")  # a doctype, `<![if !mso]>`, `<?xml …?>`, `</>`
_UNSEEN: Final = re.compile("[\u00ad\u034f\ufeff]")  # soft hyphens, and what fills up a preheader
_COLLAPSED: Final = re.compile(r"(?:max-height|max-width)\s{0,9}:\s{0,9}0(?:px)?\s{0,9}(?:;|!|$)", re.IGNORECASE)
_LONGEST_STYLE: Final = 2_000  # characters that are looked through
_SCHEMES: Final = re.compile(r"(?:mailto|tel|sms):", re.IGNORECASE)
_NO_TARGET: Final = re.compile(r"(?:#|javascript:|data:|$)", re.IGNORECASE)
_OPENS: Final = re.compile(r"\{(?=[{%])|\{\Z")


def text_part(html: str, *, templated: bool = True) -> str:
    """The text of this HTML; '' if it has none, is too long, or is no template that could be read. `templated`: the
    HTML is a template, and so is the text; otherwise braces are braces."""
    if len(html) > MAX_MADE_FROM:
        return ""
    try:
        source = masked(html) if templated else unmasked(html)
        text = _HtmlReader(source).read(templated=templated)
    except (TemplateSyntaxError, _Torn):
        return ""
    if len(text) > MAX_TEXT or (templated and faults_of_language({"text": text}, nested=None, html=None)):
        return ""
    return text


class _Torn(ValueError):
    """A condition begins within a tag and ends elsewhere."""


class _Link:
    """A link that is open. `at`: the place of its words in what is written; `depth`: the conditions around it."""

    def __init__(self, target: str, at: int, depth: int) -> None:
        self.target, self.at, self.depth = target, at, depth


class _List:
    """A list that is open. `number`: of its last item; None where items have no numbers. `depth`: the conditions
    around it."""

    def __init__(self, number: int | None, depth: int) -> None:
        self.number, self.depth = number, depth


class _HtmlReader:
    """Reads HTML once, from its beginning to its end."""

    def __init__(self, source: Masked) -> None:
        self._html, self._constructs = source.text, source.constructs
        self._lines = Lines(self._end_branch)
        self._hidden = Hidden(_is_hiding)
        self._link: _Link | None = None
        self._lists: list[_List] = []
        self._within_pre = 0

    def read(self, *, templated: bool) -> str:
        done = 0
        for piece in pieces_of(self._html):
            self._pass_conditions(self._html[done : piece.start])  # a comment, a style
            done = piece.end if isinstance(piece, Tag) else piece.start + len(piece.text)
            if isinstance(piece, Text):
                self._text(_DECLARATION.sub("", piece.text))
                continue
            self._check_whole(piece)
            self._hidden.see(piece)
            if not self._hidden:
                self._tag(piece)
        self._pass_conditions(self._html[done:])
        self._end_link()
        return _joined(self._lines.pieces, templated=templated)

    def _text(self, text: str) -> None:
        at = 0
        for word in WORD.finditer(text):
            self._fixed(text[at : word.start()])
            construct = self._constructs[int(word[1])]
            if construct.keyword:
                self._lines.pass_(construct)
            elif not self._hidden:
                self._lines.write(construct)
            at = word.end()
        self._fixed(text[at:])

    def _fixed(self, text: str) -> None:
        if self._hidden or not text:
            return
        text = _decoded(text)
        for index, line in enumerate(text.split("\n") if self._within_pre else [text]):
            if index:
                self._lines.break_(Break.LINE)
            if line[:1].isspace():
                self._lines.break_(Break.SPACE)
            if words := " ".join(line.split()):
                self._lines.write(words)
            if words and line[-1:].isspace():
                self._lines.break_(Break.SPACE)

    def _tag(self, tag: Tag) -> None:
        match tag.name:
            case "a":
                self._end_link()
                if not tag.closing and (target := _target(tag)):
                    self._link = _Link(target, len(self._lines.pieces), self._lines.depth)
            case "img" if not _is_hiding(tag):
                self._image(tag.attributes.get("alt", "").strip())
            case "br":
                self._lines.break_(Break.PARAGRAPH if self._lines.at_line else Break.LINE)
            case "hr":
                self._lines.break_(Break.PARAGRAPH)
                self._lines.write(_RULE)
                self._lines.break_(Break.PARAGRAPH)
            case "ul" | "ol" | "li" | "pre":
                self._list_or_pre(tag)
            case name if name in _PARAGRAPHS:
                self._lines.break_(Break.PARAGRAPH)
            case name if name in _LINES:
                self._lines.break_(Break.LINE)
            case name if name in _CELLS:
                self._lines.break_(Break.SPACE)

    def _image(self, alt: str) -> None:
        if alt:
            self._lines.break_(Break.SPACE)
            self._text(alt)
            self._lines.break_(Break.SPACE)

    def _list_or_pre(self, tag: Tag) -> None:
        if tag.name == "pre":
            self._within_pre = max(0, self._within_pre + (-1 if tag.closing else 1))
        within = bool(self._lists)
        self._lines.break_(Break.LINE if tag.name == "li" or (within and tag.name != "pre") else Break.PARAGRAPH)
        if tag.name == "li" and not tag.closing:
            self._lines.lead(self._bullet())
        elif tag.name in ("ul", "ol") and not tag.closing:
            self._lists.append(_List(0 if tag.name == "ol" else None, self._lines.depth))
        elif tag.name in ("ul", "ol") and within:
            self._lists.pop()
            if not self._lists:
                self._lines.break_(Break.PARAGRAPH)

    def _bullet(self) -> str:
        indent = "  " * min(max(0, len(self._lists) - 1), _DEEPEST)
        listed = self._lists[-1] if self._lists else None
        # An item within a condition or a loop has no number that holds for every reader.
        if listed is None or listed.number is None or self._lines.depth > listed.depth:
            return f"{indent}- "
        listed.number += 1
        return f"{indent}{listed.number}. "

    def _end_branch(self, depth: int) -> None:
        """A link that a branch leaves open ends with it: another branch has its own."""
        if self._link and self._link.depth == depth:
            self._end_link()

    def _end_link(self) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        words = "".join(one if isinstance(one, str) else one.source for one in self._lines.pieces[link.at :]).strip()
        target = _without_scheme(link.target)
        if words == WORD.sub(lambda word: self._constructs[int(word[1])].source, target):
            return
        if not words:
            self._lines.break_(Break.SPACE)
            self._target(target)
            self._lines.break_(Break.SPACE)
            return
        due = self._lines.forget_break()
        self._lines.break_(Break.SPACE)
        self._lines.write("(")
        self._target(target)
        self._lines.write(")")
        self._lines.break_(due)

    def _target(self, target: str) -> None:
        at = 0
        for word in WORD.finditer(target):
            if word.start() > at:
                self._lines.write(target[at : word.start()])
            construct = self._constructs[int(word[1])]
            if construct.keyword:
                self._lines.pass_(construct)
            else:
                self._lines.write(construct)
            at = word.end()
        if at < len(target):
            self._lines.write(target[at:])

    def _pass_conditions(self, text: str) -> None:
        for word in WORD.finditer(text) if KEY in text else ():
            if (construct := self._constructs[int(word[1])]).keyword:
                self._lines.pass_(construct)

    def _check_whole(self, tag: Tag) -> None:
        """Raises _Torn for a condition that begins within this tag and does not end there, or the other way round."""
        text = self._html[tag.start : tag.end]
        depth = 0
        for word in WORD.finditer(text) if KEY in text else ():
            construct = self._constructs[int(word[1])]
            depth += construct.opens - construct.closes
            if depth < 0:
                raise _Torn
        if depth:
            raise _Torn


def _is_hiding(tag: Tag) -> bool:
    style = tag.attributes.get("style", "")[:_LONGEST_STYLE]
    return is_hiding(tag) or bool(style and _COLLAPSED.search(style))


def _decoded(text: str) -> str:
    return _UNSEEN.sub("", decoded(text))


def _target(tag: Tag) -> str:
    """Where a link leads to; '' for nowhere in a text."""
    target = "".join(_decoded(tag.attributes.get("href", "")).split())
    return "" if _NO_TARGET.match(target) else target


def _without_scheme(target: str) -> str:
    scheme = _SCHEMES.match(target)
    return target[scheme.end() :].partition("?")[0] if scheme else target


def _joined(pieces: list[str | Construct], *, templated: bool) -> str:
    """The text, in which a brace of the HTML's text is a brace."""
    runs: list[str] = []
    fixed: list[str] = []
    for piece in [*pieces, None]:
        if isinstance(piece, str):
            fixed.append(piece)
            continue
        text = re.sub(" +\n", "\n", "".join(fixed))
        runs.append(_OPENS.sub(_raw, text) if templated and "{" in text else text)
        fixed.clear()
        if piece:
            runs.append(piece.plain)
    return "".join(runs).rstrip()


def _raw(_: re.Match[str]) -> str:
    return "{% raw %}{{% endraw %}"
