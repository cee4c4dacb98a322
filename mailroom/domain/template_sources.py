"""A stored template as a person wrote it, and the text and HTML that are made of it when it is saved.

Markdown and MJML become HTML. A layout may be named beside the bodies: they then stand in its block `content`, as if
`{% extends %}` and `{% block content %}` were written around them. So Markdown, which is no page, has a layout too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from jinja2 import TemplateSyntaxError

from mailroom.domain.bodies.finish import page_of
from mailroom.domain.bodies.masks import masked
from mailroom.domain.bodies.places import PlaceLost
from mailroom.domain.bodies.preheaders import with_preheader
from mailroom.domain.bodies.written import Written
from mailroom.domain.content import names_in
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_TEMPLATE
from mailroom.domain.template_filling import FIELDS
from mailroom.domain.template_layouts import structure_of, without_structure

#: The fields in which layouts and partials stand.
BODIES: Final = ("text", "html")
#: The block of a layout in which the bodies stand of a template that names it beside them.
CONTENT: Final = "content"
#: The language in which a field is checked, where that is another one's.
_CHECKED_AS: Final = {"markdown": "text", "mjml": "html", "preheader": "subject"}
_NO_STRUCTURE: Final = frozenset({"subject", "preheader"})


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """What a person wrote. `markdown` and `mjml` stand for the HTML. `layout`: the one that text and HTML stand in; ''
    without one, and where they name it themselves. `preheader`: what an inbox shows behind the subject."""

    subject: str = ""
    text: str = ""
    html: str = ""
    markdown: str = ""
    mjml: str = ""
    preheader: str = ""
    layout: str = ""

    @property
    def content(self) -> dict[str, str]:
        return {field: getattr(self, field) for field in FIELDS}

    @property
    def bodies(self) -> Written:
        return Written(self.text, self.html, self.markdown, self.preheader, mjml=self.mjml)


class LayoutToUse(Protocol):
    """A stored layout, as far as bodies are put into it."""

    @property
    def name(self) -> str: ...
    @property
    def content(self) -> dict[str, str]: ...


def faults_of_field(field: str, text: str, html_fields: frozenset[str]) -> list[Fault]:
    """The faults of one field as it was written, apart from what its layout and its partials say."""
    if len(text) > MAX_TEMPLATE:
        return [Fault(field, f"at most {MAX_TEMPLATE:,} characters")]
    language = _CHECKED_AS.get(field, field)
    try:
        names_in({language: text if field in _NO_STRUCTURE else without_structure(text)}, html_fields)
    except InvalidInput as error:
        return [replace(fault, path=field) for fault in error.faults]
    except TemplateSyntaxError:
        return _faults_of_syntax(field, language, text)
    return []


def _faults_of_syntax(field: str, language: str, text: str) -> list[Fault]:
    try:
        names_in({language: text})
    except InvalidInput as error:
        return [replace(fault, path=field) for fault in error.faults]
    return [Fault(field, "cannot be read")]


def templates_of(source: TemplateSource, layout: LayoutToUse | None, *, is_part: bool) -> dict[str, str]:
    """Text and HTML as templates, within the layout. `is_part`: it is a partial, and no page.

    Raises InvalidInput: the HTML cannot be made of what was written.
    """
    bodies = source.bodies
    try:
        html = page_of(bodies, whole=not (layout or is_part))
    except PlaceLost as error:
        raise InvalidInput(Fault(bodies.page_field, str(error))) from None
    if len(html) > MAX_TEMPLATE and bodies.page_field != "html":
        raise InvalidInput(Fault(bodies.page_field, f"gives HTML of more than {MAX_TEMPLATE:,} characters"))
    made = {"text": source.text, "html": html}
    return {field: _within(layout, text) if field in _framed(made, layout) else text for field, text in made.items()}


def _framed(made: Mapping[str, str], layout: LayoutToUse | None) -> frozenset[str]:
    """The bodies that stand in the layout. A text beside HTML stands alone where the layout has no text."""
    if layout is None:
        return frozenset()
    written = {field for field in BODIES if made[field].strip()}
    alone = {"text"} if "html" in written and not layout.content["text"].strip() else set[str]()
    return frozenset(written - alone)


def _within(layout: LayoutToUse | None, text: str) -> str:
    """On one line with the text, whose lines keep their numbers."""
    return f'{{% extends "{layout.name}" %}}{{% block {CONTENT} %}}{text}{{% endblock %}}' if layout else text


def why_not_beside(layout: LayoutToUse) -> str:
    """Why bodies cannot stand in this layout without naming its blocks; '' if they can."""
    for field in BODIES:
        known = [block.name for block in structure_of(field, layout.content[field]).blocks]
        if layout.content[field].strip() and CONTENT not in known:
            has = f"its {field} has {', '.join(known)}" if known else f"its {field} has none"
            return f"it has no block {CONTENT} ({has}): write {{% extends %}} and its blocks in the bodies instead"
    return ""


def with_its_preheader(html: str, preheader: str) -> str:
    """The HTML with the preheader hidden at its start. Raises InvalidInput if it gets too long."""
    if not preheader.strip():
        return html
    whole = with_preheader(masked(html), masked(preheader.strip()))
    if len(whole) > MAX_TEMPLATE:
        raise InvalidInput(Fault("preheader", f"with it the HTML has more than {MAX_TEMPLATE:,} characters"))
    return whole
