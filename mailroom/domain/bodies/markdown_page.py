"""Markdown as a plain page of HTML: CommonMark with tables and strikethrough. HTML within it is shown as it is written.

Merge fields and conditions stay as they are. A condition that has a line of its own stands outside of paragraphs.
"""

import re
from collections.abc import Sequence
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from mailroom.domain.bodies.masks import WORD, Masked
from mailroom.domain.bodies.places import check_places

_FONT: Final = "16px/1.5 -apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_HEAD: Final = f"""<!doctype html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
</head>
<body style="margin:0;padding:0;background:#ffffff">
<div dir="auto" style="max-width:600px;margin:0 auto;padding:24px 16px;font:{_FONT};color:#222222">
"""
_FOOT: Final = "</div>\n</body>\n</html>\n"
_STYLES: Final = {
    "h1": "margin:0 0 16px;font-size:26px;line-height:1.25",
    "h2": "margin:24px 0 12px;font-size:21px;line-height:1.3",
    "h3": "margin:24px 0 8px;font-size:18px;line-height:1.3",
    "p": "margin:0 0 16px",
    "a": "color:#0b57d0",
    "img": "max-width:100%;height:auto;border:0",
    "ul": "margin:0 0 16px;padding:0 0 0 24px",
    "ol": "margin:0 0 16px;padding:0 0 0 24px",
    "blockquote": "margin:0 0 16px;padding:0 0 0 16px;border-left:3px solid #cccccc;color:#555555",
    "hr": "margin:24px 0;border:0;border-top:1px solid #dddddd",
    "table": "margin:0 0 16px;border-collapse:collapse",
    "th": "padding:6px 12px;border:1px solid #dddddd;text-align:left",
    "td": "padding:6px 12px;border:1px solid #dddddd",
    "pre": "margin:0 0 16px;padding:12px;background:#f5f5f5;white-space:pre-wrap",
}
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_OWN_LINE: Final = re.compile(rf"^[ \t]*((?:{WORD.pattern}[ \t]*)+)$", re.MULTILINE)
_OWN_PARAGRAPH: Final = re.compile(rf"<p [^>]*>((?:{WORD.pattern}\s*)+)</p>")


def page_of(markdown: Masked) -> str:
    """The source of the page. The Markdown is masked, and the page comes masked. Raises PlaceLost."""
    return _HEAD + part_of(markdown) + _FOOT


def part_of(markdown: Masked) -> str:
    """As `page_of`, to stand in another page."""
    tokens = _MARKDOWN.parse(_OWN_LINE.sub(lambda line: _apart(markdown, line), markdown.text))
    _style(tokens)
    # A brace of the text is none of a template.
    body = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}).replace("{", "&#123;")
    body = _OWN_PARAGRAPH.sub(lambda found: found[1] if _are_conditions(markdown, found[1]) else found[0], body)
    check_places(markdown, body, of="Markdown")
    return body


def _apart(markdown: Masked, line: re.Match[str]) -> str:
    return f"\n{line[1].strip()}\n" if _are_conditions(markdown, line[1]) else line[0]


def _are_conditions(markdown: Masked, text: str) -> bool:
    return all(markdown.constructs[int(word[1])].keyword for word in WORD.finditer(text))


def _style(tokens: Sequence[Token]) -> None:
    for token in tokens:
        style = _STYLES.get(token.tag)
        if style and token.nesting >= 0:
            aligned = token.attrGet("style")  # of a table's column
            token.attrSet("style", f"{style};{aligned}" if aligned else style)
        if token.children:
            _style(token.children)
