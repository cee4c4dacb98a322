"""A style sheet, taken apart as far as needed: its rules, and where each of their declarations ends. Each character is
looked at a bounded number of times."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_SIGN: Final = re.compile(
    r"""/\*.*?(?:\*/|\Z)|"(?:\\.|[^"\\\n])*+"?|'(?:\\.|[^'\\\n])*+'?|\\.|url\(\s*+(?!["'\s])[^)]*+\)?|[{}();]""",
    re.DOTALL,
)
_COMMENT: Final = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_CONDITION: Final = re.compile(r"@(?:media|supports|-moz-document|container)\b", re.IGNORECASE)
_DECLARED: Final = re.compile(r"\s*[-\w*]+\s*:\s*\S")
_IMPORTANT: Final = re.compile(r"!\s*important\s*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Declaration:
    """`text` without comments and without `!important`. `end`: its place in the sheet."""

    text: str
    important: bool
    end: int


@dataclass(frozen=True, slots=True)
class CssRule:
    """`conditional`: it holds only on some screens or in some programs (`@media`)."""

    selector: str
    conditional: bool
    declarations: tuple[Declaration, ...]


def rules_of(css: str) -> Iterator[CssRule]:
    """The rules of a sheet, those within `@media` and its like too, in order. Other at-rules are left out, and so is
    what is nested in a rule."""
    blocks: list[str] = []  # those that are open: 'condition', 'rule' or 'other'
    selector, declarations = "", list[Declaration]()
    begin = brackets = 0
    for sign in _SIGN.finditer(css):
        match sign[0]:
            case "(":
                brackets += 1
            case ")":
                brackets = max(0, brackets - 1)
            case ";" if brackets:
                continue
            case "{":
                prelude = _without_comments(css[begin : sign.start()])
                kind = _kind_of(prelude, blocks)
                if kind == "rule":
                    selector, declarations = prelude, []
                blocks.append(kind)
                begin, brackets = sign.end(), 0
            case ";" | "}":
                if blocks[-1:] == ["rule"]:
                    declarations += _declaration(css, begin, sign.start())
                begin, brackets = sign.end(), 0
                if sign[0] == "}" and blocks and blocks.pop() == "rule":
                    yield CssRule(selector, "condition" in blocks, tuple(declarations))


def _kind_of(prelude: str, around: list[str]) -> str:
    if around and around[-1] != "condition":  # what is within it is "other" too
        return "other"
    if prelude.startswith("@"):
        return "condition" if _CONDITION.match(prelude) else "other"
    return "rule"


def _declaration(css: str, begin: int, end: int) -> list[Declaration]:
    """The declaration between these places, if one is there."""
    text = _without_comments(css[begin:end])
    if not _DECLARED.match(text):
        return []
    plain = _IMPORTANT.sub("", text).strip()
    return [Declaration(plain, plain != text, begin + len(css[begin:end].rstrip()))]


def _without_comments(css: str) -> str:
    return (_COMMENT.sub(" ", css) if "/*" in css else css).strip().removeprefix("<!--").strip()
