"""Style sheets written into the `style` attributes of the elements, for programs that read no `<style>`.

`css-inline` says which element gets what. It is given a skeleton of the page: the tags with their attributes and a
number each. What it answers is written into the source, which is otherwise left as it is: merge fields, conditions,
comments for Outlook and faulty HTML stay what they were (ADR 28).

The `<style>` stays too, for what cannot be written into attributes: `@media`, `:hover`. Their declarations become
`!important`, for otherwise those in the attributes would hold against them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import css_inline

from mailroom.domain.bodies.masks import KEY, WORD, Masked
from mailroom.domain.bodies.style_sheets import CssRule, rules_of
from mailroom.domain.html_pieces import Tag, Text, decoded, pieces_of
from mailroom.domain.limits import MAX_HTML, MAX_MADE_FROM
from mailroom.domain.words import counted

_MOST_ELEMENTS: Final = 5_000
_MOST_RULES: Final = 1_000
_MOST_MATCHES: Final = 500_000  # selectors times elements
_MOST_WRITTEN: Final = 8_000_000  # characters of declarations times elements
_DEEPEST: Final = 200  # elements within one another
_LONGEST_SELECTOR: Final = 200  # characters
_MOST_STEPS: Final = 5  # elements that a selector names
_NUMBER: Final = "data-n"
_VOID: Final = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
)
#: They are not shown, or what is within them is text.
_NOT_STYLED: Final = frozenset(
    [
        "base",
        "head",
        "html",
        "iframe",
        "link",
        "meta",
        "noembed",
        "noframes",
        "noscript",
        "plaintext",
        "script",
        "style",
        "template",
        "textarea",
        "title",
        "xmp",
    ]
)
#: Elements that need no end tag.
_OPEN_ENDED: Final = frozenset({"p", "li", "dt", "dd"})
#: Names, classes, ids and attributes, alone, one within another, or one right within another.
_STATIC: Final = re.compile(r"""[\w\s.#>*\-\\\[\]=^$|"'/]+""")
_BY_READER: Final = re.compile(r":(?:hover|active|focus|visited|link)\b", re.IGNORECASE)
_SCREENS: Final = re.compile(r"(?:all|screen)?", re.IGNORECASE)


class CannotInline(ValueError):
    """The style sheets stay as they are. The message says why."""


@dataclass(frozen=True, slots=True)
class _Edit:
    """`text` in place of what is between two places."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The content of a `<style>`, which begins at `start`. `conditional`: it has a `media` of its own."""

    start: int
    css: str
    conditional: bool


def has_sheets(html: str) -> bool:
    return "<style" in html.lower()


def with_inlined_css(page: Masked) -> str:
    """The page, masked as it came, with its style sheets written into its elements. Raises CannotInline."""
    html = page.text
    if len(html) > MAX_MADE_FROM:
        raise CannotInline(f"the HTML has more than {MAX_MADE_FROM:,} characters")
    tags = _checked_tags(page)
    sheets = list(_sheets(html, tags))
    rules = [rule for sheet in sheets if not sheet.conditional for rule in rules_of(sheet.css)]
    static = list(_static(rules))
    selectors = sum(rule.selector.count(",") + 1 for rule in static)
    said = sum(len(each.text) for rule in static for each in rule.declarations)
    elements = sum(not tag.closing for tag in tags)
    products = (selectors * elements > _MOST_MATCHES, said * elements > _MOST_WRITTEN)
    if len(rules) > _MOST_RULES or elements > _MOST_ELEMENTS or any(products):
        raise CannotInline(f"{counted(len(rules), 'rule')} for {counted(elements, 'element')} are too many")
    skeleton = _skeleton(tags)
    normal = _styles(skeleton, static, important=False)
    important = _styles(skeleton, static, important=True)
    edits = [edit for sheet in sheets for edit in _strengthened(sheet)]
    for number, tag in enumerate(tags):
        if added := _style_edit(html, tag, normal.get(number, ""), important.get(number, "")):
            edits.append(added)
    return _short_enough(_edited(html, edits))


def _short_enough(html: str) -> str:
    if len(html) > MAX_HTML:
        raise CannotInline(f"the HTML would have more than {MAX_HTML:,} characters")
    return html


def _checked_tags(page: Masked) -> list[Tag]:
    """The tags. Raises CannotInline where conditions decide about elements in a way that no attribute can follow."""
    tags: list[Tag] = []
    open_here: list[dict[str, int]] = [{}]  # for each condition: the elements that it opened, less those it closed
    deepest = depth = done = 0
    for piece in pieces_of(page.text):
        _follow_conditions(page, done, piece.start, open_here)
        done = piece.start
        if isinstance(piece, Text):
            continue
        _refuse_conditional(page.text, piece)
        done = piece.end
        tags.append(piece)
        if piece.name in _VOID:
            continue
        step = -1 if piece.closing else 1
        depth = max(0, depth + step) if piece.name not in _OPEN_ENDED else depth
        deepest = max(deepest, depth)
        here = open_here[-1]
        here[piece.name] = here.get(piece.name, 0) + step
        if not here[piece.name]:
            del here[piece.name]
    _follow_conditions(page, done, len(page.text), open_here)
    if deepest > _DEEPEST:
        raise CannotInline(f"elements stand more than {_DEEPEST} deep within one another")
    return tags


def _follow_conditions(page: Masked, begin: int, end: int, open_here: list[dict[str, int]]) -> None:
    """Look at the conditions between two places. Raises CannotInline for one that opens an element and does not close
    it, or the other way round."""
    text = page.text[begin:end]
    if KEY not in text:
        return
    for word in WORD.finditer(text):
        construct = page.constructs[int(word[1])]
        if construct.opens:
            open_here.append({})
        elif (construct.branches or construct.closes) and len(open_here) > 1:
            if open_here[-1]:
                name = next(iter(open_here[-1]))
                raise CannotInline(f"a condition begins or ends within <{name}>")
            if construct.closes:
                open_here.pop()


def _refuse_conditional(html: str, tag: Tag) -> None:
    if KEY not in html[tag.start : tag.end]:
        return
    names = [tag.name, *tag.attributes]
    if any(KEY in name for name in names) or any(KEY in tag.attributes.get(name, "") for name in ("class", "id")):
        raise CannotInline(f"which class or attributes <{WORD.sub('…', tag.name)}> has depends on merge fields")


def _sheets(html: str, tags: Sequence[Tag]) -> Iterator[_Sheet]:
    for opening, closing in zip(tags, [*tags, None][1:], strict=True):
        if opening.name != "style" or opening.closing:
            continue
        if opening.attributes.get("type", "text/css").strip().lower() not in ("", "text/css"):
            continue
        css = html[opening.end : closing.start if closing else len(html)]
        if KEY in css or KEY in opening.attributes.get("media", ""):
            raise CannotInline("a <style> holds merge fields")
        conditional = not _SCREENS.fullmatch(opening.attributes.get("media", "").strip())
        yield _Sheet(opening.end, css, conditional)


def _static(rules: Sequence[CssRule]) -> Iterator[CssRule]:
    """The rules that hold for every reader, each with those of its selectors that do."""
    for rule in rules:
        if rule.conditional:
            continue
        if kept := [selector for selector in _selectors(rule) if _is_static(selector)]:
            yield CssRule(", ".join(kept), False, rule.declarations)


def _selectors(rule: CssRule) -> list[str]:
    return [selector.strip() for selector in rule.selector.split(",")]


def _is_static(selector: str) -> bool:
    few = len(selector) <= _LONGEST_SELECTOR and len(re.split(r"[\s>]+", selector)) <= _MOST_STEPS
    return few and bool(_STATIC.fullmatch(selector))


def _skeleton(tags: Sequence[Tag]) -> str:
    """The page's elements without their content, each start tag with its number."""
    return "".join(_bone(number, tag) for number, tag in enumerate(tags))


def _bone(number: int, tag: Tag) -> str:
    if tag.name in _NOT_STYLED and tag.name not in ("html", "head"):
        return ""
    if tag.closing:
        return f"</{tag.name}>"
    attributes = "".join(
        f' {name}="{escape(decoded(value))}"'
        for name, value in tag.attributes.items()
        if name != "style" and not name.startswith("data-css-inline") and name.isascii()
    )
    return f'<{tag.name} {_NUMBER}="{number}"{attributes}>'


def _styles(skeleton: str, rules: Sequence[CssRule], *, important: bool) -> Mapping[int, str]:
    """What the important rules, or the others, say about each numbered element."""
    css = "\n".join(
        f"{rule.selector} {{ {'; '.join(said)} }}"
        for rule in rules
        if (said := [each.text for each in rule.declarations if each.important == important])
    )
    if not css:
        return {}
    try:
        page = css_inline.CSSInliner(load_remote_stylesheets=False, extra_css=css).inline(skeleton)
    except (css_inline.InlineError, ValueError) as error:
        raise CannotInline(f"css-inline cannot read them: {error}") from None
    styles: dict[int, str] = {}
    for tag in pieces_of(page):
        if isinstance(tag, Tag) and _NUMBER in tag.attributes and "style" in tag.attributes:
            styles.setdefault(int(tag.attributes[_NUMBER]), decoded(tag.attributes["style"]).strip().rstrip(";"))
    return styles


def _style_edit(html: str, tag: Tag, normal: str, important: str) -> _Edit | None:
    """The style of an element: what the sheets say, its own, and what they say with more force."""
    if tag.closing or tag.name in _NOT_STYLED or not (normal or important) or "{" in normal + important:
        return None
    place = tag.places.get("style")
    if place is None:
        if "style" in tag.attributes:
            return None
        at = tag.start + 1 + len(tag.name)
        return _Edit(at, at, f' style="{_in_attribute("; ".join(filter(None, (normal, important))))}"')
    own = tag.attributes["style"].strip().rstrip(";")
    if '"' in own:  # it stands between single ones
        own = own.replace('"', "&quot;")
    styles = [_in_attribute(normal), own, _in_attribute(important)]
    return _Edit(*place, f'"{"; ".join(filter(None, styles))}"')


def _in_attribute(style: str) -> str:
    return style.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def _strengthened(sheet: _Sheet) -> Iterator[_Edit]:
    for rule in rules_of(sheet.css):
        by_reader = _BY_READER.search(rule.selector) and not any(map(_is_static, _selectors(rule)))
        if not (sheet.conditional or rule.conditional or by_reader):
            continue
        for each in rule.declarations:
            if not each.important:
                at = sheet.start + each.end
                yield _Edit(at, at, " !important")


def _edited(html: str, edits: Sequence[_Edit]) -> str:
    pieces: list[str] = []
    done = 0
    for edit in sorted(edits, key=lambda one: one.start):
        pieces += [html[done : edit.start], edit.text]
        done = edit.end
    return "".join([*pieces, html[done:]])
